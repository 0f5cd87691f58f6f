"""What a SavedModel is to TensorFlow Serving: its name and version, what goes in and out, and how large a reply is."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surgery.errors import ModuleError, UsageError
from surgery.explanation.inspection import explain_module
from surgery.export.manifest import read_manifest
from surgery.export.text_facts import read_text_facts
from surgery.module import SERVE, InspectedModule, SignatureInfo, TensorInfo
from surgery.sources import inspect_folder
from surgery.sources.files import SAVED_MODEL, Files
from surgery.tfserving.example_inputs import sizes
from surgery.tfserving.reply_size import LIMIT, is_exact, json_bytes, largest, reply_bytes, tensor_bytes
from surgery.tfserving.text_operations import text_operations

DEFAULT = "serving_default"
LENGTH = 128
WARMUP = Path("assets.extra") / "tf_serving_warmup_requests"


@dataclass(frozen=True)
class Reply:
    """What a signature returns at a batch and a length: bytes over gRPC by output (None: strings) and in all.

    `exact` is False where integers are counted at most, or strings not at all. `columns` and `rows` are about the bytes
    of the same reply over REST, to requests with `inputs` and with `instances`. `largest_batch` is the greatest that
    gRPC's default takes, and None where the batch is not free.
    """

    outputs: dict[str, int | None]
    total: int
    exact: bool
    columns: int
    rows: int
    largest_batch: int | None

    @property
    def fits(self) -> bool:
        return self.total <= LIMIT


@dataclass(frozen=True)
class ServedSignature:
    """A signature, and its reply."""

    signature: SignatureInfo
    reply: Reply

    @property
    def name(self) -> str:
        return self.signature.name

    @property
    def ragged(self) -> bool:
        """Whether requests may differ in more than their number of rows."""
        return any(tensor.shape is None or None in tensor.shape[1:] for tensor in self.signature.inputs)

    @property
    def batched(self) -> bool:
        """Whether the first axis is free wherever something goes in or out: what the server can merge and split."""
        tensors = (*self.signature.inputs, *self.signature.outputs)
        return bool(self.signature.inputs) and all(t.shape is None or t.shape[:1] == (None,) for t in tensors)


@dataclass(frozen=True)
class Served:
    """A SavedModel as the server sees it.

    `version` is None where its folder is no number, `base_path` then where it would have to be moved to. `newer` are
    versions beside it that the server would prefer. `longest` is the most tokens of a row, where that is known.
    """

    folder: Path
    model: str
    version: int | None
    base_path: Path
    newer: tuple[int, ...]
    signatures: tuple[ServedSignature, ...]
    batch: int
    length: int
    longest: int | None
    text_operations: tuple[str, ...]
    warmup_bytes: int | None

    @property
    def first(self) -> ServedSignature:
        """The signature for examples: the server's default where it is among them."""
        return next((s for s in self.signatures if s.name == DEFAULT), self.signatures[0])


def open_served(folder: Path, names: Sequence[str] = (), *, batch: int = 1, length: int | None = None) -> Served:
    """Inspects a SavedModel without TensorFlow, see `describe_served`. Raises ModuleError where there is none."""
    folder = Path(os.path.abspath(folder))
    if not (folder / SAVED_MODEL).is_file():
        raise ModuleError(
            f"opening the export {folder}: expected a {SAVED_MODEL} there", hint=_where(folder) or "give its folder"
        )
    return describe_served(inspect_folder(Files(folder, folder.name)), names, batch=batch, length=length)


def describe_served(
    module: InspectedModule, names: Sequence[str] = (), *, batch: int = 1, length: int | None = None
) -> Served:
    """What an inspected SavedModel is to the server; `names` are the signatures meant, all without;
    `length` is 128 unless it is given, or the longest row.

    Raises ModuleError for what the server cannot load, UsageError for a signature or length that there is not.
    """
    folder = Path(os.path.abspath(module.folder))
    signatures = _signatures(module, names)
    longest = longest_row(folder, module)
    if length is None:
        length = min(LENGTH, longest or LENGTH)
    if longest is not None and length > longest:
        raise UsageError(f"--length {length}: {folder} has rows of at most {longest} tokens")
    model, version, base_path = name_of(folder)
    graphs = [graph for graph in module.saved_model.meta_graphs if _is_served(graph)]
    path = folder / WARMUP
    return Served(
        folder,
        model,
        version,
        base_path,
        _newer(base_path, version),
        tuple(ServedSignature(s, reply_of(s, model, version or 1, batch, length)) for s in signatures),
        batch,
        length,
        longest,
        tuple(dict.fromkeys(kind for graph in graphs for kind in text_operations(graph.graph_def))),
        path.stat().st_size if path.is_file() else None,
    )


