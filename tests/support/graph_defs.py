"""GraphDefs and OpDefs by hand, one line per operation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from tensorboard.compat.proto import op_def_pb2, types_pb2

from surgery.graphs.flat import FlatGraph
from surgery.graphs.merging import Input, Merging, Part
from tests.support.synthetic import new_graph

FLOAT, DOUBLE, INT32, UINT64 = types_pb2.DT_FLOAT, types_pb2.DT_DOUBLE, types_pb2.DT_INT32, types_pb2.DT_UINT64
INT64, RESOURCE = types_pb2.DT_INT64, types_pb2.DT_RESOURCE

STATEFUL = {"ReadVariableOp", "ResourceGather", "RandomUniform", "RandomStandardNormal", "RandomUniformInt", "While"}
OUTPUTS = {"Split": ("first", "rest"), "ReadVariableOp": ("value",), "ResourceGather": ("output",)}
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "MatMul": {"transpose_a": False},
    "StatelessRandomUniform": {"dtype": FLOAT, "T": INT32},
}


def define(op: str) -> Any:
    """The OpDef of an operation; None for names that begin with "unknown" or "call"."""
    if op.startswith(("unknown", "call")):
        return None
    definition = op_def_pb2.OpDef(name=op, is_stateful=op in STATEFUL)
    for name in OUTPUTS.get(op, ("y",)):
        definition.output_arg.add(name=name, type=FLOAT)
    for name, value in DEFAULTS.get(op, {}).items():
        attribute = definition.attr.add(name=name)
        if isinstance(value, bool):
            attribute.default_value.b = value
        else:
            attribute.default_value.type = value
    return definition


def add(container: Any, name: str, op: str, *inputs: str, **attributes: Any) -> str:
    """Adds an operation to the nodes of a graph or of a function. An integer attribute is the number of a dtype."""
    node = container.add(name=name, op=op, input=inputs)
    for key, value in attributes.items():
        if isinstance(value, bool):
            node.attr[key].b = value
        elif isinstance(value, int):
            node.attr[key].type = value
        elif isinstance(value, list):
            node.attr[key].list.type.extend(value)
        else:
            node.attr[key].func.name = value
    return name


def constant(
    container: Any, name: str, values: Iterable[float], shape: tuple[int, ...], *, packed: bool = False
) -> str:
    """Adds a float32 constant. With fewer values than elements, the last one stands for the others."""
    node = container.add(name=name, op="Const")
    tensor = node.attr["value"].tensor
    node.attr["dtype"].type = tensor.dtype = FLOAT
    tensor.tensor_shape.SetInParent()
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    if packed:
        tensor.tensor_content = np.array(list(values), "<f4").tobytes()
    else:
        tensor.float_val.extend(values)
    return name


def part(graph_def: Any, outputs: Mapping[str, str], inputs: Mapping[str, str] | None = None, **fields: Any) -> Part:
    """A part of a GraphDef. `inputs` are the dtypes of its placeholders by name; all its variables have their names."""
    given = inputs or {}
    graph = FlatGraph.of_graph_def(graph_def, list(given), list(outputs.values()))
    return Part(
        graph=graph,
        inputs={node: Input(name=node.path, dtype=given[node.path]) for node in graph.inputs},
        variables={node: path for path, node in graph.variables.items()},
        outputs=dict(zip(outputs, graph.outputs, strict=True)),
        **fields,
    )


def new_merging(**options: Any) -> Merging:
    """An empty merged graph of operations that `define` knows."""
    return Merging(new_graph(), define, **options)
