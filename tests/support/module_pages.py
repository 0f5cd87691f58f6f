"""What tests of pages share: an export whose proof is put together, and the sections of a page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import surgery
from surgery.export.manifest import MANIFEST, make_manifest
from surgery.proof.parity import ParityReport, WeightCheck
from tests.support import documents
from tests.support.html_pages import Element

OUTPUTS = (
    "embedding_output",
    "encoder_outputs_0",
    "encoder_outputs_2",
    "taps.query_1",
    "mlm(training=True).mlm_logits",
)


def proof() -> ParityReport:
    """A report of outputs before, in and after blocks, of which the worst is in block 1."""
    (sample,) = documents.report().outputs
    outputs = [replace(sample, name=name, difference=1e-14 * number) for number, name in enumerate(OUTPUTS)]
    outputs[-1] = replace(outputs[-1], module_error=None, export_error=None, bit_equal=None)
    blocks = {"encoder_outputs_0": 0, "encoder_outputs_2": 2, "taps.query_1": 1}
    return documents.report(
        outputs=tuple(outputs),
        blocks=blocks,
        weights=WeightCheck(compared=2, mismatches=()),
        contract=(),
        unmatched=(),
        lacking={},
        nonfinite_weights={},
    )


def write_export(modules: Callable[[str], Path], folder: Path) -> Path:
    """A module with the manifest of an export, whose report is put together."""
    shutil.copytree(modules("g4_bert_mlm"), folder)
    plan = surgery.plan(modules("tf1_bert_small"), taps="query", depths=2)
    hashes = {a.target: "0" * 64 for a in plan.weights.assignments}
    (folder / MANIFEST).parent.mkdir()
    (folder / MANIFEST).write_text(json.dumps(make_manifest(plan, hashes, proof())))
    return folder


def section(page: Element, name: str) -> Element:
    return page.one("section", id=name)
