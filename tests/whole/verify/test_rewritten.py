"""An export that computes the same function by other operations is the same function: their order does not count."""

from __future__ import annotations

import pytest

from surgery.jobs.steps import judge, open_export
from tests.support.conversions import two_batches
from tests.support.editing import edited
from tests.support.mutations.rewriting import with_rewritten_signature
from tests.support.writing import write


@pytest.fixture
def rewritten(source, recorded, tmp_path):
    """The report on an export whose default signature was rewritten; its calls were not."""

    def run(name, blocks, factor=1.0):
        export = write(source(name), tmp_path / "export", graph="model_garden")
        edited(export, tmp_path / "rewritten", with_rewritten_signature(blocks, factor))
        return judge(recorded(name, two_batches, "model_garden"), open_export(tmp_path / "rewritten"))

    return run


@pytest.mark.parametrize(("name", "blocks"), [("g4_bert_dropouts", 3), ("g2_sharp", 12)])
def test_a_signature_that_is_rewritten_has_the_same_verdict(name, blocks, rewritten, converted):
    report = rewritten(name, blocks)
    assert report.passed, report.failure()
    assert all(diff.in_double and diff.difference <= 1e-11 for diff in report.outputs)
    untouched = {diff.name for diff in converted(name).conversion.report.outputs}
    # Calls and signature are no longer the same operations, so that each is held against the module by its numbers.
    told_apart = {diff.name for diff in report.outputs} - untouched
    forms = {"g4_bert_dropouts": {"__call__(dict"}, "g2_sharp": {"__call__(dict", "__call__(list"}}
    assert {diff.partition(")")[0] for diff in told_apart} == forms[name]
    bit_equal = {diff.name: diff.bit_equal for diff in report.outputs}
    assert bit_equal["embedding_output"] is True
    assert bit_equal["encoder_outputs_0"] is bit_equal["sequence_output"] is False


def test_a_signature_that_is_rewritten_wrongly_is_caught_and_its_calls_are_not_blamed(rewritten):
    report = rewritten("g4_bert_dropouts", 3, factor=1.0001)
    assert report.first_divergence.name == "encoder_outputs_0"
    blocks = {f"encoder_outputs_{block}" for block in range(3)}
    failed = {diff.name for diff in report.outputs if not diff.passed}
    assert blocks <= failed
    assert failed <= {*blocks, "sequence_output", "pooled_output"}
    assert not report.contract
    assert report.weights.passed
