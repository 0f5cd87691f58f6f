"""`surgery.verify` on finished exports: sound ones, and ones that somebody has touched since."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

import surgery
from surgery.cli.main import main
from surgery.export.manifest import MANIFEST
from surgery.formats import object_graph
from surgery.jobs.steps import judge, open_export
from surgery.jobs.verify import verify_export
from tests.support.conversions import first_batches
from tests.support.editing import drop_variable, edited, objects, replace_constants, set_constants
from tests.support.tampering import with_flipped_byte, with_tensors

NAME = "g4_bert_dropouts"


@pytest.fixture
def verify(converted, recorded, tmp_path):
    """`verify(tamper)` tampers with a copy of the export (`tamper(export, copy)`) and judges that copy."""

    def run(tamper, name=NAME):
        export = tamper(converted(name).export, tmp_path / "tampered")
        return judge(recorded(name), open_export(export))

    return run


@pytest.mark.parametrize("name", [NAME, "g1", "g4_bert_mlm"])
def test_an_untouched_export_passes_and_names_its_module(name, converted, recorded):
    found = surgery.verify(converted(name).source, converted(name).export)
    assert found.report.passed
    assert found.report.failure() == ""
    assert found.notes == (f"{MANIFEST} names this module's own files as its source",)
    before = converted(name).conversion.report
    assert [diff.name for diff in found.report.outputs] == [diff.name for diff in before.outputs]
    assert found.report.weights == before.weights
    judged = judge(recorded(name), open_export(converted(name).export))
    assert judged.passed
    assert [diff.name for diff in judged.outputs] == [diff.name for diff in before.outputs]
    assert (judged.reference, judged.batches, judged.weights) == (before.reference, before.batches, before.weights)


def test_an_export_without_its_manifest_passes_and_is_told_apart(converted, tmp_path):
    shutil.copytree(converted(NAME).export, tmp_path / "export")
    shutil.rmtree(tmp_path / "export" / "assets.extra")
    found = surgery.verify(converted(NAME).source, tmp_path / "export")
    assert found.report.passed
    assert "has no assets.extra" in found.notes[0]


def test_the_export_of_another_module_does_not_pass(converted):
    found = surgery.verify(converted("g2_small").source, converted("g1").export)
    assert not found.report.passed
    assert found.report.first_divergence.name == "embedding_output"
    assert "names other files as its source" in found.notes[0]


def test_a_nan_in_the_export_is_counted_on_its_side(verify):
    report = verify(lambda e, c: with_tensors(e, c, {"pooler_transform/bias": lambda bias: bias * np.nan}))
    (pooled,) = [diff for diff in report.outputs if diff.name == "pooled_output"]
    assert not pooled.passed
    assert pooled.nonfinite[0] == 0
    assert pooled.nonfinite[1] > 0


def swap_blocks_in_signature(saved_model):
    outputs = saved_model.meta_graphs[0].signature_def["serving_default"].outputs
    first, second = outputs["encoder_outputs_0"].name, outputs["encoder_outputs_1"].name
    outputs["encoder_outputs_0"].name, outputs["encoder_outputs_1"].name = second, first


def test_a_signature_that_is_off_by_one_block_is_caught_at_the_first_wrong_name(verify):
    report = verify(lambda export, copy: edited(export, copy, swap_blocks_in_signature))
    assert report.first_divergence.name == "encoder_outputs_0"
    assert [diff.name for diff in report.outputs if not diff.passed] == ["encoder_outputs_0", "encoder_outputs_1"]
    assert report.weights.passed


def rename_input(saved_model):
    inputs = saved_model.meta_graphs[0].signature_def["serving_default"].inputs
    inputs["input_ids"].CopyFrom(inputs["input_word_ids"])
    del inputs["input_word_ids"]


def test_a_renamed_input_breaks_the_contract(verify):
    report = verify(lambda export, copy: edited(export, copy, rename_input))
    assert not report.passed
    assert any("serving_default: expected the inputs" in problem for problem in report.contract)


def drop_mlm_signature(saved_model):
    del saved_model.meta_graphs[0].signature_def["mlm"]


def test_a_missing_mlm_signature_breaks_the_contract(verify):
    report = verify(lambda export, copy: edited(export, copy, drop_mlm_signature), "g4_bert_mlm")
    assert not report.passed
    assert any(problem.startswith("signature mlm:") for problem in report.contract)


def test_a_dropout_rate_changed_in_the_training_trace_breaks_the_contract(verify):
    pattern = r"layer_\d/self_attention/.*dropout.*/GreaterEqual/y"
    report = verify(lambda export, copy: edited(export, copy, lambda pb: set_constants(pb, pattern, 0.3)))
    assert not report.passed
    assert report.first_divergence.name == "__call__(training=True).encoder_outputs_0"
    assert report.weights.passed
    assert "attention_probs_dropout: the module has 0.05, the export 0.3, in __call__ of a dict" in report.contract[0]
    assert all("attention_probs_dropout" in problem for problem in report.contract)


def test_another_mask_adder_in_one_block_breaks_the_contract_though_no_output_shows_it(verify):
    place = "layer_1/self_attention"
    report = verify(
        lambda e, c: edited(e, c, lambda pb: replace_constants(pb, f".*{place}/.*", -1e9, -1e8)),
    )
    assert all(diff.passed for diff in report.outputs)
    assert all("attention_mask_adder" in problem for problem in report.contract)
    (line,) = [problem for problem in report.contract if problem.startswith("attention_mask_adder: ")]
    assert line.startswith("attention_mask_adder: the module has -1e+09, the export -1e+08, in __call__ of a dict")
    assert place in line


def test_another_scale_of_what_is_kept_in_training_breaks_the_contract_at_its_place(verify):
    place = "layer_1/self_attention/dropout"
    report = verify(
        lambda e, c: edited(e, c, lambda pb: replace_constants(pb, f".*{place}.*", 1 / 0.95, 1 / 0.8)),
    )
    assert report.first_divergence.name == "__call__(training=True).encoder_outputs_1"
    (line,) = report.contract
    assert line.startswith(
        "attention_probs_dropout: what a rate of 0.05 keeps is multiplied by 1.25 instead of 1.052632"
    )
    assert place in line


def test_a_manifest_that_says_other_things_than_the_export_is_does_not_pass(converted, tmp_path):
    export = tmp_path / "export"
    shutil.copytree(converted(NAME).export, export)
    manifest = json.loads((export / MANIFEST).read_text())
    row = manifest["assignments"][3]
    row["sha256"] = "0" * 64
    manifest["architecture"]["output_dropout"] = 0.3
    (export / MANIFEST).write_text(json.dumps(manifest))
    errors = tmp_path / "errors"
    found = verify_export(str(converted(NAME).source), export, node_data=errors, battery=first_batches)
    assert not found.passed
    assert found.node_data == errors
    assert json.loads((errors / "difference.json").read_text()).keys() > {"main"}
    with pytest.raises(surgery.UsageError, match="it exists already"):
        surgery.verify(converted(NAME).source, export, node_data=errors)
    assert all(diff.passed for diff in found.report.outputs)
    assert found.report.contract[0] == f"{MANIFEST}: architecture.output_dropout says 0.3, expected 0.2"
    assert found.report.contract[1].startswith(f"{MANIFEST}: assignments.{row['target']}.sha256 says '0000")
    assert len(found.report.contract) == 2


def test_an_export_of_an_encoder_of_other_sizes_is_another_function_and_not_a_damaged_file(converted, recorded):
    """Its graphs refuse what is fed to them: the inner tensors of the module's training trace are wider."""
    report = judge(recorded(NAME), open_export(converted("g4_bert_mlm").export))
    assert not report.passed
    assert report.contract[0].startswith("the export cannot be run on the module's inputs: running ")
    assert "hidden_size: the module has 48, the export 64" in report.contract


