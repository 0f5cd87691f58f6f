"""Every mutation of an export is caught and named where it was made, and nothing else is blamed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from surgery.export.statements import check_statements, read_statements
from surgery.jobs.steps import judge, open_export
from tests.support.conversions import two_batches
from tests.support.documentation import PAGES
from tests.support.mutations.mutation import BERT, MOBILEBERT
from tests.support.mutations.table import MUTATIONS
from tests.support.mutations.values import UNUSED
from tests.support.score import MUTATION

IN_ALL_FORMS = (BERT, MOBILEBERT)
CASES = [
    pytest.param(mutation, name, form, id=f"{number}-{name}-{form}")
    for number, mutation in enumerate(MUTATIONS)
    for name in mutation.first
    for form in (mutation.forms if name in IN_ALL_FORMS else mutation.forms[:1])
]


@pytest.fixture
def verdict(converted, recorded, tmp_path):
    """The report on an export, and all that is said beside outputs and weights, as `verify` says it."""

    def judged(name, form, make=None):
        folder, whole = tmp_path / "mutated", converted(name, form).export
        changed = make(whole, folder) if make else frozenset()
        export = open_export(folder if make else whole)
        module = recorded(name, two_batches, form)
        assert all(UNUSED not in batch.inputs["input_word_ids"] for batch in module.battery)
        report = judge(module, export)
        stated = check_statements(read_statements(Path(export.folder)), module.plan, export, module.hashes)
        return report, (*report.contract, *stated), changed

    return judged


@pytest.mark.parametrize(("mutation", "name", "form"), CASES)
def test_a_mutation_is_caught_and_named_where_it_was_made(mutation, name, form, verdict, record_property):
    record_property(MUTATION, mutation.row)
    report, told, changed = verdict(name, form, mutation.make)
    diverged = report.first_divergence.name if report.first_divergence else ""
    assert diverged == mutation.first[name], report.failure()
    assert {line.partition(":")[0] for line in report.weights.mismatches} == changed
    if form == "packed":  # its calls are right: they leave nothing out
        assert all(": the module has " in line and ", in signature " in line for line in told), told
    else:
        assert len(told) == len(mutation.told), told
        assert all(re.search(pattern, line, re.DOTALL) for pattern, line in zip(mutation.told, told, strict=True)), told
    assert report.failure() or told


@pytest.mark.parametrize(("name", "form"), sorted({case.values[1:] for case in CASES}))
def test_an_export_without_a_mutation_is_the_same_function(name, form, verdict):
    report, told, _ = verdict(name, form)
    assert report.passed, report.failure()
    assert not told
    assert all(diff.in_double for diff in report.outputs)


def test_the_page_shows_this_table():
    rows = [f"| {m.row} | {m.where} | {m.named_by} | {len(m.first)} |" for m in MUTATIONS]
    page = PAGES["docs/parity.md"]
    assert "\n".join(rows) in page
    assert f"The score is 100 %: the tests make all {len(CASES)}," in page.replace("\n", " ")
