"""Dtypes and shapes of an operation's outputs, from its OpDef and attributes (tensorflow/core/framework/op_def.proto).

A SavedModel has the OpDefs of most operations that it uses (`stripped_op_list`). For the others, only the number of
outputs is known, from their shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from surgery.formats.tensors import Shape, dtype_name, shape_of

TRANSPARENT = frozenset({"Identity", "IdentityN", "StopGradient", "PreventGradient"})
"""Operations that only pass on their inputs."""
STOPS = frozenset({"StopGradient", "PreventGradient"})
"""Those of them that stop gradients."""
READS = {"ReadVariableOp": "value", "ResourceGather": "output", "ResourceGatherNd": "output"}
"""Operations that read a variable's handle, and the name of their output."""
WRITES = (
    "Assign",
    "Apply",
    "ResourceApply",
    "Save",
    "Restore",
    "MergeV2",
    "NoOp",
    "Summary",
    "Print",
    "VarIsInit",
    "IsVariableInit",
)
"""Beginnings of the types of operations that are run for an effect, such as writing a variable, or that check one."""
UNKNOWN = "unknown"
"""The dtype of an output whose dtype the files do not show."""
HANDLES = frozenset({"resource", "variant"})
"""Dtypes of tensors that are no values: variables, tables, lists of tensors."""
REFERENCE = 100
"""TensorFlow 1 adds this to the number of a dtype, for a reference to a tensor of that dtype."""


def definitions_of(meta_graph: Any) -> dict[str, Any]:
    """OpDefs by type of operation: those in the SavedModel, and the signatures of its functions."""
    found = {function.signature.name: function.signature for function in meta_graph.graph_def.library.function}
    found.update((definition.name, definition) for definition in meta_graph.meta_info_def.stripped_op_list.op)
    return found


def output_types(node: Any, definitions: Mapping[str, Any]) -> list[str]:
    """The dtype of every output of a node, by TensorFlow's Python names. A reference has the dtype of its tensor."""
    if node.op not in definitions:
        return [UNKNOWN] * (len(_shapes(node)) if "_output_shapes" in node.attr else 1)
    definition = definitions[node.op]
    types: list[str] = []
    for argument in definition.output_arg:
        types += _argument_types(argument, node, definition)
    return types


def output_shapes(node: Any, count: int) -> list[Shape | None]:
    """The shape of every output, if the graph shows it; else None, an unknown rank."""
    shapes = [shape_of(shape) for shape in _shapes(node)]
    return shapes if len(shapes) == count else [None] * count


def output_index(port: str, node: Any, definition: Any) -> int:
    """The number of an output among all outputs of a node, as in a GraphDef.

    `port` is "output:1", which counts within one output argument, or already the number. Raises ValueError for an
    output argument that the operation does not have.
    """
    argument, _, index = port.rpartition(":")
    if not argument:
        return int(index)
    offset = 0
    for output in definition.output_arg:
        if output.name == argument:
            return offset + int(index)
        offset += len(_argument_types(output, node, definition))
    raise ValueError(f"it reads the output {argument} of {node.name}, which {node.op} does not have")


def is_set(node: Any, attribute: str) -> bool:
    """A flag of an operation, False where the file leaves it out.

    Asking the message itself for an attribute that it lacks would add it, empty, and the graph could not be loaded.
    """
    return attribute in node.attr and bool(node.attr[attribute].b)


def handed_on(op: str, port: str) -> int | None:
    """The number of the input that an output only passes on; None where the operation computes something."""
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
    """An attribute of a node. The file may leave out an attribute that has its default."""
    if name in node.attr:
        return node.attr[name]
    return next(attribute.default_value for attribute in definition.attr if attribute.name == name)


def _name(number: int) -> str:
    return dtype_name(number - REFERENCE if number > REFERENCE else number)