def name_of(folder: Path) -> tuple[str, int | None, Path]:
    """Model name, version and base path of a SavedModel's folder: `served/bert/7` is version 7 of bert."""
    if re.fullmatch("[0-9]+", folder.name):
        return folder.parent.name or "model", int(folder.name), folder.parent
    return folder.name, None, folder.with_name(f"{folder.name}_served")


def longest_row(folder: Path, module: InspectedModule) -> int | None:
    """The most tokens of a row: what texts are cut at, or an encoder's positions, by the manifest or as inferred.

    None where neither says it.
    """
    if (texts := read_text_facts(folder)) is not None:
        return texts.seq_length
    try:
        said = read_manifest(folder)["architecture"]["max_position_embeddings"]
    except (OSError, ValueError, LookupError, TypeError):
        inference = explain_module(module).inference
        said = None if inference is None else inference.architecture["max_position_embeddings"]
    return said if isinstance(said, int) and said > 0 else None


def reply_of(signature: SignatureInfo, model: str, version: int, batch: int, length: int) -> Reply:
    """The reply of a signature to a request of a batch and length."""

    def shaped(rows: int) -> dict[str, tuple[str, tuple[int, ...]]]:
        known = ((t, sizes(t.shape, rows, length)) for t in signature.outputs)
        return {tensor.key: (tensor.dtype, size) for tensor, size in known if size is not None}

    def total(rows: int) -> int:
        return reply_bytes(shaped(rows), model, version, signature.name)

    found = shaped(batch)
    free = any(t.shape is not None and t.shape[:1] == (None,) for t in signature.outputs)
    return Reply(
        {t.key: tensor_bytes(*found[t.key]) if t.key in found else None for t in signature.outputs},
        total(batch),
        all(t.shape is not None and is_exact(t.dtype) for t in signature.outputs),
        json_bytes(found, rows=False),
        json_bytes(found, rows=True),
        largest(lambda rows: total(rows) <= LIMIT) if free else None,
    )


def fewest(signature: ServedSignature) -> tuple[TensorInfo, int] | None:
    """The output with the smallest reply of its own, and its bytes."""
    sized = [(size, t) for t in signature.signature.outputs if (size := signature.reply.outputs[t.key]) is not None]
    return min(((t, size) for size, t in sized), key=lambda found: found[1], default=None)


def _signatures(module: InspectedModule, names: Sequence[str]) -> tuple[SignatureInfo, ...]:
    try:
        graph = module.meta_graph(SERVE)
    except KeyError:
        tags = ", ".join("{" + ", ".join(tags) + "}" for tags in module.tag_sets) or "none"
        raise ModuleError(
            f"opening the export {module.folder}: TensorFlow Serving loads the graph with the tags {{serve}}; it has "
            f"{tags}",
            hint="surgery convert writes one that can be served",
        ) from None
    offered = {s.name: s for s in graph.signatures if not s.name.startswith("__")}
    unknown = [name for name in names if name not in offered]
    if unknown or not offered:
        raise UsageError(
            f"--signature {', '.join(unknown)}: {module.folder} has no such signature"
            if unknown
            else f"opening the export {module.folder}: it has no signature, so there is nothing to serve",
            hint="it has " + (", ".join(offered) or "none"),
        )
    return tuple(offered[name] for name in dict.fromkeys(names)) if names else tuple(offered.values())


def _is_served(meta_graph: Any) -> bool:
    return tuple(sorted(meta_graph.meta_info_def.tags)) == SERVE


def _newer(base_path: Path, version: int | None) -> tuple[int, ...]:
    if version is None or not base_path.is_dir():
        return ()
    found = (int(p.name) for p in base_path.iterdir() if re.fullmatch("[0-9]+", p.name) and p.is_dir())
    return tuple(sorted(number for number in found if number > version))


def _where(folder: Path) -> str | None:
    below = sorted(path.parent for path in folder.glob(f"*/{SAVED_MODEL}")) if folder.is_dir() else []
    return "did you mean " + " or ".join(map(str, below[:3])) + "?" if below else None
