"""Edits of the functions in which an export computes its encoder. Names of operations are searched for patterns."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from tensorboard.util import tensor_util

from tests.support.editing import Edit

FLOAT, INT32 = 1, 3
"""DT_FLOAT and DT_INT32 (tensorflow/core/framework/types.proto)."""
RESULTS = {"Mul": "z", "AddV2": "z", "Transpose": "y", "Tanh": "y"}
"""The names of operations' outputs that are not called `output`."""


class Found(NamedTuple):
    """An operation and the function in which it stands."""

    function: Any
    node: Any


def functions(saved_model: Any, training: bool) -> list[Any]:
    """The functions in which the encoder is computed: those with dropout, or those without it.

    Of the latter only those that leave padding out, if there are any.
    """
    library = saved_model.meta_graphs[0].graph_def.library.function
    encoders = [f for f in library if f.signature.name.startswith("__inference_encode_")]
    found = [f for f in encoders if any(node.op == "RandomUniform" for node in f.node_def) == training]
    packed = [f for f in found if any(node.op == "Where" for node in f.node_def)]
    return packed or found


def find(saved_model: Any, pattern: str, *, training: bool) -> list[Found]:
    """The operations whose names end in a match of a pattern; there must be one."""
    found = [
        Found(function, node)
        for function in functions(saved_model, training)
        for node in function.node_def
        if re.search(f"(?:{pattern})$", node.name)
    ]
    assert found, f"no operation matches {pattern}"
    return found


def scaled(pattern: str, factor: float, *, training: bool) -> Edit:
    """Multiplies the constants of this name."""

    def edit(saved_model: Any) -> None:
        for _, node in find(saved_model, pattern, training=training):
            before = tensor_util.make_ndarray(node.attr["value"].tensor)
            after = (before * np.float64(factor)).astype(before.dtype)
            assert after != before
            node.attr["value"].tensor.CopyFrom(tensor_util.make_tensor_proto(after))

    return edit


def with_constant(pattern: str, value: int, *, training: bool) -> Edit:
    """Gives constants of this name, which are integers, another value."""

    def edit(saved_model: Any) -> None:
        for _, node in find(saved_model, pattern, training=training):
            assert tensor_util.make_ndarray(node.attr["value"].tensor) != value
            node.attr["value"].tensor.CopyFrom(tensor_util.make_tensor_proto(np.int32(value)))

    return edit


def with_rate(pattern: str, rate: float) -> Edit:
    """Sets the rate of dropouts, and what they multiply by to keep the mean. The pattern is that of their scope."""

    def edit(saved_model: Any) -> None:
        for name, value in (("GreaterEqual/y", rate), ("Const", 1 / (1 - rate))):
            for _, node in find(saved_model, f"(?:{pattern})/{name}", training=True):
                node.attr["value"].tensor.CopyFrom(tensor_util.make_tensor_proto(np.float32(value)))

    return edit


def with_swapped_operands(pattern: str, *, training: bool) -> Edit:
    """Swaps the two operands of operations."""

    def edit(saved_model: Any) -> None:
        for _, node in find(saved_model, pattern, training=training):
            node.input[:] = reversed(node.input)

    return edit


def with_another_gelu(pattern: str, *, training: bool) -> Edit:
    """Computes GELU by the error function where it was approximated by tanh, and the other way round.

    The pattern is that of the scope, such as `layer_1/.*Gelu`.
    """

    def edit(saved_model: Any) -> None:
        for function, node in find(saved_model, f"(?:{pattern})/(?:Tanh|Erfc)", training=training):
            scope = node.name.rpartition("/")[0]
            half = next(other for other in function.node_def if other.name == f"{scope}/mul")
            (x,) = (feed for feed in half.input if not feed.startswith(f"{scope}/mul/x"))
            if node.op == "Tanh":
                node.op, node.input[:] = "Erf", [multiply(function, scope, x, 0.5**0.5)]
            else:  # 1 + tanh(√(2/π) (x + 0.044715 x³)) where erfc(-x/√2) was
                square = add(function, f"{scope}/square", "Mul", [x, x])
                cube = add(function, f"{scope}/cube", "Mul", [square, x])
                total = add(
                    function, f"{scope}/total", "AddV2", [x, multiply(function, f"{scope}/cube", cube, 0.044715)]
                )
                tanh = add(function, f"{scope}/tanh", "Tanh", [multiply(function, scope, total, (2 / np.pi) ** 0.5)])
                one = constant(function, f"{scope}/one", np.float32(1))
                redirect(function, f"{node.name}:y:0", add(function, f"{scope}/sum", "AddV2", [one, tanh]))

    return edit