def untrain(saved_model):
    graph = objects(saved_model)
    listed = graph.nodes[object_graph.children(graph, object_graph.ROOT)["trainable_variables"]]
    last = max(range(len(listed.children)), key=lambda i: int(listed.children[i].local_name))
    del listed.children[last]


def test_a_variable_taken_off_the_trainable_list_breaks_the_contract(verify):
    report = verify(lambda export, copy: edited(export, copy, untrain))
    assert not report.passed
    (problem,) = report.contract
    assert "trainable is True in the module, False in the export" in problem


def test_a_variable_that_is_gone_from_the_object_graph_does_not_pass(verify):
    drop = "pooler_transform/bias"
    report = verify(lambda export, copy: edited(export, copy, lambda pb: drop_variable(pb, drop)))
    assert not report.passed
    assert any(drop in problem for problem in report.contract)


def test_the_command_line_exits_with_5_and_says_what_differs(converted, tmp_path):
    export = edited(converted(NAME).export, tmp_path / "tampered", swap_blocks_in_signature)
    done = CliRunner().invoke(main, ["verify", str(converted(NAME).source), str(export)])
    assert done.exit_code == 5
    assert "the first to diverge is encoder_outputs_0" in done.stderr
    assert "encoder_outputs_1" in done.stdout


def test_a_flipped_byte_in_the_weights_is_a_damaged_export(converted, tmp_path):
    export = with_flipped_byte(converted(NAME).export, tmp_path / "export")
    with pytest.raises(surgery.ModuleError, match=re.escape(str(export))):
        surgery.verify(converted(NAME).source, export)
    assert CliRunner().invoke(main, ["verify", str(converted(NAME).source), str(export)]).exit_code == 3


def test_verifying_against_no_export_is_an_error(converted, tmp_path):
    with pytest.raises(surgery.ModuleError, match=r"expected a saved_model\.pb"):
        surgery.verify(converted(NAME).source, tmp_path)
    with pytest.raises(surgery.ModuleError, match=r"expected a saved_model\.pb"):
        surgery.verify(converted(NAME).source, tmp_path / "nothing")


def test_the_smallest_change_of_one_bit_is_seen_far_below_float32_noise(verify):
    def nudge(bias):
        return np.where(np.arange(bias.size) == 5, np.nextafter(bias, np.float32(9)), bias)

    report = verify(lambda export, copy: with_tensors(export, copy, {"pooler_transform/bias": nudge}))
    assert report.weights.mismatches == ("pooler_transform/bias: its bits differ from the module's",)
    diff = report.first_divergence
    assert diff.name == "pooled_output"
    assert 1e-10 < diff.difference < 1e-6
    assert diff.export_error < 1e-6
    assert not report.passed
