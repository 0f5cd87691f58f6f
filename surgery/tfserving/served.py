"""A SavedModel as TensorFlow Serving sees it: its name and version, its signatures, and the size of their replies."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surgery.arguments import argument
from surgery.errors import ModuleError, UsageError
from surgery.explanation.inspection import explain_module
from surgery.export.manifest import read_manifest, read_packed
from surgery.export.text_facts import read_text_facts
from surgery.module import SERVE, InspectedModule, SignatureInfo, TensorInfo
from surgery.results import Brief
from surgery.sources import inspect_folder
from surgery.sources.files import SAVED_MODEL, Files
from surgery.tfserving.reply import Reply, reply_of
from surgery.tfserving.text_operations import text_operations
from surgery.wording import did_you_mean

DEFAULT = "serving_default"
LENGTH = 128
WARMUP = Path("assets.extra") / "tf_serving_warmup_requests"


@dataclass(frozen=True, kw_only=True)
class ServedSignature:
    """A signature and its reply.

    Attributes:
        signature: Inputs and outputs.
        reply: The size of the reply to the described request.
        zeros: Its outputs whose rows of padding are zeros, where it leaves padding out; None where it does not.
    """

    signature: SignatureInfo
    reply: Reply
    zeros: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        return self.signature.name

    @property
    def ragged(self) -> bool:
        """Whether two requests may differ in more than their number of rows."""
        return any(tensor.shape is None or None in tensor.shape[1:] for tensor in self.signature.inputs)

    @property
    def batched(self) -> bool:
        """Whether the first axis of every input and output is free, so that the server can merge and split batches."""
        tensors = (*self.signature.inputs, *self.signature.outputs)
        return bool(self.signature.inputs) and all(t.shape is None or t.shape[:1] == (None,) for t in tensors)


@dataclass(frozen=True, kw_only=True, repr=False)
class Served(Brief):
    """A SavedModel as the server sees it.

    Attributes:
        folder: The SavedModel's folder, absolute.
        model: The model's name in requests.
        version: The version number; None where the folder's name is no number.
        base_path: The folder of all versions. Without a version, the folder that the export must be moved into.
        newer: Higher versions beside it, which the server would serve instead.
        signatures: The described signatures, with their replies.
        batch: Rows of the described request.
        length: Tokens of each row of the described request.
        longest: The most tokens that a row may have; None where neither manifest nor graph says it.
        text_operations: Operations of TensorFlow Text that the graphs use.
        warmup_bytes: Size of the warm-up file; None where there is none.
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
        """The signature that examples use: `serving_default` if it is described, else the first."""
        return next((s for s in self.signatures if s.name == DEFAULT), self.signatures[0])


def open_served(folder: Path, names: Sequence[str] = (), *, batch: int = 1, length: int | None = None) -> Served:
    """Inspects a SavedModel without TensorFlow, see `describe_served`. Raises ModuleError for a folder without one."""
    folder = Path(os.path.abspath(folder))
    if not (folder / SAVED_MODEL).is_file():
        raise ModuleError(
            f"opening the export {folder}: expected a {SAVED_MODEL} there", hint=_where(folder) or "give its folder"
        )
    return describe_served(inspect_folder(Files(folder=folder, name=folder.name)), names, batch=batch, length=length)


def describe_served(
    module: InspectedModule, names: Sequence[str] = (), *, batch: int = 1, length: int | None = None
) -> Served:
    """Describes an inspected SavedModel as the server sees it.

    `names` are the signatures to describe; without names, all are. `length` defaults to 128 tokens, or to the longest
    row if that is shorter. Raises ModuleError for a folder that the server cannot load, UsageError for an unknown
    signature or too long a row.
    """
    folder = Path(os.path.abspath(module.folder))
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"serving {folder}: its path is not UTF-8, which requests and configuration files consist of",
            hint="rename the folder",
        ) from None
    signatures = _signatures(module, names)
    longest = longest_row(folder, module)
    if length is None:
        length = min(LENGTH, longest or LENGTH)
    if longest is not None and length > longest:
        raise UsageError(f"{argument('length', length)}: {folder} has rows of at most {longest} tokens")
    model, version, base_path = name_of(folder)
    graphs = [graph for graph in module.saved_model.meta_graphs if _is_served(graph)]
    path, packed = folder / WARMUP, read_packed(folder)
    return Served(
        folder=folder,
        model=model,
        version=version,
        base_path=base_path,
        newer=_newer(base_path, version),
        signatures=tuple(
            ServedSignature(
                signature=s, reply=reply_of(s, model, version or 1, batch, length), zeros=packed.get(s.name)
            )
            for s in signatures
        ),
        batch=batch,
        length=length,
        longest=longest,
        text_operations=tuple(dict.fromkeys(kind for graph in graphs for kind in text_operations(graph.graph_def))),
        warmup_bytes=path.stat().st_size if path.is_file() else None,
    )


def name_of(folder: Path) -> tuple[str, int | None, Path]:
    """Model name, version and base path of a SavedModel's folder: `served/bert/7` is version 7 of bert."""
    if re.fullmatch("[0-9]+", folder.name):
        return folder.parent.name or "model", int(folder.name), folder.parent
    return folder.name, None, folder.with_name(f"{folder.name}_served")


def longest_row(folder: Path, module: InspectedModule) -> int | None:
    """The most tokens of a row: the length that texts are cut to, or the encoder's number of positions.

    The manifest says it, or the architecture is inferred. None where neither is possible.
    """
    if (texts := read_text_facts(folder)) is not None:
        return texts.seq_length
    try:
        said = read_manifest(folder)["architecture"]["max_position_embeddings"]
    except (OSError, ValueError, LookupError, TypeError):
        inference = explain_module(module).inference
        said = None if inference is None else inference.architecture["max_position_embeddings"]
    return said if isinstance(said, int) and said > 0 else None


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
            f"{argument('signatures', ', '.join(unknown))}: {module.folder} has no such signature"
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
    return did_you_mean(below[:3])
