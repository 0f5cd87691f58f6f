"""Changed copies of sample modules: the protobuf of `saved_model.pb` is edited, the other files stay as they are."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Container, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.util import tensor_util

from surgery.formats import object_graph
from surgery.formats import saved_model as saved_model_pb
from surgery.module import InspectedModule
from surgery.sources import inspect_folder
from surgery.sources.files import Files
from surgery.sources.output_names import name_outputs
from tests.support.graph_defs import FLOAT, RESOURCE, add

Edit = Callable[[Any], Any]


def edited(module: Path, folder: Path, edit: Edit) -> Path:
    """Copies `module` to `folder`, with its SavedModel message changed by `edit`."""
    shutil.copytree(module, folder)
    path = folder / "saved_model.pb"
    saved_model = saved_model_pb.read(path)
    edit(saved_model)
    path.write_bytes(saved_model.SerializeToString())
    return folder


def inspected(folder: Path) -> InspectedModule:
    """The inspected module of a folder, with the names of its signatures' outputs."""
    return name_outputs(inspect_folder(Files(folder=folder, name=folder.name)))


def inspect_edited(module: Path, folder: Path, edit: Edit) -> InspectedModule:
    """The inspected module of a changed copy."""
    return inspected(edited(module, folder, edit))


def node_defs(saved_model: Any, pattern: str) -> Iterator[Any]:
    """Nodes of every function whose name ends in a match of `pattern`, below the name of a layer's own function.

    Keras traces a layer into functions of its own; the layer's name then stands in the function's name only.
    """
    for function in saved_model.meta_graphs[0].graph_def.library.function:
        layer = re.sub(r"^__inference_|_layer_call_.*", "", function.signature.name)
        for node in function.node_def:
            if re.search(f"(?:^|/){pattern}$", f"{layer}/{node.name}"):
                yield node


def set_constants(saved_model: Any, pattern: str, value: float) -> None:
    """Sets every constant with a matching name; there must be one."""
    found = list(node_defs(saved_model, pattern))
    assert found, f"no node matches {pattern}"
    for node in found:
        before = tensor_util.make_ndarray(node.attr["value"].tensor)
        node.attr["value"].tensor.CopyFrom(tensor_util.make_tensor_proto(np.full_like(before, value)))


def replace_constants(saved_model: Any, pattern: str, before: float, after: float) -> None:
    """Changes the scalar constants with a matching name and the value `before`; there must be one."""
    found = [
        node
        for node in node_defs(saved_model, pattern)
        if node.op == "Const"
        and np.array_equal(tensor_util.make_ndarray(node.attr["value"].tensor), np.float32(before))
    ]
    assert found, f"no constant that matches {pattern} is {before}"
    for node in found:
        node.attr["value"].tensor.CopyFrom(tensor_util.make_tensor_proto(np.float32(after)))


def set_ops(saved_model: Any, pattern: str, op: str) -> None:
    """Replaces the operation of every node with a matching name; there must be one."""
    found = list(node_defs(saved_model, pattern))
    assert found, f"no node matches {pattern}"
    for node in found:
        node.op = op


def objects(saved_model: Any) -> Any:
    """The object graph."""
    return saved_model.meta_graphs[0].object_graph_def


def variable(saved_model: Any, name: str) -> Any:
    """The object of the variable with this name."""
    for node in objects(saved_model).nodes:
        if node.WhichOneof("kind") == "variable" and node.variable.name.removesuffix(":0") == name:
            return node
    raise AssertionError(f"no variable {name}")


def drop_variable(saved_model: Any, name: str) -> None:
    """Makes the object of a variable something else; its id stays, so that all others keep theirs."""
    variable(saved_model, name).user_object.identifier = "_generic_user_object"


def rename_variable(saved_model: Any, name: str, new: str) -> None:
    variable(saved_model, name).variable.name = new


def reshape_variable(saved_model: Any, name: str, shape: Iterable[int]) -> None:
    proto = variable(saved_model, name).variable.shape
    del proto.dim[:]
    for size in shape:
        proto.dim.add(size=size)


def add_variable(saved_model: Any, name: str, shape: Iterable[int]) -> None:
    """Adds a trainable float32 variable to the root's list of variables."""
    graph = objects(saved_model)
    node = graph.nodes.add()
    node.variable.name = name
    node.variable.dtype = 1
    node.variable.trainable = True
    for size in shape:
        node.variable.shape.dim.add(size=size)
    listed = graph.nodes[object_graph.children(graph, object_graph.ROOT)["variables"]]
    listed.children.add(node_id=len(graph.nodes) - 1, local_name=str(len(listed.children)))


def keep_traces(saved_model: Any, callable_name: str, functions: Iterable[str]) -> None:
    """Leaves a callable of the root with these concrete functions only."""
    graph = objects(saved_model)
    node = object_graph.children(graph, object_graph.ROOT)[callable_name]
    if graph.nodes[node].WhichOneof("kind") != "function":
        node = object_graph.children(graph, node)["__call__"]
    kept = [name for name in graph.nodes[node].function.concrete_functions if name in set(functions)]
    del graph.nodes[node].function.concrete_functions[:]
    graph.nodes[node].function.concrete_functions.extend(kept)


def without_training(module: InspectedModule) -> Edit:
    """The edit that removes the training traces of `__call__`."""
    kept = [t.function for t in module.traces if t.callable == "__call__" and not t.training]
    return lambda saved_model: keep_traces(saved_model, "__call__", kept)


def double_a_weight(saved_model: Any, names: Container[str]) -> None:
    """Lets functions add a weight to itself before they compute anything."""
    for function in saved_model.meta_graphs[0].graph_def.library.function:
        if function.signature.name in names:
            handle = next(argument.name for argument in function.signature.input_arg if argument.type == RESOURCE)
            for node in function.node_def:
                node.input.append("^write")
            add(function.node_def, "before", "ReadVariableOp", handle, dtype=FLOAT)
            add(function.node_def, "write", "AssignAddVariableOp", handle, "before:value:0", dtype=FLOAT)
