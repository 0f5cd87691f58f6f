"""A SavedModel as TensorFlow Serving sees it: its name and version, its signatures, and the size of their replies."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surgery.arguments import argument
from surgery.errors import UsageError
from surgery.explanation.inspection import explain_module
from surgery.explanation.sizes import most_tokens
from surgery.export.manifest import read_manifest, read_packed
from surgery.export.text_facts import read_text_facts
from surgery.module import DEFAULT_SIGNATURE, SERVE, InspectedModule, SignatureInfo, TensorInfo
from surgery.results import Brief
from surgery.tfserving.compilation import compiled_functions
from surgery.tfserving.offered import chosen_signatures
from surgery.tfserving.reply import Reply, reply_of
from surgery.tfserving.text_operations import text_operations
from surgery.tfserving.versions import Versions, versions_in
from surgery.wording import plain_name

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
        versions: Its version, the others beside it, and their labels.
        base_path: The folder of all versions. Without a version, the folder that the export must be moved into.
        signatures: The described signatures, with their replies.
        batch: Rows of the described request.
        length: Tokens of each row of the described request.
        longest: The most tokens that a row may have; None where neither manifest nor graph says it.
        text_operations: Operations of TensorFlow Text that the graphs use.
        warmup_bytes: Size of the warm-up file; None where there is none.
        weight_bytes: Size of the weights.
        tensorflow_version: The TensorFlow that wrote it; "" where the file does not say it.
        compiled: The functions that demand XLA.
        notes: What an operator must know of other versions, a sentence each.
    """

    folder: Path
    model: str
    versions: Versions
    base_path: Path
    signatures: tuple[ServedSignature, ...]
    batch: int
    length: int
    longest: int | None
    text_operations: tuple[str, ...]
    warmup_bytes: int | None
    weight_bytes: int
    tensorflow_version: str
    compiled: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def version(self) -> int | None:
        """The version number; None where the folder's name is no number."""
        return self.versions.version

    @property
    def first(self) -> ServedSignature:
        """The signature that examples use: `serving_default` if it is described, else the first."""
        return next((s for s in self.signatures if s.name == DEFAULT_SIGNATURE), self.signatures[0])


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
    signatures = chosen_signatures(module, names)
    longest = longest_row(folder, module)
    if length is None:
        length = min(LENGTH, longest or LENGTH)
    if longest is not None and length > longest:
        raise UsageError(f"{argument('length', length)}: {folder} has rows of at most {longest} tokens")
    model, version, base_path = name_of(folder)
    graphs = [graph.graph_def for graph in module.saved_model.meta_graphs if _is_served(graph)]
    path, packed = folder / WARMUP, read_packed(folder)
    return Served(
        folder=folder,
        model=model,
        versions=Versions(version=version, there=versions_in(base_path)),
        base_path=base_path,
        signatures=tuple(
            ServedSignature(
                signature=s, reply=reply_of(s, model, version or 1, batch, length), zeros=packed.get(s.name)
            )
            for s in signatures
        ),
        batch=batch,
        length=length,
        longest=longest,
        text_operations=_in_all(text_operations, graphs),
        warmup_bytes=path.stat().st_size if path.is_file() else None,
        weight_bytes=module.weight_bytes,
        tensorflow_version=module.tensorflow_version or "",
        compiled=_in_all(compiled_functions, graphs),
    )


def name_of(folder: Path) -> tuple[str, int | None, Path]:
    """Model name, version and base path of a SavedModel's folder: `served/bert/7` is version 7 of bert.

    The model's name is that of its folder as a module's name (surgery.wording.plain_name), so that both are called
    alike, and a URL or a shell takes it as it is.
    """
    if re.fullmatch("[0-9]+", folder.name):
        return plain_name(folder.parent.name) or "module", int(folder.name), folder.parent
    model = plain_name(folder.name) or "module"
    return model, None, folder.with_name(f"{model}_served")


def longest_row(folder: Path, module: InspectedModule) -> int | None:
    """The most tokens of a row: the length that texts are cut to, or the encoder's number of positions.

    The manifest says it, or the architecture is inferred. None where neither is possible.
    """
    if (texts := read_text_facts(folder)) is not None:
        return texts.seq_length
    try:
        said: int | None = most_tokens(read_manifest(folder)["architecture"])
    except (OSError, ValueError, LookupError, TypeError):
        inference = explain_module(module).inference
        said = None if inference is None else inference.architecture.longest
    return said if isinstance(said, int) and said > 0 else None


def fewest(signature: ServedSignature) -> tuple[TensorInfo, int] | None:
    """The output with the smallest reply of its own, and its bytes."""
    sized = [(size, t) for t in signature.signature.outputs if (size := signature.reply.outputs[t.key]) is not None]
    return min(((t, size) for size, t in sized), key=lambda found: found[1], default=None)


def _in_all(names_in: Callable[[Any], tuple[str, ...]], graphs: Sequence[Any]) -> tuple[str, ...]:
    """What a function finds in several graphs, each once."""
    return tuple(dict.fromkeys(name for graph in graphs for name in names_in(graph)))


def _is_served(meta_graph: Any) -> bool:
    return tuple(sorted(meta_graph.meta_info_def.tags)) == SERVE
