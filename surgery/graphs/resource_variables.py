"""TensorFlow 1's reference variables as resource variables, which can be trained, shared and saved again.

`VariableV2` becomes `VarHandleOp`; the operations that assign to it or read it become those for resources. Only the
operations that are kept by name, and those that lead to them, stay in the graph: optimisers need references.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tensorboard.compat.proto import variable_pb2

from surgery.formats.saved_model import asset_files, tensor_names
from surgery.graphs.op_types import definitions_of
from surgery.graphs.reach import ancestors

REFERENCES = frozenset({"Variable", "VariableV2"})
VARIABLE_LISTS = ("variables", "trainable_variables", "local_variables", "model_variables")
KEPT_LISTS = (*VARIABLE_LISTS, "table_initializer", "saved_model_main_op", "legacy_init_op", "saved_model_assets")
"""Collections that list what is initialised, restored or trained."""
READ = "ReadVariableOp"
FOR_RESOURCES = {
    "Assign": "AssignVariableOp",
    "AssignAdd": "AssignAddVariableOp",
    "AssignSub": "AssignSubVariableOp",
    "Identity": READ,
    "IsVariableInitialized": "VarIsInitializedOp",
}
"""The operation on a resource that does the same, by the operation on a reference."""


class UnsupportedReference(ValueError):
    """An operation that is needed takes a reference, and has no counterpart in FOR_RESOURCES."""


def has_references(meta_graph: Any) -> bool:
    """Whether a graph has reference variables."""
    return any(node.op in REFERENCES for node in meta_graph.graph_def.node)


def mark_trainable(meta_graph: Any) -> None:
    """Sets the flag `trainable` of every variable.

    Before TensorFlow 1.13 there was no such flag, only the list of trainable variables.
    """
    trainable = {variable.variable_name for variable in _variables(meta_graph, "trainable_variables")}
    _change_variables(meta_graph, lambda variable: variable.variable_name in trainable)


def to_resources(meta_graph: Any, kept: Iterable[str]) -> None:
    """Changes a graph in place: reference variables become resource variables.

    Only the operations that the `kept` ones and the signatures need are left. Raises UnsupportedReference.
    """
    for name in [name for name in meta_graph.collection_def if name not in KEPT_LISTS]:
        del meta_graph.collection_def[name]
    graph = meta_graph.graph_def
    nodes = {node.name: node for node in graph.node}
    needed = ancestors(nodes, [*kept, *_roots(meta_graph)])
    references = {name: nodes[name] for name in needed if nodes[name].op in REFERENCES}
    reads = {name: _unused(f"{name}/{READ}", nodes) for name in references}
    definitions = definitions_of(meta_graph)
    changed = [node for node in graph.node if node.name in needed]
    inserted = []
    for node in changed:
        if node.name in references:
            inserted.append(_handle(node, reads[node.name]))
        else:
            _redirect(node, references, reads, definitions)
    everything = [*changed, *inserted]
    del graph.node[:]
    graph.node.extend(everything)
    _change_variables(meta_graph, lambda variable: variable.trainable, resources=True)


def _handle(node: Any, read_name: str) -> Any:
    """Makes a variable a handle. Returns the operation that reads it, for operations that take the variable's value."""
    dtype = node.attr["dtype"].type
    node.op = "VarHandleOp"
    for key in [key for key in node.attr if key.startswith("_")]:
        del node.attr[key]
    node.attr["shared_name"].s = node.attr["shared_name"].s or node.name.encode()
    read = type(node)(name=read_name, op=READ, input=[node.name])
    read.attr["dtype"].type = dtype
    return read


def _redirect(
    node: Any, references: Mapping[str, Any], reads: Mapping[str, str], definitions: Mapping[str, Any]
) -> None:
    owners = [feed.partition(":")[0] for feed in node.input]
    if node.op in FOR_RESOURCES and owners and owners[0] in references:
        dtype = references[owners[0]].attr["dtype"].type
        node.op = FOR_RESOURCES[node.op]
        node.ClearField("attr")
        if node.op != "VarIsInitializedOp":
            node.attr["dtype"].type = dtype
        first = 1
    else:
        first = 0
    for position, owner in enumerate(owners[first:], first):
        if owner in references:
            if _wants_reference(node, position, definitions):
                raise UnsupportedReference(f"{node.name} ({node.op}) works on the reference variable {owner}")
            node.input[position] = reads[owner]


def _wants_reference(node: Any, position: int, definitions: Mapping[str, Any]) -> bool:
    arguments = definitions[node.op].input_arg if node.op in definitions else ()
    return position < len(arguments) and arguments[position].is_ref


def _roots(meta_graph: Any) -> list[str]:
    """Names of the operations and tensors that a loader looks up."""
    names: list[str] = []
    for signature in meta_graph.signature_def.values():
        infos = [*signature.inputs.values(), *signature.outputs.values()]
        names += [name for info in infos for name in tensor_names(info)]
    saver = meta_graph.saver_def
    names += [saver.restore_op_name, saver.filename_tensor_name, saver.save_tensor_name]
    for collection in meta_graph.collection_def.values():
        names += collection.node_list.value
    for key in VARIABLE_LISTS:
        for variable in _variables(meta_graph, key):
            names += [
                variable.variable_name,
                variable.initializer_name,
                variable.snapshot_name,
                variable.initial_value_name,
            ]
    names += [asset.tensor_info.name for asset in asset_files(meta_graph)]
    return [name for name in names if name]


def _variables(meta_graph: Any, key: str) -> list[Any]:
    if key not in meta_graph.collection_def:
        return []
    return [variable_pb2.VariableDef.FromString(data) for data in meta_graph.collection_def[key].bytes_list.value]


def _change_variables(meta_graph: Any, trainable: Any, *, resources: bool = False) -> None:
    for key in VARIABLE_LISTS:
        variables = _variables(meta_graph, key)
        for variable in variables:
            variable.trainable = trainable(variable)
            variable.is_resource = variable.is_resource or resources
        if variables:
            meta_graph.collection_def[key].bytes_list.value[:] = [v.SerializeToString() for v in variables]


def _unused(name: str, nodes: Mapping[str, Any]) -> str:
    while name in nodes:
        name += "_"
    return name
