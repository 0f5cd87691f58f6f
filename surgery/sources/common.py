"""What every SavedModel has, whichever TensorFlow wrote it: meta graphs, signatures, files, fingerprint."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from surgery.formats.object_graph import dtype_name, shape_of
from surgery.module import MetaGraphInfo, SignatureInfo, TensorInfo

INIT_OP_SIGNATURE = "__saved_model_init_op"
"""Not a signature for callers: TF2's exporter stores the initialisation op under it."""


def meta_graphs(saved_model: Any) -> tuple[MetaGraphInfo, ...]:
    """Every meta graph with its tags and signatures, in file order."""
    return tuple(
        MetaGraphInfo(
            tags=tuple(sorted(graph.meta_info_def.tags)),
            signatures=tuple(
                SignatureInfo(
                    name,
                    _tensors(graph.signature_def[name].inputs),
                    _tensors(graph.signature_def[name].outputs),
                    graph.signature_def[name].method_name,
                )
                for name in sorted(graph.signature_def)
                if name != INIT_OP_SIGNATURE
            ),
            node_count=len(graph.graph_def.node),
            function_count=len(graph.graph_def.library.function),
        )
        for graph in saved_model.meta_graphs
    )


def assets_by_tensor(meta_graph: Any) -> dict[str, str]:
    """Asset file names by the name of the tensor that holds their path."""
    return {asset.tensor_info.name: asset.filename for asset in meta_graph.asset_file_def}


def fingerprint(folder: Path) -> dict[str, str]:
    """SHA-256 of the graph and of the variables' index, which holds a CRC of every tensor."""
    files = ("saved_model.pb", "variables/variables.index")
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name in files if (path := folder / name).is_file()}


def file_problems(
    folder: Path, expected: list[str], missing_data: frozenset[str], *, has_variables: bool
) -> tuple[str, ...]:
    """Files that the graph asks for and the folder lacks, one line each."""
    problems = [
        f"{name} is named by the graph, but missing or empty"
        for name in expected
        if name not in missing_data and not _present(folder / name)
    ]
    if has_variables:
        if "variables/variables.index" not in missing_data and not _present(folder / "variables/variables.index"):
            problems.append("variables/variables.index is missing or empty: the weights cannot be found")
        shards = [*folder.glob("variables/variables.data-*"), *(m for m in missing_data if "/variables.data-" in m)]
        if not shards:
            problems.append("variables/variables.data-* is missing: there are no weights")
        elif empty := [path for path in folder.glob("variables/variables.data-*") if not _present(path)]:
            problems.append(f"variables/{empty[0].name} is empty: its weights are gone")
        elif len(shards) != (count := _shard_count(str(shards[0]))):
            problems.append(f"variables/variables.data-*: expected {count} shards, found {len(shards)}")
    return tuple(problems)


def item_size(dtype: str) -> int:
    """Bytes of an element; 0 for strings and what else has no fixed size that numpy knows."""
    try:
        return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize
    except TypeError:
        return 0


def _present(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _shard_count(name: str) -> int:
    tail = name.rpartition("-of-")[2]
    return int(tail) if tail.isdigit() else 1


def _tensors(infos: Any) -> tuple[TensorInfo, ...]:
    return tuple(
        TensorInfo(key, dtype_name(infos[key].dtype), shape_of(infos[key].tensor_shape), infos[key].name or None)
        for key in sorted(infos)
    )
