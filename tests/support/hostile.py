"""The hostile set: modules with one operation that does more than compute, each in another place. Protobuf alone.

`OPERATIONS` plants an operation into a body, and `PLACES` says into which body of a meta graph. What the operations
write is a marker file: a test that finds it knows that the operation was run.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tensorboard.compat.proto import graph_pb2, types_pb2

from surgery.formats import saved_model as saved_model_pb
from surgery.formats.saved_model import tensor_names
from surgery.graphs.functions import functions_of
from surgery.graphs.reach import owner

STRING, FLOAT = types_pb2.DT_STRING, types_pb2.DT_FLOAT
PLANTED = "planted"
"""The name of the planted operation."""
PATH = "PATH"
"""Stands for the marker's path among the attributes of an operation."""


@dataclass(frozen=True)
class Body:
    """The operations of a graph or of a function."""

    nodes: Any
    is_function: bool = False

    def add(self, name: str, op: str, *inputs: str, **attributes: Any) -> str:
        """Adds an operation. An attribute is a string (bytes), a dtype (a number), a function (text), or a list."""
        node = self.nodes.add(name=name, op=op, input=inputs)
        for key, value in attributes.items():
            attribute = node.attr[key]
            if isinstance(value, bytes):
                attribute.s = value
            elif isinstance(value, int):
                attribute.type = value
            elif isinstance(value, str):
                attribute.func.name = value
            elif value and isinstance(value[0], bytes):
                attribute.list.s.extend(value)
            else:
                attribute.list.type.extend(value)
        return name

    def text(self, name: str, value: bytes) -> str:
        """Adds a string constant, and returns its tensor."""
        self.add(name, "Const", dtype=STRING)
        tensor = self.nodes[-1].attr["value"].tensor
        tensor.dtype = STRING
        tensor.tensor_shape.SetInParent()
        tensor.string_val.append(value)
        return f"{name}:output:0" if self.is_function else name


Plant = Callable[[Body, str], str]
"""Adds an operation to a body, with the path of the marker; returns the operation's name."""


def write(body: Body, marker: str, name: str = PLANTED) -> str:
    """A WriteFile that really runs."""
    return body.add(name, "WriteFile", body.text(f"{name}_path", marker.encode()), body.text(f"{name}_text", b"here"))


def _plant(op: str, inputs: int = 1, **attributes: Any) -> Plant:
    """An operation with so many inputs, each of them the marker's path, and attributes that may name it."""

    def plant(body: Body, marker: str) -> str:
        path = body.text(f"{PLANTED}_path", marker.encode())
        given = {key: _with_path(value, marker.encode()) for key, value in attributes.items()}
        return body.add(PLANTED, op, *[path] * inputs, **given)

    return plant


def _with_path(value: Any, marker: bytes) -> Any:
    if isinstance(value, bytes):
        return value.replace(PATH.encode(), marker)
    return [_with_path(item, marker) for item in value] if isinstance(value, list) else value


