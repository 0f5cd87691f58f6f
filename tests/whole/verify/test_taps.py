"""`surgery.verify` on exports with more than the usual outputs: the manifest says what was asked for."""

from __future__ import annotations

import json
import shutil

import pytest

import surgery
from surgery.export.manifest import MANIFEST
from tests.support.editing import edited

NAME = "hf_bert"


@pytest.fixture
def requested(tapped, tmp_path):
    """`requested(depths=[])` is the report on an export whose manifest says that it was asked for something else."""

    def run(**changes):
        export = shutil.copytree(tapped(NAME).export, tmp_path / "export")
        manifest = json.loads((export / MANIFEST).read_text())
        manifest["request"] |= changes
        (export / MANIFEST).write_text(json.dumps(manifest))
        return surgery.verify(tapped(NAME).source, export).report

    return run


@pytest.mark.parametrize("name", ["g4_prenorm"])
def test_an_export_with_taps_is_verified_as_it_was_when_it_was_made(name, tapped):
    done = tapped(name)
    found, before = surgery.verify(done.source, done.export).report, done.conversion.report
    assert found.passed
    assert [diff.name for diff in found.outputs] == [diff.name for diff in before.outputs]
    assert {"taps.query_0", "depth_2.sequence_output"} <= {diff.name for diff in found.outputs}
    assert (found.inner, found.unmatched, found.contract) == (before.inner, (), ())


def test_the_manifest_says_what_was_asked_for_and_what_came_of_it(tapped):
    done = tapped(NAME)
    manifest = json.loads((done.export / MANIFEST).read_text())
    request = done.conversion.plan.outputs.request
    assert manifest["request"] == json.loads(json.dumps(vars(request)))
    assert manifest["request"]["taps"][0] == "query"
    assert manifest["request"]["depths"] == [2]
    assert manifest["request"]["layers"] is None
    assert {name: set(outputs) for name, outputs in manifest["outputs"].items()} == {
        name: set(outputs) for name, outputs in done.outputs.items()
    }


def tamper(saved_model):
    """Query and key of a block change names, and the shallower encoder's blocks; a feature goes, a name comes."""
    signatures = saved_model.meta_graphs[0].signature_def
    swaps = (("taps", "query_1", "key_1"), ("depth_2", "encoder_outputs_0", "encoder_outputs_1"))
    for signature, one, other in swaps:
        outputs = signatures[signature].outputs
        outputs[one].name, outputs[other].name = outputs[other].name, outputs[one].name
    del signatures["text"]
    signatures["taps"].outputs["query"].CopyFrom(signatures["taps"].outputs["query_0"])


def test_outputs_under_each_other_s_names_and_signatures_with_less_or_more_do_not_pass(tapped, tmp_path):
    export = edited(tapped(NAME).export, tmp_path / "tampered", tamper)
    report = surgery.verify(tapped(NAME).source, export).report
    assert [diff.name for diff in report.outputs if not diff.passed] == [
        "depth_2.encoder_outputs_0",
        "depth_2.encoder_outputs_1",
        "taps.key_1",
        "taps.query_1",
        "text.text",
    ]
    assert report.contract[:2] == (
        "signature taps: outputs that are missing or too many: query",
        "signature text: it is missing",
    )
    assert [line.partition(" says ")[0] for line in report.contract[2:]] == [
        "assets.extra/surgery.json: outputs.taps",
        "assets.extra/surgery.json: outputs.text",
    ]


def test_signatures_that_nobody_asked_for_are_not_compared_and_do_not_pass(requested):
    report = requested(features=[], depths=[], signatures=[])
    # In training, a call gives taps by other operations than the signature does.
    owners = {diff.name.partition(".")[0] for diff in report.outputs if "." in diff.name}
    assert owners == {"taps", "__call__(dict, training=True)"}
    assert all(diff.passed for diff in report.outputs)
    assert not report.passed
    for name in ("text", "depth_2"):
        assert any(f"signature {name}: " in line and "nobody asked" in line for line in report.contract)


def test_what_was_asked_for_and_is_not_there_does_not_pass(requested):
    report = requested(depths=[1, 2], features=["other=mean@-1/max"])
    problems = {diff.name: diff.problem for diff in report.outputs if not diff.passed}
    missing = {"depth_1.embedding_output", "depth_1.encoder_outputs_0", "depth_1.sequence_output", "other.other"}
    assert set(problems) >= missing
    assert all("it is missing" in problems[name] for name in missing)
    assert {"signature depth_1: it is missing", "signature other: it is missing"} <= set(report.contract)


def test_a_call_that_gives_taps_which_nobody_asked_for_does_not_pass(requested):
    report = requested(taps=[], signatures=[])
    assert not report.passed
    assert all(diff.passed for diff in report.outputs)
    assert any(
        "__call__ with training=False: the dict has a superfluous output query_0" in line for line in report.contract
    )
