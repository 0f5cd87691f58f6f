"""What an operation returns, from its OpDef and its attributes (tensorflow/core/framework/op_def.proto).

A SavedModel brings the OpDefs of most operations that it uses (`stripped_op_list`). Of the others only the number of
outputs is known, from their shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from surgery.formats.tensors import Shape, dtype_name, shape_of

TRANSPARENT = frozenset({"Identity", "IdentityN", "StopGradient", "PreventGradient"})
"""Operations that only hand on what they take."""
UNKNOWN = "unknown"
"""The dtype of an output of which the files do not say more."""
HANDLES = frozenset({"resource", "variant"})
"""Dtypes of tensors that are no values: variables, tables, lists of tensors."""
REFERENCE = 100
"""What TensorFlow 1 adds to the number of a dtype for a reference to such a tensor."""


def definitions_of(meta_graph: Any) -> dict[str, Any]:
    """OpDefs by operation: those that the SavedModel brings, and the signatures of its functions."""
    found = {function.signature.name: function.signature for function in meta_graph.graph_def.library.function}
    found.update((definition.name, definition) for definition in meta_graph.meta_info_def.stripped_op_list.op)
    return found


def output_types(node: Any, definitions: Mapping[str, Any]) -> list[str]:
    """The dtype of every output of a node, in TensorFlow's Python names; references count as what they refer to."""
    if node.op not in definitions:
        return [UNKNOWN] * (len(_shapes(node)) if "_output_shapes" in node.attr else 1)
    definition = definitions[node.op]
    types: list[str] = []
    for argument in definition.output_arg:
        types += _argument_types(argument, node, definition)
    return types


def output_shapes(node: Any, count: int) -> list[Shape | None]:
    """The shape of every output where the graph says it, else None: unknown rank."""
    shapes = [shape_of(shape) for shape in _shapes(node)]
    return shapes if len(shapes) == count else [None] * count


def output_index(port: str, node: Any, definition: Any) -> int:
    """`name:output:1` counts within one output argument; a GraphDef counts through all of them."""
    argument, _, index = port.rpartition(":")
    if not argument:
        return int(index)
    offset = 0
    for output in definition.output_arg:
        if output.name == argument:
            return offset + int(index)
        offset += len(_argument_types(output, node, definition))
    raise KeyError(f"{node.op} has no output {argument}")


def handed_on(op: str, port: str) -> int | None:
    """The number of the input that an output only hands on; None where the operation computes something."""
    if op not in TRANSPARENT:
        return None
    return int(port.rpartition(":")[2]) if op == "IdentityN" else 0


def _shapes(node: Any) -> Any:
    return node.attr["_output_shapes"].list.shape if "_output_shapes" in node.attr else ()


def _argument_types(argument: Any, node: Any, definition: Any) -> list[str]:
    if argument.type_list_attr:
        return [_name(number) for number in _attribute(argument.type_list_attr, node, definition).list.type]
    number = _attribute(argument.type_attr, node, definition).type if argument.type_attr else argument.type
    return [_name(number)] * (_attribute(argument.number_attr, node, definition).i if argument.number_attr else 1)


def _attribute(name: str, node: Any, definition: Any) -> Any:
    """An attribute of a node; one that has its default may have been left out of the file."""
    if name in node.attr:
        return node.attr[name]
    return next(attribute.default_value for attribute in definition.attr if attribute.name == name)


def _name(number: int) -> str:
    return dtype_name(number - REFERENCE if number > REFERENCE else number)
