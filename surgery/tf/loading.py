"""Hands a SavedModel to TensorFlow: only here, and only what the gate has let through (surgery.scanning.gate).

Variables are restored by operations of surgery's own (surgery.graphs.restoring). A module's own restore operation is
never run. A TensorFlow 2 module that is loaded as objects needs no such care: TensorFlow restores it by its own
operations.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf

from surgery.errors import ModuleError
from surgery.formats import saved_model as saved_model_pb
from surgery.formats.checkpoint_check import check_weights
from surgery.formats.saved_model import asset_files
from surgery.graphs.restoring import restored_by_us
from surgery.processes.scratch import filling, scratch_folder
from surgery.scanning.gate import Cleared
from surgery.sources.common import INIT_OP_SIGNATURE, VARIABLES
from surgery.sources.files import SAVED_MODEL
from surgery.tf.meta_graph import only_variables, restore_by_name, variable_handles, with_tags
from surgery.tf.time_limit import exceeded, run_options, time_limit

INIT_OPS = ("saved_model_main_op", "legacy_init_op")
"""Collections with the name of the operation that sets up tables, where no signature names it."""
TABLES = "table_initializer"
"""The collection with the operations that fill the tables, one for each."""


@contextmanager
def loaded_objects(cleared: Cleared, tags: Sequence[str] | None = None, meta_graph: Any = None) -> Iterator[Any]:
    """The object that `tf.saved_model.load` makes. Its assets can be saved again until the block ends.

    Args:
        cleared: The SavedModel.
        tags: The tags of its meta graph; None for the only one.
        meta_graph: A meta graph in place of that of a TensorFlow 1 module; None for its own.
    """
    check_weights(cleared.folder)
    own = cleared.saved_model.meta_graphs
    if meta_graph is None:
        meta_graph = own[0] if tags is None else with_tags(cleared.saved_model, tags)
    if len(own) == 1 and own[0].HasField("object_graph_def"):
        with time_limit(f"setting up {cleared.folder}"):
            loaded = tf.saved_model.load(cleared.folder, None if tags is None else list(tags))
        yield loaded
        return
    meta_graph = restored_by_us(meta_graph)
    meta_graph.ClearField("object_graph_def")  # with one, TensorFlow would load objects
    graph = saved_model_pb.SavedModel(saved_model_schema_version=1, meta_graphs=[meta_graph]).SerializeToString()
    with scratch_folder() as scratch:
        for path in Path(cleared.folder).iterdir():
            if path.is_dir():
                (scratch / path.name).symlink_to(path.resolve(), target_is_directory=True)
        with filling(scratch, f"writing the graph of {cleared.folder}", len(graph)):
            (scratch / SAVED_MODEL).write_bytes(graph)
        with time_limit(f"setting up {cleared.folder}"):
            loaded = tf.saved_model.load(str(scratch), list(meta_graph.meta_info_def.tags))
        yield loaded


def load_around(cleared: Cleared, variables: Mapping[str, tf.Variable], first: tf.Variable) -> Any:
    """The object of an export around variables that exist already. Its functions and its lists have these very ones.

    The values in its checkpoint are not read, and the folder needs none: a small one is written there, because
    TensorFlow demands a checkpoint that matches something.

    Args:
        cleared: The export. Its files must stay where they are for as long as the object may be saved again.
        variables: A variable for each one of the file, by its name there.
        first: The one among them that comes first in the root's list `variables`.

    Raises:
        ModuleError: The file has a variable that is not among them, or one of another shape or dtype.
    """
    tf.train.Checkpoint(variables=[first]).write(_prefix(cleared))

    def existing(_: Any, **wanted: Any) -> tf.Variable:
        known = variables.get(wanted["name"].removesuffix(":0"))
        if known is None or (known.shape, known.dtype) != (tf.TensorShape(wanted["shape"]), wanted["dtype"]):
            raise ModuleError(f"opening {cleared.folder}: its variable {wanted['name']} is not the one expected")
        return known

    partial = tf.saved_model.LoadOptions(allow_partial_checkpoint=True)
    with time_limit(f"setting up {cleared.folder}"), tf.variable_creator_scope(existing):
        return tf.saved_model.load(cleared.folder, options=partial)


def load_into(session: Any, cleared: Cleared, tags: Sequence[str]) -> Mapping[str, Any]:
    """Loads a SavedModel into a session, as a server does, and runs its initialisers. Returns its signatures."""
    check_weights(cleared.folder)
    meta_graph = with_tags(cleared.saved_model, tags)
    saver = tf.compat.v1.train.import_meta_graph(_of_tensorflow(restored_by_us(meta_graph)))
    if saver is not None:
        saver.restore(session, _prefix(cleared))
    if initialisers := _initialisers(meta_graph):
        assets = os.path.join(cleared.folder, "assets")
        feeds = {a.tensor_info.name: os.path.join(assets, a.filename) for a in asset_files(meta_graph)}
        try:
            session.run([session.graph.as_graph_element(name) for name in initialisers], feeds, options=run_options())
        except tf.errors.DeadlineExceededError as error:
            raise exceeded(f"setting up {cleared.folder}") from error
    return dict(_of_tensorflow(meta_graph).signature_def)


def load_variables_into(session: Any, cleared: Cleared, tags: Sequence[str]) -> None:
    """Loads nothing but the variables of a SavedModel into a session.

    A Keras module has a dozen traces of every layer, which cost three times the memory and seconds of optimisation.
    """
    check_weights(cleared.folder)
    meta_graph = only_variables(restored_by_us(with_tags(cleared.saved_model, tags)))
    saver = tf.compat.v1.train.import_meta_graph(_of_tensorflow(meta_graph), clear_devices=True)
    if saver is not None:
        saver.restore(session, _prefix(cleared))
    else:
        session.run(restore_by_name(variable_handles(session.graph), _prefix(cleared)))


def _prefix(cleared: Cleared) -> str:
    return os.path.join(cleared.folder, VARIABLES)


def _initialisers(meta_graph: Any) -> tuple[str, ...]:
    """The names of the operations that set up a meta graph, or of their tensors.

    A hub.Module names no operation for all of its tables: hub runs every initialiser in the collection of tables.
    """
    if INIT_OP_SIGNATURE in meta_graph.signature_def:
        outputs = meta_graph.signature_def[INIT_OP_SIGNATURE].outputs
        return (str(outputs[INIT_OP_SIGNATURE].name),)
    for name in INIT_OPS:
        if name in meta_graph.collection_def and (nodes := meta_graph.collection_def[name].node_list.value):
            return (str(nodes[0]),)
    if TABLES in meta_graph.collection_def:
        return tuple(map(str, meta_graph.collection_def[TABLES].node_list.value))
    return ()


def _of_tensorflow(meta_graph: Any) -> Any:
    """The message as TensorFlow's own class."""
    return tf.compat.v1.MetaGraphDef.FromString(meta_graph.SerializeToString())
