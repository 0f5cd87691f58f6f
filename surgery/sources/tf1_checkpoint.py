"""TF1 checkpoints as google-research/bert and google-research/albert publish them: config, weights by name, vocabulary.

`bert_config.json` or `albert_config.json` lies beside `PREFIX.index` and `PREFIX.data-*`. The config, and the code that
reads it, define the function that the weights belong to. `PREFIX.meta` is the graph of the program that wrote the
checkpoint, for training or any other purpose. It serves as evidence; it is never called.
"""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Any

from google.protobuf import message

from surgery import limits
from surgery.errors import ModuleError
from surgery.graphs.flat import FlatGraph
from surgery.module import Config, InspectedModule, VariableInfo
from surgery.sources import common
from surgery.sources.files import Files

KNOWN_BY = "*.index"
EXPECTED = "TF1 checkpoint (bert_config.json or albert_config.json with *.ckpt.index and *.ckpt.data-*)"
OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"


def accepts(files: Files) -> bool:
    """True for a folder with the index of a checkpoint, or with one of the two configs and no `config.json`."""
    return bool(
        files.checkpoint or files.glob(KNOWN_BY) or (files.glob(common.GOOGLE_CONFIG) and not files.glob("config.json"))
    )


def inspect(files: Files) -> InspectedModule:
    """Lists the checkpoint's tensors from its index.

    Raises ModuleError when config or index is missing or damaged, when several checkpoints are there and none was
    named, and for an object-based checkpoint of TensorFlow 2.
    """
    from surgery.formats.checkpoint_index import read_index

    prefix = _prefix(files)
    config = _config(files)
    index = read_index(files.path(f"{prefix}.index"))
    if OBJECT_GRAPH_KEY in index.entries:
        raise ModuleError(
            f"opening {files.folder / prefix}: it is a TF2 object-based checkpoint, whose keys carry no names",
            hint="give the SavedModel of the same encoder, or a checkpoint that TensorFlow 1's Saver wrote",
        )
    names = (config.file, f"{prefix}.index")
    meta = files.path(f"{prefix}.meta")
    return InspectedModule(
        name=files.name,
        folder=str(files.folder),
        format="TF1 checkpoint",
        variables=tuple(
            VariableInfo(
                name=name,
                dtype=entry.dtype,
                shape=tuple(size or 0 for size in entry.shape),
                trainable="float" in entry.dtype,
                nbytes=entry.nbytes,
            )
            for name, entry in sorted(index.entries.items())
        ),
        assets=vocabularies(files),
        fingerprint=common.fingerprint(files.folder, *names),
        saved_model_bytes=meta.stat().st_size if meta.is_file() else 0,
        problems=common.checkpoint_problems(files, prefix),
        config=config,
        bare_graph=cache(partial(_graph, meta)) if meta.is_file() else None,
        open_tensors=partial(common.open_checkpoint, files.folder / prefix),
    )


def vocabularies(files: Files) -> dict[str, str]:
    """The tokenizer's file, relative to the folder, by the attribute under which TF Hub's modules have it."""
    if pieces := files.glob("*.model"):
        return {"sp_model_file": pieces[0].name}
    return {"vocab_file": "vocab.txt"} if files.glob("vocab.txt") else {}


def _prefix(files: Files) -> str:
    if files.checkpoint is not None:
        return files.checkpoint
    found = [path.name.removesuffix(".index") for path in files.glob(KNOWN_BY)]
    if len(found) != 1:
        raise ModuleError(
            f"opening {files.folder}: expected one checkpoint, found "
            + (", ".join(found) if found else "a config file without any *.index"),
            hint=f"say which: {files.folder / found[-1]}" if found else "fetch the checkpoint's other files",
        )
    return found[0]


def _config(files: Files) -> Config:
    found = files.glob(common.GOOGLE_CONFIG)
    if len(found) != 1:
        raise ModuleError(
            f"opening {files.folder}: expected bert_config.json or albert_config.json beside the checkpoint, found "
            + (" and ".join(path.name for path in found) or "neither"),
            hint="a checkpoint does not show its head count, dropout or activation: its config file does"
            + ("; if config.json says it, copy that to bert_config.json" if files.glob("config.json") else ""),
        )
    return common.read_config(found[0])


def _graph(path: Path) -> FlatGraph:
    from tensorboard.compat.proto import meta_graph_pb2

    limits.check("saved_model_bytes", path.stat().st_size, f"reading {path}")
    try:
        meta_graph: Any = meta_graph_pb2.MetaGraphDef.FromString(path.read_bytes())
    except (OSError, message.DecodeError) as error:
        raise ModuleError(
            f"reading {path}: {error}", hint="it is damaged; without it, the config alone describes the checkpoint"
        ) from error
    return FlatGraph.of_whole_graph_def(meta_graph.graph_def)
