"""TF2 SavedModels: those whose first meta graph carries an object graph."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from typing import Any

from surgery.formats import object_graph
from surgery.formats.tensors import dtype_name, shape_of
from surgery.graphs.flat import FlatGraph
from surgery.module import InspectedModule, Trace, VariableInfo
from surgery.sources import common
from surgery.sources.files import SAVED_MODEL, Files
from surgery.sources.structures import argument_names, structure
from surgery.sources.wrappers import wrapped

KNOWN_BY = SAVED_MODEL
EXPECTED = f"SavedModel ({SAVED_MODEL})"

KERAS_CHILDREN = frozenset({"variables", "trainable_variables", "regularization_losses", "keras_api", "signatures"})
"""Children that Keras adds to every object. They are no callables of the module."""


def accepts(files: Files) -> bool:
    """True for a SavedModel that has an object graph."""
    return files.with_objects is not None


def inspect(files: Files) -> InspectedModule:
    """Reads variables, assets and callables from the object graph, everything else as for any SavedModel."""
    return inspect_below(files, object_graph.ROOT)


def inspect_below(files: Files, root: int) -> InspectedModule:
    """The module whose root is the node `root` of the object graph.

    Its variables keep their paths from the graph's own root.
    """
    saved_model, folder, meta_graph = files.saved_model, files.folder, files.with_objects
    assert meta_graph is not None, "`accepts` is true only where there is one"
    graph, where = meta_graph.object_graph_def, files.object_paths
    kinds = object_graph.kinds(graph, sorted(where))
    own = {node: name for name, node in object_graph.children(graph, root).items()}
    asset_files = [f"assets/{asset.filename}" for asset in meta_graph.asset_file_def]
    assets = {
        own.get(node, where[node]): asset_files[graph.nodes[node].asset.asset_file_def_index]
        for node, kind in kinds.items()
        if kind == "asset"
    }
    variables = _variables(graph, where, [node for node, kind in kinds.items() if kind == "variable"], root)
    return InspectedModule(
        name=files.name,
        folder=str(folder),
        format="TF2 SavedModel",
        tensorflow_version=meta_graph.meta_info_def.tensorflow_version,
        meta_graphs=common.meta_graphs(saved_model),
        variables=variables,
        assets=assets,
        traces=tuple(_traces(meta_graph, where, root)),
        signature_traces=_signature_traces(meta_graph, where),
        fingerprint=common.fingerprint(folder, *common.SIGNED),
        saved_model_bytes=(folder / SAVED_MODEL).stat().st_size,
        problems=(
            *common.missing_assets(files, asset_files),
            *(common.checkpoint_problems(files, common.VARIABLES) if variables else ()),
        ),
        open_tensors=partial(common.open_checkpoint, folder / common.VARIABLES),
        saved_model=saved_model,
    )


def _variables(graph: Any, where: dict[int, str], nodes: list[int], root: int) -> tuple[VariableInfo, ...]:
    """The variables at these nodes of the object graph."""
    trainable = _trainable(graph, root)
    own = {node: name for name, node in object_graph.children(graph, root).items()}
    found = []
    for node in nodes:
        saved = graph.nodes[node].variable
        shape = shape_of(saved.shape) or ()
        dtype = dtype_name(saved.dtype)
        sizes = tuple(size or 0 for size in shape)
        path = where[node]
        found.append(
            VariableInfo(
                name=saved.name.removesuffix(":0") or path,
                dtype=dtype,
                shape=sizes,
                trainable=trainable.get(node, saved.trainable),
                watched=saved.trainable,
                listed=node in trainable,
                path=path,
                attribute=own.get(node),
                nbytes=common.size_in_bytes(dtype, sizes),
            )
        )
    return tuple(found)


def _trainable(graph: Any, root: int) -> dict[int, bool]:
    """Whether fine-tuning trains each variable, by node: whether it is in the list `trainable_variables`.

    The root's list comes first, then those of its children. A variable's own flag is not enough: when a Keras layer
    is frozen, its variables keep their flags but leave the list.
    """
    found: dict[int, bool] = {}
    for owner in (root, *object_graph.children(graph, root).values()):
        lists = object_graph.children(graph, owner)
        if "variables" in lists and "trainable_variables" in lists:
            trainable = set(object_graph.children(graph, lists["trainable_variables"]).values())
            for node in object_graph.children(graph, lists["variables"]).values():
                found.setdefault(node, node in trainable)
    return found


def _traces(meta_graph: Any, where: dict[int, str], root: int) -> list[Trace]:
    """Concrete functions of the root's `__call__` and of its callable children, such as `.mlm`."""
    graph = meta_graph.object_graph_def
    children = object_graph.children(graph, root)
    found: list[Trace] = []
    seen: set[int] = set()
    for owner, name in [(root, ""), *((node, name) for name, node in children.items())]:
        if name in KERAS_CHILDREN or name.startswith(("layer-", "layer_with_weights-")):
            continue
        kind = graph.nodes[owner].WhichOneof("kind")
        if kind == "function" and not name.startswith("_") and name != "call_and_return_all_conditional_losses":
            node: int | None = owner
        else:
            node = object_graph.children(graph, owner).get("__call__")
        if node is None or node in seen:
            continue
        seen.add(node)
        found += _function_traces(meta_graph, name or "__call__", node, where)
    return found


def _signature_traces(meta_graph: Any, where: dict[int, str]) -> dict[str, Trace]:
    """The concrete function behind each signature, by the signature's name.

    It names its outputs; the meta graph only numbers them.
    """
    graph = meta_graph.object_graph_def
    signatures = object_graph.children(graph, object_graph.ROOT).get("signatures")
    named = {
        name: graph.nodes[node].bare_concrete_function.concrete_function_name
        for name, node in (object_graph.children(graph, signatures).items() if signatures is not None else ())
    }
    wrappers = set(named.values())
    wraps = {
        function.signature.name: wrapped(function)
        for function in meta_graph.graph_def.library.function
        if function.signature.name in wrappers
    }
    return {
        name: replace(_trace(meta_graph, name, function, (), where), wraps=wraps.get(function))
        for name, function in named.items()
        if function in graph.concrete_functions
    }


def _function_traces(meta_graph: Any, name: str, node: int, where: dict[int, str]) -> list[Trace]:
    saved = meta_graph.object_graph_def.nodes[node].function
    arguments = argument_names(saved.function_spec)
    return [_trace(meta_graph, name, function, arguments, where) for function in saved.concrete_functions]


def _trace(meta_graph: Any, name: str, function: str, arguments: tuple[str, ...], where: dict[int, str]) -> Trace:
    graph = meta_graph.object_graph_def
    concrete = graph.concrete_functions[function]
    positional, keyword = structure(concrete.canonicalized_input_signature)
    constants = {**dict(zip(arguments, positional, strict=False)), **keyword}
    training = constants.get("training")
    # A caller passes one structure of inputs; every other argument of a Keras call is a Python constant.
    one = bool(positional) and isinstance(positional[0], dict | list)
    captures = tuple(
        where.get(bound) if graph.nodes[bound].WhichOneof("kind") == "variable" else None
        for bound in concrete.bound_inputs
    )
    return Trace(
        callable=name,
        function=function,
        training=training if isinstance(training, bool) else None,
        inputs=positional[0] if one else positional or keyword,
        outputs=structure(concrete.output_signature),
        captures=captures,
        open_graph=cache(lambda: FlatGraph.of_function(meta_graph.graph_def, function, captures)),
    )
