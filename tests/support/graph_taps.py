"""What the tests of taps in the original graph share: models by name, and a module's inner tensors read another way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import tensorflow as tf

from surgery.graphs.merging import Input, Part
from surgery.scanning.gate import clear_folder
from surgery.tf.merged import new_merging
from surgery.tf.session import SavedModelSession
from tests.support.builders import others, plain_models
from tests.support.editing import inspected

v1 = tf.compat.v1

MODELS: Mapping[str, Callable[[Path], Path]] = MappingProxyType(
    {
        "keras3_cnn": plain_models.build_keras3_cnn,
        "tf_keras_cnn": others.build_cnn,
        "keras3_lstm": partial(plain_models.build_lstm, kind="keras3"),
        "tf_keras_lstm": partial(plain_models.build_lstm, kind="tf_keras"),
        "preprocessor": others.build_preprocessor,
        "plain": plain_models.build_plain,
        "random": plain_models.build_random,
        "picky": plain_models.build_picky,
        "half": others.build_half_module,
        "reference_variables": plain_models.build_reference_variables,
        "reference_variables_hub": partial(plain_models.build_reference_variables, hub=True),
        "tf1_control_flow": plain_models.build_tf1_control_flow,
        "odd_keys": plain_models.build_odd_keys,
    }
)


def fetched(module: Path, signature: str, names: list[str], inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Tensors of a TF2 signature's graph, read in a v1 Session beside the module's own restored variables.

    They are found through the graph's data, and run as imported: nothing is loaded, traced or saved as by `tap`.
    """
    found = inspected(module)
    trace = found.signature_traces[signature]
    by_path = {node.path: node for node in trace.open_graph().nodes}
    inner = {
        name: next(feed for node in by_path.values() for feed in node.inputs if feed.node.path == name)
        for name in names
    }
    graph, by_address = trace.open_graph(), {variable.address: variable.name for variable in found.variables}
    arguments = zip(graph.inputs, trace.flat_inputs, strict=True)
    part = Part(
        graph=graph,
        inputs={node: Input(name=leaf.key, dtype=leaf.dtype) for node, (_, leaf) in arguments},
        variables={node: by_address[path] for path, node in graph.variables.items()},
        outputs=inner,
    )
    merging = new_merging()
    merging.add(part)
    with SavedModelSession(clear_folder(module), ["serve"], only_variables=True) as session:
        values = session.graph(merging.result()).run(inputs, names)
    return [values[name] for name in names]


def fetched_tf1(module: Path, tags: list[str], tensors: Mapping[str, str], feeds: Mapping[str, np.ndarray]):
    """Tensors of a TF1 graph by name, in a v1 Session."""
    with tf.Graph().as_default(), v1.Session() as session:
        v1.saved_model.load(session, tags, str(module))
        return session.run(dict(tensors), {f"{name}:0": value for name, value in feeds.items()})


def served(folder: Path, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every output of a signature as a server computes it: by a session, from the files alone."""
    with SavedModelSession(clear_folder(folder), ["serve"]) as session:
        return session.signature(signature)(inputs)


def stored(folder: Path) -> dict[str, list[int]]:
    """Shapes of the tensors in a SavedModel's checkpoint, without the object graph that TF2 keeps there."""
    found = tf.train.list_variables(str(folder / "variables" / "variables"))
    return {name: shape for name, shape in found if not name.startswith("_CHECKPOINTABLE")}
