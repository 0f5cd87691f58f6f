"""Parts that several sources share: meta graphs and signatures, missing files, fingerprints."""

from __future__ import annotations

import glob
import hashlib
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from surgery.errors import ModuleError
from surgery.formats.saved_model import asset_files, tensor_names
from surgery.formats.tensors import ITEM_SIZES, dtype_name, shape_of
from surgery.formats.text_files import read_json
from surgery.module import Config, MetaGraphInfo, SignatureInfo, TensorInfo, Tensors
from surgery.sources.files import SAVED_MODEL, Files
from surgery.sources.structures import ragged_or_sparse, sparse_parts
from surgery.wording import is_number

VARIABLES = "variables/variables"
"""Prefix of the checkpoint inside a SavedModel."""
GOOGLE_CONFIG = "*bert_config.json"
"""Google-research's config files: `bert_config.json` and `albert_config.json`."""
SIGNED = (SAVED_MODEL, f"{VARIABLES}.index")
"""The files that identify a SavedModel."""

INIT_OP_SIGNATURE = "__saved_model_init_op"
"""TF2's exporter stores the initialisation op under this name. It is no signature for callers."""


def meta_graphs(saved_model: Any) -> tuple[MetaGraphInfo, ...]:
    """Every meta graph with its tags and signatures, in file order."""
    return tuple(
        MetaGraphInfo(
            tags=tuple(sorted(graph.meta_info_def.tags)),
            signatures=tuple(
                SignatureInfo(
                    name=name,
                    inputs=_tensors(graph.signature_def[name].inputs),
                    outputs=_tensors(graph.signature_def[name].outputs),
                    method_name=graph.signature_def[name].method_name,
                )
                for name in sorted(graph.signature_def)
                if name != INIT_OP_SIGNATURE
            ),
            node_count=len(graph.graph_def.node),
            function_count=len(graph.graph_def.library.function),
            operations=_operations(graph.graph_def),
        )
        for graph in saved_model.meta_graphs
    )


def _operations(graph_def: Any) -> tuple[str, ...]:
    """The types of all operations. The file's own list of them lacks some that stand in functions only."""
    functions = graph_def.library.function
    found = {node.op for node in graph_def.node}.union(*([node.op for node in f.node_def] for f in functions))
    return tuple(sorted(found - {function.signature.name for function in functions}))


def assets_by_tensor(meta_graph: Any) -> dict[str, str]:
    """Asset files, relative to the module's folder, by the name of the tensor that holds their path."""
    return {asset.tensor_info.name: f"assets/{asset.filename}" for asset in meta_graph.asset_file_def}


def fingerprint(folder: Path, *names: str) -> dict[str, str]:
    """SHA-256 by file name, for the files that exist.

    The index of a checkpoint stands for the values too: it holds a checksum of every tensor.
    """
    return {name: _sha256(path) for name in names if (path := folder / name).is_file()}


def missing_assets(files: Files, assets: Iterable[str]) -> tuple[str, ...]:
    """Assets of any meta graph, and of these, that are missing or empty, one line each.

    Files that stayed in an archive are not counted. Raises ModuleError for an asset that lies outside of the module.
    """
    graphs = files.saved_model.meta_graphs if files.saved_model is not None else ()
    # TensorFlow joins as Python does: an absolute name stands for itself.
    named = [os.path.join("assets", asset.filename) for graph in graphs for asset in asset_files(graph)]
    return tuple(
        f"{name} is named by the graph, but missing or empty"
        for name in dict.fromkeys([*assets, *named])
        if name not in files.left_out and not _present(files.path(name))
    )


def checkpoint_problems(files: Files, prefix: str) -> tuple[str, ...]:
    """Files of the checkpoint `prefix.index`, `prefix.data-*` that are missing or empty, one line each."""
    problems = []
    if not _present(files.path(f"{prefix}.index")):
        problems.append(f"{prefix}.index is missing or empty: the weights cannot be found")
    unpacked = files.glob(f"{glob.escape(prefix)}.data-*")
    shards = [*unpacked, *(name for name in files.left_out if name.startswith(f"{prefix}.data-"))]
    if not shards:
        problems.append(f"{prefix}.data-* is missing: there are no weights")
    elif empty := [path.name for path in unpacked if not _present(path)]:
        problems.append(f"{Path(prefix).parent / empty[0]} is empty: its weights are gone")
    elif len(shards) != (count := _shard_count(str(shards[0]))):
        problems.append(f"{prefix}.data-*: expected {count} shards, found {len(shards)}")
    return tuple(problems)


def read_config(path: Path) -> Config:
    """Reads a configuration file. Raises ModuleError when it cannot be read or is no JSON object."""
    try:
        values = read_json(path)
    except (OSError, ValueError) as error:
        raise ModuleError(f"reading {path}: {error}", hint="the file is damaged: fetch it again") from error
    if not isinstance(values, dict):
        raise ModuleError(f"reading {path}: expected a JSON object, found a {type(values).__name__}")
    return Config(file=path.name, values=values)


def size_in_bytes(dtype: str, shape: Iterable[int]) -> int:
    """Bytes of a tensor; 0 for strings and other dtypes whose elements have no fixed size."""
    return math.prod(shape) * ITEM_SIZES.get(dtype, 0)


def open_checkpoint(prefix: Path) -> Tensors:
    """The values of the checkpoint `PREFIX.index`, `PREFIX.data-*`. Only those who read them import numpy.

    Raises ModuleError when the checkpoint is missing or damaged.
    """
    from surgery.sources.checkpoint_tensors import CheckpointTensors

    return CheckpointTensors(prefix)


def _sha256(path: Path) -> str:
    digest, part = hashlib.sha256(), bytearray(2**16)
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(part):
            digest.update(memoryview(part)[:size])
    return digest.hexdigest()


def _present(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _shard_count(name: str) -> int:
    tail = name.rpartition("-of-")[2]
    return int(tail) if is_number(tail) else 1


def _tensors(infos: Any) -> tuple[TensorInfo, ...]:
    return tuple(_tensor(key, infos[key]) for key in sorted(infos))


def _tensor(key: str, info: Any) -> TensorInfo:
    """An input or output of a signature. Its parts have the names of their tensors."""
    if info.WhichOneof("encoding") == "composite_tensor":
        composite = info.composite_tensor
        if found := ragged_or_sparse(key, composite.type_spec, [part.name for part in composite.components]):
            return found
    dtype, shape = dtype_name(info.dtype), shape_of(info.tensor_shape)
    if info.WhichOneof("encoding") == "coo_sparse":
        named = zip(sparse_parts(shape, dtype), tensor_names(info), strict=True)
        parts = tuple(TensorInfo(key=part, dtype=of, shape=sizes, name=name) for (part, of, sizes), name in named)
        return TensorInfo(key=key, dtype=dtype, shape=shape, kind="sparse", parts=parts)
    return TensorInfo(key=key, dtype=dtype, shape=shape, name=info.name or None)
