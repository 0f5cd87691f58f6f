"""Small graphs and modules made by hand: functions of a few nodes, and SavedModels of named variables."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto import graph_pb2, types_pb2
from tensorboard.util import tensor_util

from surgery.formats import saved_model as saved_model_pb
from surgery.graphs.flat import FlatGraph
from surgery.module import InspectedModule, TensorInfo, Trace
from surgery.tables.anchors import Anchors

FLOAT = types_pb2.DT_FLOAT


class Function:
    """A FunctionDef under construction. Arguments, then nodes; a tensor is its name in the function's encoding."""

    def __init__(self, graph_def: Any, name: str, arguments: Sequence[str]) -> None:
        self.proto = graph_def.library.function.add()
        self.proto.signature.name = name
        for argument in arguments:
            self.proto.signature.input_arg.add(name=argument, type=FLOAT)
        self._numbers = itertools.count()

    def op(self, op: str, *inputs: str, name: str | None = None, port: str = "y:0") -> str:
        """Adds a node and returns its output."""
        node = self.proto.node_def.add(name=name or f"{op.lower()}_{next(self._numbers)}", op=op)
        node.input.extend(inputs)
        return f"{node.name}:{port}"

    def constant(self, value: float, name: str | None = None) -> str:
        tensor = self.op("Const", name=name, port="output:0")
        node = self.proto.node_def[-1]
        node.attr["dtype"].type = FLOAT
        node.attr["value"].tensor.CopyFrom(tensor_util.make_tensor_proto(np.float32(value)))
        return tensor

    def call(self, function: str, *inputs: str, results: int = 1) -> tuple[str, ...]:
        """Adds a call of another function and returns its outputs."""
        name = self.op("StatefulPartitionedCall", *inputs, port="").rstrip(":")
        self.proto.node_def[-1].attr["f"].func.name = function
        return tuple(f"{name}:output:{i}" for i in range(results))

    def returns(self, **results: str) -> None:
        for name, tensor in results.items():
            self.proto.signature.output_arg.add(name=name, type=FLOAT)
            self.proto.ret[name] = tensor


def trace(
    graph_def: Any, function: str, inputs: Any, outputs: Any, captures: Sequence[str] = (), **fields: Any
) -> Trace:
    """A trace of a function that stands in `graph_def`."""
    given = {"callable": "__call__", "training": False} | fields
    return Trace(
        function=function,
        inputs=inputs,
        outputs=outputs,
        captures=tuple(captures),
        open_graph=lambda: FlatGraph.of_function(graph_def, function, captures),
        **given,
    )


def tensor(key: str, *shape: int | None) -> TensorInfo:
    return TensorInfo(key=key, dtype="float32", shape=shape or (None, 4))


def module(traces: Sequence[Trace], signatures: Mapping[str, Trace]) -> InspectedModule:
    """A module that consists of functions only."""
    return InspectedModule(
        name="synthetic",
        folder=".",
        format="TF2 SavedModel",
        variables=(),
        traces=tuple(traces),
        signature_traces=signatures,
        fingerprint={},
        saved_model_bytes=0,
    )


def write_saved_model(folder: Path, variables: Mapping[str, Sequence[int]]) -> Path:
    """A TF2 SavedModel with these float32 variables, one signature, no call, and weights of no content."""
    saved_model = saved_model_pb.SavedModel(saved_model_schema_version=1)
    meta_graph = saved_model.meta_graphs.add()
    meta_graph.meta_info_def.tags.append("serve")
    meta_graph.meta_info_def.tensorflow_version = "2.20.0"
    meta_graph.graph_def.node.add(name="NoOp", op="NoOp")
    signature = meta_graph.signature_def["serving_default"]
    for way, key, shape in ((signature.inputs, "image", (-1, 16, 16, 3)), (signature.outputs, "classes", (-1, 10))):
        way[key].dtype, way[key].name = FLOAT, f"{key}:0"
        for size in shape:
            way[key].tensor_shape.dim.add(size=size)
    graph = meta_graph.object_graph_def
    root, listed = graph.nodes.add(), graph.nodes.add()
    root.children.add(node_id=1, local_name="variables")
    for number, (name, shape) in enumerate(variables.items()):
        node = graph.nodes.add()
        node.variable.name, node.variable.dtype, node.variable.trainable = name, FLOAT, True
        for size in shape:
            node.variable.shape.dim.add(size=size)
        listed.children.add(node_id=number + 2, local_name=str(number))
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(saved_model.SerializeToString())
    (folder / "variables" / "variables.index").write_bytes(b"an index")
    (folder / "variables" / "variables.data-00000-of-00001").write_bytes(b"weights")
    return folder


CNN = {
    "conv/kernel": (3, 3, 3, 8),
    "conv/bias": (8,),
    "norm/gamma": (8,),
    "classes/kernel": (8, 10),
    "classes/bias": (10,),
}


def new_graph() -> Any:
    return graph_pb2.GraphDef()


def anchors(build: Callable[[Function], str], *variables: str) -> Anchors:
    """A graph of `x` and these variables, each anchored under its own name."""
    graph_def = new_graph()
    function = Function(graph_def, "f", ["x", *variables])
    function.returns(result=build(function))
    graph = FlatGraph.of_function(graph_def, "f", list(variables))
    return Anchors(graph, {name: name for name in variables})


def dense(f: Function, tensor: str, kernel: str, bias: str) -> str:
    """Adds a dense layer, as Keras writes it."""
    product = f.op("Einsum", tensor, f.op("ReadVariableOp", kernel, port="value:0"), port="output:0")
    return f.op("AddV2", product, f.op("ReadVariableOp", bias, port="value:0"), port="z:0")
