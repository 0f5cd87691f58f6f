"""The plain tensors that a signature takes and returns, and how a caller names them.

A ragged or sparse tensor is several plain ones. TensorFlow 1 keeps it as one input, whose parts have no keys of their
own: a caller names them `x.indices`, `x.values` and `x.dense_shape`, or `x.values` and `x.row_splits`. In a signature
of TensorFlow 2 the parts are inputs with the keys `x`, `x_1` and `x_2`. Both names are understood there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from surgery.formats import object_graph
from surgery.formats.tensors import Shape
from surgery.module import SignatureInfo, TensorInfo
from surgery.module.traces import leaves
from surgery.sources.structures import structure
from surgery.sources.wrappers import wrapped
from surgery.wording import shape_text

COMPONENTS = {"sparse": "{key}_{part}", "ragged": "{key}_component_{number}"}
"""The names that tf.saved_model.load gives to the parts of a TensorFlow 1 signature's input, by its kind."""


@dataclass(frozen=True, kw_only=True)
class Feed:
    """A plain tensor that a signature takes or returns.

    Attributes:
        key: The name under which it is given or returned.
        dtype: Its dtype by TensorFlow's name.
        shape: Its shape, with None for an axis of any size; None for an unknown rank.
        tensor: Its name in the graph.
        argument: The name under which the signature that tf.saved_model.load makes takes it.
        alias: Another name for it; "" for none.
        part_of: The ragged or sparse tensor of which it is a part, or None.
        number: Its number among the parts.
    """

    key: str
    dtype: str
    shape: Shape | None
    tensor: str | None
    argument: str
    alias: str = ""
    part_of: Composite | None = None
    number: int = 0

    @property
    def whole(self) -> str:
        """The key of the input of which it is a part, or its own."""
        return self.part_of.key if self.part_of else self.key

    @property
    def type(self) -> str:
        """Dtype and shape for people, and of which tensor it is a part."""
        part = f", {self.alias}" if self.alias else ""
        whole = f" ({self.part_of.kind} {self.part_of.key}{part})" if self.part_of else ""
        return f"{self.dtype} {shape_text(self.shape)}{whole}"


@dataclass(frozen=True, kw_only=True)
class Composite:
    """A ragged or sparse tensor.

    Attributes:
        key: The key of the input; in TensorFlow 2 that of its first part.
        kind: "ragged" or "sparse".
        rank: The number of its axes, None where it is not known.
        ragged_rank: The number of its ragged axes; 0 for a sparse tensor.
    """

    key: str
    kind: str
    rank: int | None
    ragged_rank: int


def taken(meta_graph: Any, signature: SignatureInfo) -> tuple[Feed, ...]:
    """The plain tensors that a signature takes."""
    aliases = dict(_parts_of_tensorflow_2(meta_graph, signature))
    found: list[Feed] = []
    for tensor in signature.inputs:
        if tensor.parts:
            found += _parts(tensor)
            continue
        alias, whole, number = aliases.get(tensor.key, ("", None, 0))
        found.append(_plain(tensor, alias=alias, part_of=whole, number=number))
    return tuple(found)


def returned(signature: SignatureInfo) -> tuple[Feed, ...]:
    """The plain tensors that a signature returns."""
    return tuple(
        feed for tensor in signature.outputs for feed in (_parts(tensor) if tensor.parts else [_plain(tensor)])
    )


def _plain(tensor: TensorInfo, **part: Any) -> Feed:
    return Feed(key=tensor.key, dtype=tensor.dtype, shape=tensor.shape, tensor=tensor.name, argument=tensor.key, **part)


def _parts(tensor: TensorInfo) -> list[Feed]:
    whole = _composite(tensor.key, tensor)
    return [
        Feed(
            key=f"{tensor.key}.{part.key}",
            dtype=part.dtype,
            shape=part.shape,
            tensor=part.name,
            argument=COMPONENTS[tensor.kind].format(key=tensor.key, part=part.key, number=number),
            part_of=whole,
            number=number,
        )
        for number, part in enumerate(tensor.parts)
    ]


def _composite(key: str, tensor: TensorInfo) -> Composite:
    rank = None if tensor.shape is None else len(tensor.shape)
    return Composite(
        key=key, kind=tensor.kind, rank=rank, ragged_rank=len(tensor.parts) - 1 if tensor.kind == "ragged" else 0
    )


def _parts_of_tensorflow_2(
    meta_graph: Any, signature: SignatureInfo
) -> Iterator[tuple[str, tuple[str, Composite, int]]]:
    """For each input that is a part of a ragged or sparse argument: its other name, the argument, and its number.

    They are read from the function that the signature wraps, whose arguments the SavedModel describes.
    """
    objects = meta_graph.object_graph_def
    if not objects.nodes:
        return
    signatures = object_graph.children(objects, object_graph.ROOT)["signatures"]
    node = object_graph.children(objects, signatures)[signature.name]
    name = objects.nodes[node].bare_concrete_function.concrete_function_name
    (function,) = (f for f in meta_graph.graph_def.library.function if f.signature.name == name)
    wraps = wrapped(function)
    if wraps is None or wraps.function not in objects.concrete_functions:
        return
    arguments = [argument.name for argument in function.signature.input_arg]
    keys = [arguments[number] for number in wraps.inputs]
    given = {tensor.key for tensor in signature.inputs}
    place = 0
    for _, leaf in leaves(structure(objects.concrete_functions[wraps.function].canonicalized_input_signature)):
        if not isinstance(leaf, TensorInfo):
            continue
        own = keys[place : place + max(1, len(leaf.parts))]
        place += len(own)
        if leaf.parts and given.issuperset(own) and len(own) == len(leaf.parts):
            whole = _composite(own[0], leaf)
            for number, (key, part) in enumerate(zip(own, leaf.parts, strict=True)):
                yield key, (f"{own[0]}.{part.key}", whole, number)
