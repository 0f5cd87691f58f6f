"""The export to serve: its folder, name and version, and the signatures to serve."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from surgery.errors import ModuleError, UsageError
from surgery.module import DEFAULT_SIGNATURE, InspectedModule, SignatureInfo, TensorInfo
from surgery.scanning.gate import let_through
from surgery.sources.files import SAVED_MODEL
from surgery.sources.opening import open_module
from surgery.wording import is_number, plain_name

TRITON_TYPES = {
    "bool": "BOOL",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "int8": "INT8",
    "string": "STRING",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "uint8": "UINT8",
}


@dataclass(frozen=True, kw_only=True)
class Served:
    """One signature as one Triton model.

    Attributes:
        model: The model's name in URLs.
        version: The version, at least 1.
        folder: The SavedModel's folder.
        tags: Tags of the meta graph to load.
        signature: Inputs and outputs.
        batched: True if axis 0 of every input and output is free; it is then the batch.
        trust: Runs a SavedModel that could do more than compute.
    """

    model: str
    version: int
    folder: Path
    tags: tuple[str, ...]
    signature: SignatureInfo
    batched: bool
    trust: bool = False


NAME = re.compile(r"[A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*")
"""The name of a Triton model, which is part of a path."""


def find_export(path: Path) -> Path:
    """The SavedModel's folder: `path` itself, or its folder with the highest version number, as for TensorFlow Serving.

    Raises ModuleError when neither exists.
    """
    if (path / SAVED_MODEL).is_file():
        return path.resolve()
    versions = [p for p in path.iterdir() if is_number(p.name)] if path.is_dir() else []
    found = max((p for p in versions if (p / SAVED_MODEL).is_file()), key=lambda p: int(p.name), default=None)
    if found is not None:
        return found.resolve()
    problem = "it has neither that file nor a version's folder with one" if path.is_dir() else "there is no such folder"
    raise ModuleError(
        f"serving {path}: expected a folder with a saved_model.pb, and {problem}",
        hint="write one with surgery convert; an archive has to be unpacked first",
    )


def choose_signatures(folder: Path, wanted: Sequence[str], name: str | None, *, trust: bool = False) -> list[Served]:
    """The signatures to serve, each as a Triton model.

    The model of a single signature, or of serving_default, has the name NAME; the others are NAME.SIGNATURE. Without
    `wanted`, serving_default is served, or the only signature of the export. Raises UsageError for a signature or a
    name that cannot be served, ModuleError for a damaged export, and UntrustedError for one that could do more than
    compute, unless `trust` says to run it all the same.
    """
    base, version = (folder.parent.name, int(folder.name)) if is_number(folder.name) else (folder.name, 1)
    model = _checked_name(name) if name is not None else plain_name(base) or "module"
    if not 1 <= version < 2**63:
        version = 1
    with open_module(str(folder), with_weights=False) as module:
        if module.problems:
            raise ModuleError(f"serving {folder}: " + "; ".join(module.problems), hint="fetch or convert it again")
        let_through(module, trust=trust)
        tags = module.inference.tags if module.inference is not None else ()
        signatures = [module.signatures[key] for key in _chosen(module, wanted, folder)]
    several = len(signatures) > 1
    if several and (odd := [s.name for s in signatures if not NAME.fullmatch(s.name)]):
        raise UsageError(
            f"serving the signature {odd[0]!r} beside others: its model would be named {model}.{odd[0]}, and a model's "
            "name is part of its URL and of a path",
            hint="serve it alone, or signatures whose names have letters, digits and _ . - only",
        )
    return [
        Served(
            model=f"{model}.{signature.name}" if several and signature.name != DEFAULT_SIGNATURE else model,
            version=version,
            folder=folder,
            tags=tags,
            signature=signature,
            batched=_is_batched(signature),
            trust=trust,
        )
        for signature in map(_servable, signatures)
    ]


def _chosen(module: InspectedModule, wanted: Sequence[str], folder: Path) -> list[str]:
    there = [key for key in module.signatures if not key.startswith("__")]
    listed = ", ".join(there) or "none"
    if not wanted:
        if DEFAULT_SIGNATURE in there:
            return [DEFAULT_SIGNATURE]
        if len(there) == 1:
            return there
        raise UsageError(
            f"serving {folder}: it has no signature {DEFAULT_SIGNATURE}",
            hint=f"choose with --signature; it has {listed}",
        )
    unknown = [key for key in wanted if key not in there]
    if unknown:
        raise UsageError(f"--signature {unknown[0]}: {folder} has no such signature", hint=f"it has {listed}")
    return list(dict.fromkeys(wanted))


def _servable(signature: SignatureInfo) -> SignatureInfo:
    for role, tensors in (("input", signature.inputs), ("output", signature.outputs)):
        if not tensors:
            raise UsageError(f"signature {signature.name} has no {role}", hint="choose another one with --signature")
        for tensor in tensors:
            if tensor.dtype not in TRITON_TYPES:
                raise _unservable(signature, role, tensor, f"the type {tensor.dtype}", "Triton has no such type")
            if tensor.shape is None:
                raise _unservable(signature, role, tensor, "a shape of unknown rank", "Triton needs the number of axes")
    return signature


def _unservable(signature: SignatureInfo, role: str, tensor: TensorInfo, feature: str, why: str) -> UsageError:
    return UsageError(
        f"signature {signature.name}: {role} {tensor.key} has {feature}, and {why}",
        hint="serve another signature with --signature, if there is one",
    )


def _is_batched(signature: SignatureInfo) -> bool:
    shapes = [tensor.shape for tensor in (*signature.inputs, *signature.outputs)]
    return all(shape and shape[0] is None for shape in shapes)


def _checked_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise UsageError(
            f"--name {name!r}: a model's name is part of its URL and of a path",
            hint="use letters, digits and _ . -",
        )
    return name
