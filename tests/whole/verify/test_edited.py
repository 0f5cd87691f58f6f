"""`surgery.verify` on edited exports: the edits that the manifest names are made again, and everything is compared."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tf_keras
from click.testing import CliRunner

import surgery
from surgery.cli.main import main
from surgery.edits import DropBlocks, InsertLayer, KeepBlocks, PruneHeads
from surgery.export.manifest import MANIFEST, read_manifest, read_request
from surgery.jobs import verify as verifying
from surgery.jobs.steps import open_export
from surgery.jobs.verify_edited import judge_again, record_edited, stated_edits
from surgery.planning.plan import make_plan
from surgery.scanning.gate import open_to_run
from tests.support.conversions import few_batches, first_batches
from tests.support.editing import double_a_weight, edited, replace_constants
from tests.support.tampering import with_tensors

NAME = "g4_bert_dropouts"
PRUNED, INSERTED = "drop a block and prune heads", "insert a layer"


@pytest.fixture(scope="module")
def edited_export(source, tmp_path_factory):
    """An edited export by the name of its edits; not to be changed by a test."""
    edits = {
        PRUNED: (DropBlocks("1"), PruneHeads((1, 3), "-1")),
        INSERTED: (KeepBlocks(":2"), InsertLayer(0, tf_keras.layers.Dense(48, name="added"))),
    }

    @cache
    def make(name):
        folder = tmp_path_factory.mktemp("edited") / "1"
        with few_batches():
            surgery.edit(source(NAME), *edits[name]).export(folder, features=["text=mean@-1/mean"])
        return folder

    return make


@pytest.fixture(scope="module")
def recorded_edits(source, edited_export):
    """What an export of these edits must be, by the name of the edits."""

    @cache
    def make(name):
        folder = edited_export(name)
        with open_to_run(str(source(NAME)), trust=False) as module:
            plan = make_plan(module, Path())
            request = read_request(folder, open_export(folder).signatures)
            made = stated_edits(read_manifest(folder)["edits"], plan, request)
            return made.plan, record_edited(made.plan, plan, first_batches)

    return make


@pytest.fixture
def judged(edited_export, recorded_edits, tmp_path):
    """`judged(name, tamper)`: the report on a changed copy of an edited export (`tamper(export, copy)`)."""

    def run(name, tamper):
        return judge_again(*recorded_edits(name), open_export(tamper(edited_export(name), tmp_path / "changed")))

    return run


@pytest.fixture
def verify(source, monkeypatch):
    """The command line's words and exit code for an export of the sample, on few batches."""

    def run(export):
        defaults = {**verifying.verify_export.__kwdefaults__, "battery": first_batches}
        monkeypatch.setattr(verifying.verify_export, "__kwdefaults__", defaults)
        return CliRunner().invoke(main, ["verify", str(source(NAME)), str(export)])

    return run


def restated(export, folder, change):
    """A copy of an export with its manifest's data changed."""
    shutil.copytree(export, folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize("name", [PRUNED, INSERTED])
def test_an_edited_export_is_what_its_edits_make_of_the_module(name, edited_export, recorded_edits):
    report = judge_again(*recorded_edits(name), open_export(edited_export(name)))
    assert report.failure() == ""
    compared = {diff.name for diff in report.outputs}
    assert "embedding_output" in compared
    assert ("sequence_output" in compared) == (name != INSERTED)
    assert ("text.text" in compared) == (name != INSERTED)
    assert all(diff.in_double for diff in report.outputs)


def nudge(weight):
    flat = weight.reshape(-1)
    flat[1] = np.nextafter(flat[1], np.float32(1))
    return weight


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        (PRUNED, "transformer/layer_1/self_attention/query/kernel"),
        (INSERTED, "transformer/layer_1/intermediate/bias"),
    ],
)
def test_a_weight_that_no_edit_touches_must_have_the_modules_bits(name, weight, judged):
    report = judged(name, lambda export, copy: with_tensors(export, copy, {weight: nudge}))
    assert report.weights.mismatches == (f"{weight}: its bits differ from the module's",)


@pytest.mark.parametrize("name", [PRUNED, INSERTED])
def test_a_casing_that_no_edit_touches_must_be_the_modules(name, judged):
    report = judged(name, lambda export, copy: with_tensors(export, copy, {"do_lower_case": np.logical_not}))
    assert report.weights.mismatches == ("do_lower_case: its bits differ from the module's",)


def test_an_output_before_the_first_edit_must_be_the_modules(judged):
    def swap(saved_model):
        outputs = saved_model.meta_graphs[0].signature_def["serving_default"].outputs
        outputs["embedding_output"].name = outputs["encoder_outputs_1"].name

    report = judged(INSERTED, lambda export, copy: edited(export, copy, swap))
    assert report.first_divergence.name == "embedding_output"


def test_the_numbers_in_an_edited_exports_graphs_are_the_modules(judged):
    pattern = r".*layer_1/self_attention/.*"
    report = judged(PRUNED, lambda e, c: edited(e, c, lambda pb: replace_constants(pb, pattern, -1e9, -1e8)))
    (problem,) = report.contract
    assert problem.startswith("attention_mask_adder: the module has -1e+09, the export -1e+08")


def test_an_edited_export_that_writes_a_variable_is_caught(judged, edited_export):
    called = {trace.function for trace in open_export(edited_export(PRUNED)).traces}
    report = judged(PRUNED, lambda export, copy: edited(export, copy, lambda pb: double_a_weight(pb, called)))
    assert any("__call__: it has an operation AssignAddVariableOp" in problem for problem in report.contract)


def test_verify_says_that_it_is_edited_and_what_an_unknown_layer_leaves_unproven(edited_export, verify):
    done = verify(edited_export(INSERTED))
    assert done.exit_code == 0
    said = " ".join(done.stdout.split())
    assert said.startswith("the manifest calls it edited: keep blocks :2; insert Dense 'added' after block 0 ")
    assert (
        "not compared, they depend on layers that the manifest only names: pooled_output, sequence_output, "
        "encoder_outputs_1, text" in said
    )
    assert "verdict: as the manifest says, in all that can be compared" in done.stdout


def test_an_edited_export_whose_manifest_names_another_edit_fails(edited_export, verify, tmp_path):
    def change(manifest):
        manifest["edits"]["applied"][1]["edit"] = "insert Dense 'added' after block 1"

    done = verify(restated(edited_export(INSERTED), tmp_path / "changed", change))
    assert done.exit_code == 5
    assert "the first to diverge is encoder_outputs_1" in done.stderr
    assert (
        "after the edits that its manifest names (keep blocks :2; insert Dense 'added' after block 1): " in done.stderr
    )
    assert "edits.unchanged says ['embedding_output', 'encoder_outputs_0'], expected" in done.stderr
    assert "verdict: NOT what its manifest says" in done.stdout


def test_an_edited_export_in_place_of_its_module_is_refused_as_edited(edited_export):
    edited = edited_export(PRUNED)
    with pytest.raises(
        surgery.UnexplainedError, match=r"calls it edited \(drop block 1; prune heads 1, 3 of block -1\)"
    ):
        surgery.verify(edited, edited)


def test_an_edited_export_whose_manifest_is_silent_about_it_is_not_the_module(edited_export, verify, tmp_path):
    done = verify(restated(edited_export(PRUNED), tmp_path / "changed", lambda manifest: manifest.pop("edits")))
    assert done.exit_code == 5
    assert "verdict: NOT the same function" in done.stdout