OPERATIONS: Mapping[str, Plant] = {
    "WriteFile": write,
    "ReadFile": _plant("ReadFile"),
    "MatchingFiles": _plant("MatchingFiles"),
    "DebugIdentity": _plant("DebugIdentity", T=STRING, debug_urls=[b"file://PATH"]),
    "DebugIdentityV2": _plant("DebugIdentityV2", T=STRING, debug_urls=[b"file://PATH"]),
    "DebugNumericSummary": _plant("DebugNumericSummary", T=FLOAT, debug_urls=[b"grpc://localhost:1"]),
    "DumpTensor": _plant("DumpTensor", T=STRING, log_dir_path=b"PATH"),
    "Print": _plant("Print", 2, T=STRING, U=[STRING]),
    "PrintV2": _plant("PrintV2", output_stream=b"file://PATH"),
    "PyFunc": _plant("PyFunc", token=b"pyfunc_0", Tin=[STRING], Tout=[STRING]),
    "PyFuncStateless": _plant("PyFuncStateless", token=b"pyfunc_0", Tin=[STRING], Tout=[STRING]),
    "EagerPyFunc": _plant("EagerPyFunc", token=b"pyfunc_0", Tin=[STRING], Tout=[STRING]),
    "CreateSummaryFileWriter": _plant("CreateSummaryFileWriter", 5),
    "WriteScalarSummary": _plant("WriteScalarSummary", 4, T=FLOAT),
    "ImportEvent": _plant("ImportEvent", 2),
    "RpcCall": _plant("RpcCall", 4),
    "RpcServer": _plant("RpcServer"),
    "Send": _plant("Send", T=STRING, tensor_name=b"x", send_device=b"/job:a", recv_device=b"/job:b"),
    "Recv": _plant("Recv", 0, tensor_type=STRING, tensor_name=b"x"),
    "RemoteCall": _plant("RemoteCall", 2, Tin=[STRING], Tout=[STRING]),
    "CollectiveReduceV2": _plant("CollectiveReduceV2", 4, T=FLOAT),
    "SaveV2": _plant("SaveV2", 4, dtypes=[STRING]),
    "RestoreV2": _plant("RestoreV2", 3, dtypes=[STRING]),
    "MergeV2Checkpoints": _plant("MergeV2Checkpoints", 2),
    "ShardedFilename": _plant("ShardedFilename", 3),
    "Copy": _plant("Copy", T=STRING, debug_ops_spec=[b"DebugIdentity;file://PATH;0"]),
    "CopyHost": _plant("CopyHost", T=STRING, debug_ops_spec=[b"DebugIdentity;file://PATH;0"]),
    "a custom operation": _plant("Stranger>RunShell"),
    "StackV2": _plant("StackV2", elem_type=STRING, stack_name=b"s"),
    "Barrier": _plant("Barrier", 0, component_types=[STRING], shared_name=b"b"),
    "FIFOQueueV2": _plant("FIFOQueueV2", 0, component_types=[STRING], shared_name=b"q"),
    "a shared container": _plant("VarHandleOp", 0, container=b"shared", shared_name=b"v", dtype=FLOAT),
    "ImmutableConst": _plant("ImmutableConst", 0, dtype=FLOAT, memory_region_name=b"PATH"),
    "InitializeTableFromTextFileV2": _plant("InitializeTableFromTextFileV2", 2),
    "TextLineDataset": _plant("TextLineDataset", 3),
    "TFRecordDatasetV2": _plant("TFRecordDatasetV2", 4),
    "FixedLengthRecordDatasetV2": _plant("FixedLengthRecordDatasetV2", 7),
    "SnapshotDatasetV2": _plant("SnapshotDatasetV2", 4),
    "SaveDatasetV2": _plant("SaveDatasetV2", 3),
    "DataServiceDatasetV4": _plant("DataServiceDatasetV4", 10),
    "GeneratorDataset": _plant("GeneratorDataset"),
    "DatasetFromGraph": _plant("DatasetFromGraph"),
    "XlaCallModule": _plant("XlaCallModule", module=b"a compiled program"),
    "GetSessionHandleV2": _plant("GetSessionHandleV2", T=STRING),
    "Abort": _plant("Abort", 0, error_msg=b"PATH"),
}
"""The operations by name, each for the body of a signature's function."""


def small_module() -> Any:
    """A clean SavedModel: one signature of one function, an initialiser, and a saver of one variable."""
    saved_model = saved_model_pb.SavedModel(saved_model_schema_version=1)
    meta_graph = saved_model.meta_graphs.add()
    meta_graph.meta_info_def.tags.append("serve")
    graph = Body(meta_graph.graph_def.node)
    graph.add("x", "Placeholder", dtype=FLOAT)
    graph.add("call", "StatefulPartitionedCall", "x", f="body", Tin=[FLOAT], Tout=[FLOAT])
    graph.add("init", "NoOp")
    graph.add("v", "VarHandleOp", dtype=FLOAT, shared_name=b"v")
    graph.add("read", "ReadVariableOp", "v", dtype=FLOAT)
    graph.add("saver_filename", "Placeholder", dtype=STRING)
    keys = graph.text("keys", b"v")
    parts = graph.text("parts", b"")
    graph.add("saved", "SaveV2", "saver_filename", keys, parts, "read", dtypes=[FLOAT])
    graph.add("save", "Identity", "saver_filename", "^saved", T=STRING)
    graph.add("values", "RestoreV2", "saver_filename", keys, parts, dtypes=[FLOAT])
    graph.add("assign", "AssignVariableOp", "v", "values", dtype=FLOAT)
    graph.add("restore", "NoOp", "^assign")
    function(meta_graph, "body").add("result", "Relu", "x", T=FLOAT)
    signature = meta_graph.signature_def["serving_default"]
    signature.inputs["x"].name, signature.outputs["y"].name = "x:0", "call:0"
    meta_graph.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "init"
    saver = meta_graph.saver_def
    saver.filename_tensor_name, saver.save_tensor_name, saver.restore_op_name = "saver_filename:0", "save:0", "restore"
    return saved_model