def with_another_head_split(pattern: str, training: bool) -> Edit:
    """Takes the last axis of projections apart as [size, heads], where it was [heads, size]."""

    def edit(saved_model: Any) -> None:
        for function, node in find(saved_model, pattern, training=training):
            tensor = f"{node.name}:{RESULTS.get(node.op, 'output')}:0"
            shape = add(function, f"{node.name}/sizes", "Shape", [tensor], out_type=INT32)
            order = constant(function, f"{node.name}/order", np.array([0, 1, 3, 2], np.int32))
            turned = add(function, f"{node.name}/turned", "Transpose", [tensor, order], Tperm=INT32)
            split = add(function, f"{node.name}/split", "Reshape", [turned, shape], Tshape=INT32)
            made = {reference.partition(":")[0] for reference in (shape, turned)}
            redirect(function, tensor, split, made)

    return edit


def without_normalisation(*, training: bool) -> Edit:
    """What divides the pooled output by its length divides it by 1."""

    def edit(saved_model: Any) -> None:
        for function, node in find(saved_model, "l2_normalize", training=training):
            node.input[1] = constant(function, f"{node.name}/one", np.float32(1))

    return edit


def redirect(function: Any, tensor: str, instead: str, but: set[str] = frozenset()) -> None:
    """Whatever reads a tensor reads another one, except for the operations `but`."""
    for node in function.node_def:
        if node.name not in but:
            node.input[:] = [instead if feed == tensor else feed for feed in node.input]


def add(function: Any, name: str, op: str, inputs: list[str], **types: int) -> str:
    """Adds an operation on float32 tensors to a function; returns the reference to its result."""
    node = function.node_def.add(name=name, op=op, input=inputs)
    for key, value in ({} if op == "Const" else {"T": FLOAT} | types).items():
        node.attr[key].type = value
    return f"{name}:{RESULTS.get(op, 'output')}:0"


def constant(function: Any, name: str, value: np.ndarray) -> str:
    """Adds a constant to a function; returns the reference to it."""
    reference = add(function, name, "Const", [])
    node = function.node_def[-1]
    node.attr["value"].tensor.CopyFrom(tensor_util.make_tensor_proto(value))
    node.attr["dtype"].type = node.attr["value"].tensor.dtype
    return reference


def multiply(function: Any, scope: str, tensor: str, factor: float) -> str:
    """Adds the product of a tensor and a number to a function; returns the reference to it."""
    number = constant(function, f"{scope}/factor", np.float32(factor))
    return add(function, f"{scope}/product", "Mul", [tensor, number])


def in_features(op: str, change: Callable[[Any, Any], None]) -> Edit:
    """Changes the one operation of this type in the functions of signatures: `change(function, node)`."""

    def edit(saved_model: Any) -> None:
        library = saved_model.meta_graphs[0].graph_def.library.function
        served = [function for function in library if function.signature.name.startswith("__inference_serve_")]
        ((function, node),) = [(f, node) for f in served for node in f.node_def if node.op == op]
        change(function, node)

    return edit


def counted_once(function: Any, total: Any) -> None:
    """The mean of three layers, the last two of which are one, becomes the mean of the two."""
    assert total.input[1] == total.input[2]
    del total.input[2]
    total.attr["N"].i = 2
    (divided,) = (node for node in function.node_def if node.op == "RealDiv")
    divided.input[1] = constant(function, f"{divided.name}/two", np.float32(2))


def first_two_swapped(function: Any, node: Any) -> None:
    """An operation's first two operands change places."""
    node.input[:2] = [node.input[1], node.input[0]]


def with_signatures(change: Callable[[Any], Any]) -> Edit:
    """Changes the map of signatures."""
    return lambda saved_model: change(saved_model.meta_graphs[0].signature_def)


def swap_outputs(left: str, right: str, signature: str = "serving_default") -> Edit:
    """Gives two outputs of a signature each other's tensor."""

    def change(signatures: Any) -> None:
        outputs = signatures[signature].outputs
        names = [outputs[key].name for key in (left, right)]
        for key, name in zip((right, left), names, strict=True):
            outputs[key].name = name

    return with_signatures(change)


def drop_output(name: str) -> Edit:
    """Removes an output of the default signature."""
    return with_signatures(lambda signatures: signatures["serving_default"].outputs.pop(name))


def extra_signature(name: str) -> Edit:
    """Adds a signature that nobody has asked for."""
    return with_signatures(lambda signatures: signatures[name].CopyFrom(signatures["serving_default"]))
