"""The page of JSON documents and the documents themselves say the same, key by key and in both directions."""

from __future__ import annotations

import json

import pytest

import surgery
from surgery.results import Result
from tests.support import documents

DOCUMENTS = (
    "architecture",
    "attention",
    "checkpoint",
    "conversion",
    "diff",
    "edit",
    "edited model",
    "error",
    "extraction",
    "graph",
    "html report",
    "inspection",
    "manifest",
    "parity",
    "plan",
    "preprocessor",
    "running",
    "scan",
    "serving",
    "taps",
    "tapping",
    "verification",
)


@pytest.fixture(scope="module")
def samples(modules, tmp_path_factory):
    return documents.samples(modules, tmp_path_factory.mktemp("documents"))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_key_of_a_document_is_described_and_every_described_key_is_there(name: str, samples):
    assert documents.difference(name, samples[name]) == (set(), set())


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_document_begins_with_its_schema(name: str, samples):
    for sample in samples[name]:
        assert next(iter(sample.items())) == ("schema", 1)
        assert json.loads(json.dumps(sample, allow_nan=False)) == sample


def test_the_samples_are_all_there_are():
    """Every result that can be printed has a section; so do the files that a command writes."""
    headings = set(documents.headings())
    parts = {
        "Errors",
        "named tensor",
        "field",
        "tensor",
        "convention",
        "head",
        "inside",
        "changed interface",
        "compared fact",
    }
    written = {"extraction record", "rejected line", "manifest", "text manifest", "error"}
    results = [kind for name in surgery.__all__ if isinstance(kind := getattr(surgery, name), type)]
    reports = {kind.report_name for kind in results if issubclass(kind, Result)}
    assert len(reports) == len([name for name in DOCUMENTS if name not in ("manifest", "error", "attention")])
    assert headings - parts - written == set(DOCUMENTS) - written
