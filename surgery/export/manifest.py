"""`assets.extra/surgery.json`: where an export came from and why it may be believed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from surgery.errors import WriteError
from surgery.module import SignatureInfo
from surgery.plain import plain
from surgery.planning.outputs import TAPS, Request
from surgery.planning.plan import Plan
from surgery.proof.parity import ParityReport, report_data

MANIFEST = Path("assets.extra") / "surgery.json"
SCHEMA = 1
PACKAGES = ("hub-surgery", "tensorflow", "tf-keras", "tf-models-official", "numpy")


def make_manifest(
    plan: Plan, hashes: Mapping[str, str], report: ParityReport, edits: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The manifest of a plan's export as JSON-ready data.

    `hashes` are SHA-256 of the weights by target; `edits` says what was changed on purpose.
    """
    module, inference = plan.module, plan.inference
    return {
        "schema": SCHEMA,
        "source": {
            "name": module.name,
            "format": module.format,
            "tensorflow_version": module.tensorflow_version,
            "sha256": dict(module.fingerprint),
        },
        "architecture": {
            "family": inference.architecture.family,
            "generation": inference.architecture.generation,
            **inference.architecture.values,
        },
        "evidence": [
            {"field": e.field, "value": e.value, "source": e.kind, "place": e.place, "count": e.count}
            for e in inference.evidence
        ],
        "assignments": [
            {
                "variable": a.variable.name,
                "target": a.target,
                "layout": a.layout.sentence,
                "shape": list(a.shape),
                "trainable": a.variable.trainable,
                "sha256": hashes[a.target],
            }
            for a in plan.weights.assignments
            if a.target in hashes
        ],
        "dropped": [{"variable": d.variable.name, "because": d.because} for d in plan.weights.dropped],
        "kept": [*(v.attribute for v in plan.weights.kept), *module.constants],
        "outputs": plain(plan.signatures),
        "request": plain(plan.outputs.request),
        **({"edits": plain(edits)} if edits is not None else {}),
        "parity": report_data(report),
        "packages": package_versions(PACKAGES),
    }


def write_manifest(manifest: Mapping[str, Any], export: Path, destination: Path) -> None:
    """Writes the manifest into the staged export of a destination. Raises WriteError when the disk refuses."""
    path = export / MANIFEST
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(manifest, indent=1, sort_keys=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise WriteError(f"writing the manifest of {destination}: {error.strerror}") from error


def read_manifest(export: Path) -> Any:
    """The manifest of an export as JSON data. Raises OSError when there is none, ValueError when it is damaged."""
    return json.loads((export / MANIFEST).read_text(encoding="utf-8"))


def read_request(export: Path, signatures: Mapping[str, SignatureInfo]) -> Request:
    """How an export's outputs were asked for; where no manifest says it, its own signatures do, as far as they can."""
    try:
        said = read_manifest(export)["request"]
        if not all(isinstance(said[name], list) for name in ("taps", "features", "depths", "signatures")):
            return Request()
        return Request(
            taps=tuple(map(str, said["taps"])),
            layers=None if said["layers"] is None else str(said["layers"]),
            features=tuple(map(str, said["features"])),
            depths=tuple(map(int, said["depths"])),
            signatures=tuple(map(str, said["signatures"])),
        )
    except FileNotFoundError:
        return _request_of(signatures)
    except (OSError, ValueError, LookupError, TypeError):
        return Request()


def _request_of(signatures: Mapping[str, SignatureInfo]) -> Request:
    tapped = [tensor.key.rpartition("_") for tensor in signatures[TAPS].outputs] if TAPS in signatures else []
    depths = [name.removeprefix("depth_") for name in signatures if name.startswith("depth_")]
    return Request(
        taps=tuple(f"{name}@{number}" for name, _, number in tapped if number.isdigit()),
        depths=tuple(int(depth) for depth in depths if depth.isdigit()),
    )


def package_versions(packages: Iterable[str]) -> dict[str, str]:
    """The installed versions of packages by name."""
    return {name: _version(name) for name in packages}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
