"""The manifest of an export, `assets.extra/surgery.json`: its origin, how it was made, and the proof."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from surgery.errors import WriteError
from surgery.explanation.config import model_type
from surgery.explanation.heads import DenseHead, Labelling, head_data
from surgery.explanation.outputs import split_entry
from surgery.formats.text_files import read_json
from surgery.module import InspectedModule, SignatureInfo
from surgery.plain import plain
from surgery.planning.edits import EditedPlan
from surgery.planning.outputs import DEPTH, TAPS
from surgery.planning.plan import Plan
from surgery.planning.requests import MODEL_GARDEN, Request, Tap
from surgery.proof.parity import ParityReport, report_data
from surgery.tables.fields import VALID
from surgery.tables.head import HEAD
from surgery.wording import is_number

MANIFEST = Path("assets.extra") / "surgery.json"
SCHEMA = 1
PACKAGES = ("hub-surgery", "tensorflow", "tf-keras", "tf-models-official", "numpy")


def make_manifest(
    plan: Plan, hashes: Mapping[str, str], report: ParityReport, edited: EditedPlan | None = None
) -> dict[str, Any]:
    """The manifest of a plan's export as JSON-ready data.

    `hashes` are SHA-256 of the weights, by target. `report` is the parity check. `edited` is the plan of an edit.
    """
    module, inference = plan.module, plan.inference
    return {
        "schema": SCHEMA,
        "source": {
            "name": module.name,
            "format": module.format,
            "tensorflow_version": module.tensorflow_version,
            "model_type": stated_model_type(module),
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
                "group": a.group,
                "block": a.block,
                "sha256": hashes[a.target],
            }
            for a in plan.weights.assignments
            if a.target in hashes
        ],
        "dropped": [{"variable": d.variable.name, "because": d.because} for d in plan.weights.dropped],
        "kept": [*(v.attribute for v in plan.weights.kept), *module.constants],
        "outputs": plain(plan.signatures),
        "packed": plain(plan.packed),
        "request": plain(plan.outputs.request.short),
        "head": head_statement(plan),
        **({"edits": edits_data(edited)} if edited is not None else {}),
        "parity": report_data(report),
        "packages": package_versions(PACKAGES),
    }


def edits_data(edited: EditedPlan) -> dict[str, Any]:
    """The edits as a manifest lists them: in words, by the blocks that they leave, and by their effect on outputs."""
    return {
        "applied": [{"edit": edit, "places": count} for edit, count in edited.hits],
        "blocks": [{"origin": block.origin, "pruned_heads": list(block.pruned)} for block in edited.blocks],
        "unchanged": list(edited.unchanged_outputs),
        "changed": list(edited.changed_outputs),
    }


def write_manifest(manifest: Mapping[str, Any], export: Path, destination: Path) -> None:
    """Writes the manifest into the staged folder `export`, which `destination` names in errors.

    Raises WriteError when the file cannot be written.
    """
    path = export / MANIFEST
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(manifest, indent=1, sort_keys=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise WriteError(f"writing the manifest of {destination}: {error.strerror}") from error


def read_manifest(export: Path) -> Any:
    """The manifest of an export as JSON data.

    Raises OSError when it cannot be read, ValueError when it is no JSON, and LimitError when it is above a limit.
    """
    return read_json(export / MANIFEST)


def read_packed(export: Path) -> dict[str, tuple[str, ...]]:
    """The signatures of an export that leave padding out, each with its outputs whose rows of padding are zeros.

    None are known of an export without a manifest, or with a damaged one.
    """
    try:
        return {str(name): tuple(map(str, outputs)) for name, outputs in read_manifest(export)["packed"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def read_request(export: Path, signatures: Mapping[str, SignatureInfo]) -> Request:
    """The request for an export's outputs, as its manifest has it.

    An export without a manifest shows part of the request in its own `signatures`: taps and depths. A damaged manifest
    gives an empty request.
    """
    try:
        request = read_manifest(export)["request"]
        if not all(isinstance(request[name], list) for name in ("taps", "features", "depths", "signatures")):
            return Request()
        return Request(
            taps=tuple(map(str, request["taps"])),
            layers=None if request["layers"] is None else str(request["layers"]),
            features=tuple(map(str, request["features"])),
            depths=tuple(map(int, request["depths"])),
            signatures=tuple(map(str, request["signatures"])),
            graph=str(request.get("graph", MODEL_GARDEN)),  # manifests without it are older than the other form
            packed=request.get("packed", False) is True,
            keep_head=request.get("keep_head", False) is True,
        )
    except FileNotFoundError:
        return _request_of(signatures)
    except (OSError, ValueError, LookupError, TypeError, OverflowError):
        return Request()


def _request_of(signatures: Mapping[str, SignatureInfo]) -> Request:
    tapped = [split_entry(tensor.key) for tensor in signatures[TAPS].outputs] if TAPS in signatures else []
    depths = [name.removeprefix(DEPTH) for name in signatures if name.startswith(DEPTH)]
    return Request(
        taps=tuple(Tap(entry[0], layers=entry[1]).short for entry in tapped if entry is not None),
        depths=tuple(int(depth) for depth in depths if is_number(depth)),
        keep_head=HEAD in signatures,
    )


def head_statement(plan: Plan) -> dict[str, Any] | None:
    """What a manifest states of the head that is kept, with the labels as the module or its own manifest names them."""
    head = plan.outputs.head
    return head_data(head if head is None else replace(head, labelling=stated_labelling(plan.module, head)))


def stated_labelling(module: InspectedModule, head: DenseHead) -> Labelling:
    """What is stated of a head's labels. Of an export's, its manifest may state what its module's files did."""
    if head.labelling != Labelling():
        return head.labelling
    try:
        stated = read_manifest(Path(module.folder))["head"]
        names, problem, dropout = stated.get("names"), stated.get("problem"), stated.get("dropout")
        if stated["labels"] != head.labels:
            return head.labelling
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return head.labelling
    named = isinstance(names, list) and len(names) == head.labels
    return Labelling(
        names=tuple(map(str, names)) if named else None,
        problem=problem if isinstance(problem, str) else None,
        dropout=float(dropout) if VALID["rate"](dropout) else None,
    )


def stated_model_type(module: InspectedModule) -> str | None:
    """The architecture as a publisher's config names it, such as "xlm-roberta"; None where nothing does.

    Of an export, its manifest may state what its module's config did. One function can have several of these names.
    """
    described = module.config or module.training_config
    if described is not None:
        return model_type(described)
    try:
        stated = read_manifest(Path(module.folder))["source"]["model_type"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return stated if isinstance(stated, str) else None


def package_versions(packages: Iterable[str]) -> dict[str, str]:
    """The installed version of each package, by name; "not installed" for a package that is missing."""
    return {name: _version(name) for name in packages}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