def function(meta_graph: Any, name: str) -> Body:
    """Adds a function of one argument `x` that returns its operation `result`."""
    made = meta_graph.graph_def.library.function.add()
    made.signature.name = name
    made.signature.input_arg.add(name="x", type=FLOAT)
    made.signature.output_arg.add(name="y", type=FLOAT)
    made.ret["y"] = "result:activations:0"
    return Body(made.node_def, is_function=True)


def _of(meta_graph: Any, name: str) -> Body:
    return Body(functions_of(meta_graph.graph_def)[name].node_def, is_function=True)


def _body(meta_graph: Any, plant: Plant, marker: str) -> None:
    plant(_of(meta_graph, "body"), marker)


def _control_edge(meta_graph: Any, plant: Plant, marker: str) -> None:
    graph = Body(meta_graph.graph_def.node)
    _before(meta_graph.graph_def.node, "call", plant(graph, marker))


def _before(nodes: Any, name: str, planted: str) -> None:
    next(node for node in nodes if node.name == name).input.append(f"^{planted}")


def _nested(meta_graph: Any, plant: Plant, marker: str) -> None:
    _of(meta_graph, "body").add("outer", "PartitionedCall", "x", f="middle", Tin=[FLOAT], Tout=[FLOAT])
    function(meta_graph, "middle").add("result", "PartitionedCall", "x", f="inner", Tin=[FLOAT], Tout=[FLOAT])
    plant(function(meta_graph, "inner"), marker)


def _in_attribute(op: str, key: str, meta_graph: Any, plant: Plant, marker: str) -> None:
    """In a function that an operation is handed: a branch, a loop's body, the function of a dataset."""
    _of(meta_graph, "body").add("runs", op, "x", **{key: "given"})
    plant(function(meta_graph, "given"), marker)


def _in_list(meta_graph: Any, plant: Plant, marker: str) -> None:
    _of(meta_graph, "body").add("case", "Case", "x")
    _of(meta_graph, "body").nodes[-1].attr["branches"].list.func.add(name="given")
    plant(function(meta_graph, "given"), marker)


def _in_inner_attribute(meta_graph: Any, plant: Plant, marker: str) -> None:
    """In a function that is an attribute of a function that is an attribute."""
    function(meta_graph, "between").add("result", "Relu", "x", T=FLOAT)
    _of(meta_graph, "body").add("runs", "PartitionedCall", "x", f="between")
    _of(meta_graph, "body").nodes[-1].attr["f"].func.attr["g"].func.name = "given"
    plant(function(meta_graph, "given"), marker)


def _named_like_an_operation(meta_graph: Any, plant: Plant, marker: str) -> None:
    """In a function that has an allowed operation's name, and so takes its place."""
    plant(function(meta_graph, "Relu"), marker)


def _gradient(meta_graph: Any, plant: Plant, marker: str) -> None:
    meta_graph.graph_def.library.gradient.add(function_name="body", gradient_func="backward")
    plant(function(meta_graph, "backward"), marker)


def _registered_gradient(meta_graph: Any, plant: Plant, marker: str) -> None:
    meta_graph.graph_def.library.registered_gradients.add(gradient_func="backward", registered_op_type="CustomGradient")
    plant(function(meta_graph, "backward"), marker)


def _saver(name: str, meta_graph: Any, plant: Plant, marker: str) -> None:
    """Before an operation of the saver: what TensorFlow runs when it saves or restores."""
    _before(meta_graph.graph_def.node, name, plant(Body(meta_graph.graph_def.node), marker))


def _saver_function(meta_graph: Any, plant: Plant, marker: str) -> None:
    Body(meta_graph.graph_def.node).add("traced", "StatefulPartitionedCall", "saver_filename", f="traced_restore")
    _before(meta_graph.graph_def.node, "restore", "traced")
    plant(function(meta_graph, "traced_restore"), marker)


def _in_constant(meta_graph: Any, plant: Plant, marker: str) -> None:
    inner = graph_pb2.GraphDef()
    plant(Body(inner.node), marker)
    _of(meta_graph, "body").text("dataset", inner.SerializeToString())


