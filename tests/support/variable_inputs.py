"""Merged graphs with inputs in place of the values of variables: gradients of these can be float64."""

from __future__ import annotations

from typing import Any

from surgery.formats.tensors import dtype_name
from surgery.graphs.merging import Input, Merged
from surgery.graphs.names import unused
from surgery.graphs.op_types import READS
from tests.support.graph_defs import INT32


def with_variables_as_inputs(merged: Merged, float32: str = "float32") -> Merged:
    """The graph with the values of its variables as inputs, each with its variable's name.

    `float32` is the dtype of the inputs for float32 variables. Raises ValueError for a handle that is given to anything
    but a read, such as a loop.
    """
    handles = {f"{free}:0": free for free in merged.variables}
    taken = {*merged.inputs, *merged.variables, *(node.name for node in merged.graph_def.node)}
    graph_def = type(merged.graph_def)(versions=merged.graph_def.versions, library=merged.graph_def.library)
    inputs = dict(merged.inputs)
    reads: dict[str, str] = {}
    for node in merged.graph_def.node:
        if node.op in READS and node.input[0] in handles:
            free, dtype = handles[node.input[0]], dtype_name(node.attr["dtype"].type)
            inputs[free] = Input(name=merged.variables[free], dtype=float32 if dtype == "float32" else dtype)
            if node.op == "ReadVariableOp":
                reads[f"{node.name}:0"] = node.input[0]
                continue
            written = _gathered(graph_def, node, taken)
        elif any(feed in handles for feed in node.input) or node.op in READS:
            raise ValueError(f"{node.op} ({node.name}) takes the handle of a variable, not its value")
        else:
            written = graph_def.node.add()
            written.CopyFrom(node)
        written.input[:] = [reads.get(feed, feed) for feed in written.input]
    tensors = {name: reads.get(tensor, tensor) for name, tensor in merged.tensors.items()}
    return Merged(graph_def=graph_def, inputs=inputs, variables={}, tensors=tensors)


def _gathered(graph_def: Any, node: Any, taken: set[str]) -> Any:
    """The operation that gathers from a value as `node` gathers from a variable: along the axis after its batches."""
    if node.op == "ResourceGather":
        axis = graph_def.node.add(name=unused(f"{node.name}/axis", taken), op="Const")
        axis.attr["dtype"].type = axis.attr["value"].tensor.dtype = INT32
        axis.attr["value"].tensor.int_val.append(node.attr["batch_dims"].i)
        axis.attr["value"].tensor.tensor_shape.SetInParent()
        written = graph_def.node.add(name=node.name, op="GatherV2", input=[*node.input, f"{axis.name}:0"])
        written.attr["Taxis"].type = INT32
        written.attr["batch_dims"].i = node.attr["batch_dims"].i
    else:
        written = graph_def.node.add(name=node.name, op="GatherNd", input=node.input)
    written.attr["Tparams"].CopyFrom(node.attr["dtype"])
    written.attr["Tindices"].CopyFrom(node.attr["Tindices"])
    return written