def _in_constants_constant(meta_graph: Any, plant: Plant, marker: str) -> None:
    inner, outer = graph_pb2.GraphDef(), graph_pb2.GraphDef()
    plant(Body(inner.node), marker)
    Body(outer.node).text("inner", inner.SerializeToString())
    _of(meta_graph, "body").text("outer", outer.SerializeToString())


def _object(name: str, meta_graph: Any, plant: Plant, marker: str) -> None:
    """In a function of an object, such as the one that TensorFlow 2 runs when it loads the object."""
    objects = meta_graph.object_graph_def
    root, made = objects.nodes.add(), objects.nodes.add()
    root.user_object.SetInParent()
    root.children.add(node_id=1, local_name=name)
    made.function.concrete_functions.append("of_object")
    objects.concrete_functions["of_object"].SetInParent()
    plant(function(meta_graph, "of_object"), marker)


def _nowhere(meta_graph: Any, plant: Plant, marker: str) -> None:
    plant(Body(meta_graph.graph_def.node), marker)


def _uncalled(meta_graph: Any, plant: Plant, marker: str) -> None:
    plant(function(meta_graph, "uncalled"), marker)


def _switch(meta_graph: Any, plant: Plant, marker: str) -> None:
    """Behind a switch of TensorFlow 1, which its signature runs in one of two cases."""
    graph = Body(meta_graph.graph_def.node)
    graph.add("switch", "Switch", "x", "x", T=FLOAT)
    planted = plant(graph, marker)
    graph.add("case", "Identity", "switch:1", f"^{planted}", T=FLOAT)
    graph.add("merge", "Merge", "switch", "case", T=FLOAT)
    meta_graph.signature_def["serving_default"].outputs["y"].name = "merge:0"


PLACES: Mapping[str, Callable[[Any, Plant, str], None]] = {
    "signature": _body,
    "control edge": _control_edge,
    "two calls deep": _nested,
    "branch": partial(_in_attribute, "If", "then_branch"),
    "loop": partial(_in_attribute, "While", "cond"),
    "dataset's function": partial(_in_attribute, "MapDataset", "f"),
    "list of branches": _in_list,
    "attribute of an attribute": _in_inner_attribute,
    "name of an operation": _named_like_an_operation,
    "switch": _switch,
    "gradient": _gradient,
    "registered gradient": _registered_gradient,
    "initialiser": partial(_saver, "init"),
    "initialiser of an object": partial(_object, "_initialize"),
    "callable": partial(_object, "encode"),
    "restore": partial(_saver, "restore"),
    "restore function": _saver_function,
    "save": partial(_saver, "save"),
    "constant": _in_constant,
    "constant of a constant": _in_constants_constant,
    "graph alone": _nowhere,
    "function alone": _uncalled,
}
"""The places by name, each for a module as `small_module` makes it."""


def hostile(place: str, operation: str, marker: Path) -> Any:
    """A SavedModel message with an operation in a place."""
    saved_model = small_module()
    PLACES[place](saved_model.meta_graphs[0], OPERATIONS[operation], str(marker))
    return saved_model


def hostile_copy(module: Path, folder: Path, marker: Path, *, restoring: bool = False) -> Path:
    """A copy of a real module that writes the marker whenever one of its functions or signatures is run.

    With `restoring`, it writes it instead when its saver is run, to save or to restore.
    """
    shutil.copytree(module, folder)
    file = folder / "saved_model.pb"
    saved_model = saved_model_pb.read(file)
    for meta_graph in saved_model.meta_graphs:
        graph, nodes = Body(meta_graph.graph_def.node), meta_graph.graph_def.node
        planted = write(graph, str(marker))
        saver = meta_graph.saver_def
        ends = [saver.restore_op_name, saver.save_tensor_name] if restoring else _ends(meta_graph)
        for name in {owner(end) for end in ends}:
            _before(nodes, name, planted)
        functions = functions_of(meta_graph.graph_def)
        for name in () if restoring else meta_graph.object_graph_def.concrete_functions:
            planted = write(Body(functions[name].node_def, is_function=True), str(marker))
            for result in {owner(tensor) for tensor in functions[name].ret.values()}:
                if any(node.name == result for node in functions[name].node_def):
                    _before(functions[name].node_def, result, planted)
    file.write_bytes(saved_model.SerializeToString())
    return folder


def _ends(meta_graph: Any) -> list[str]:
    return [end for s in meta_graph.signature_def.values() for info in s.outputs.values() for end in tensor_names(info)]
