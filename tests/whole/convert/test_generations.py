"""Every generation and every kind of encoder converts end to end with parity."""

from __future__ import annotations

import json

import pytest

import surgery
from surgery.module import describe
from tests.support.builders import early_bert
from tests.support.sample_names import SAMPLES, TF2_SAMPLES, WITHOUT_POOLER
from tests.support.samples import BUILDERS

EXPECTED = {
    "g1": {"generation": "G1", "attention_head_size": 16, "hidden_act": "gelu_tanh", "embedding_dropout": 0.15},
    "g1_exact": {"generation": "G1", "num_attention_heads": 6, "hidden_act": "gelu", "layer_norm_eps": 1e-6},
    "g2_small": {"generation": "G2", "hidden_size": 64, "num_attention_heads": 4},
    "g3_small": {"generation": "G3", "num_hidden_layers": 4, "num_attention_heads": 6},
    "g4_bert_mlm": {"generation": "G4", "layer_norm_eps": 1e-12},
    "g4_bert_dropouts": {"generation": "G4", "output_dropout": 0.2, "attention_probs_dropout": 0.05},
    "g4_electra": {"generation": "G4", "embedding_size": 32, "hidden_size": 64},
    "g4_bert_v2": {"generation": "G4"},
    "g4_prenorm": {"generation": "G4", "norm_first": True, "num_attention_heads": 8},
    "g4_albert": {"num_hidden_layers": 4, "embedding_size": 24, "output_dropout": 0.0},
    "g4_albert_dropout": {"num_hidden_layers": 3, "embedding_size": 16, "output_dropout": 0.1},
    "g4_mobilebert": {"normalization_type": "no_norm", "layer_norm_eps": None, "num_feedforward_networks": 4},
    "g4_mobilebert_layer_norm": {"normalization_type": "layer_norm", "classifier_activation": True},
    "g4_talkheads": {"num_attention_heads": 4, "hidden_act": "gelu_tanh", "attention_probs_dropout": 0.1},
    "tf1_bert_small": {"generation": "TF1", "num_attention_heads": 6, "output_dropout": 0.1},
    "tf1_albert_small": {"generation": "TF1", "num_hidden_layers": 4, "embedding_size": 24},
    "exact_gelu_epsilon_1e-3": {"hidden_act": "gelu", "layer_norm_eps": 1e-3},
    "relu_epsilon_1e-5": {"hidden_act": "relu", "layer_norm_eps": 1e-5},
    "narrow_embedding_mlm": {"embedding_size": 20, "hidden_size": 48},
    "no_encoder_outputs": {"num_hidden_layers": 2},
    "no_vocab": {"output_dropout": 0.0, "attention_probs_dropout": 0.1},
    "one_type": {"type_vocab_size": 1, "attention_probs_dropout": 0.0},
    "unusual_sizes": {
        "hidden_size": 60,
        "num_attention_heads": 5,
        "attention_head_size": 12,
        "intermediate_size": 77,
        "max_position_embeddings": 11,
        "vocab_size": 101,
        "type_vocab_size": 3,
        "num_hidden_layers": 4,
    },
    "list_call": {"generation": "G3"},
    "one_block": {"num_hidden_layers": 1},
    "hf_bert": {"generation": "Hugging Face", "hidden_act": "gelu", "num_attention_heads": 4, "layer_norm_eps": 1e-12},
    "hf_bert_gelu_new": {"hidden_act": "gelu_tanh", "output_dropout": 0.1},
    "hf_albert": {"num_hidden_layers": 3, "embedding_size": 24, "hidden_act": "gelu_tanh", "norm_first": False},
    "hf_electra": {"embedding_size": 24, "hidden_size": 48, "hidden_act": "gelu"},
    "hf_bert_pretraining": {"generation": "Hugging Face", "hidden_act": "gelu"},
    "hf_bert_no_pooler": {"generation": "Hugging Face", "embedding_dropout": 0.1},
    "hf_bert_epsilon": {"layer_norm_eps": 1e-5},
    "hf_albert_dropouts": {
        "embedding_dropout": 0.1,
        "attention_probs_dropout": 0.2,
        "attention_output_dropout": 0.1,
        "intermediate_dropout": 0.0,
        "output_dropout": 0.0,
    },
    "tf1_bert_checkpoint": {"generation": "TF1", "num_attention_heads": 6, "hidden_act": "gelu_tanh"},
    "tf1_bert_training": {"generation": "TF1", "num_hidden_layers": 3, "output_dropout": 0.1},
    "tf1_albert_checkpoint": {"generation": "TF1", "num_hidden_layers": 4, "embedding_size": 24},
    "tf1_albert_training": {"num_hidden_layers": 3, "embedding_size": 24, "embedding_dropout": 0.0},
}


@pytest.mark.parametrize("name", [*SAMPLES, *BUILDERS])
def test_a_module_converts_with_parity_in_every_output_and_weight(name, converted):
    done = converted(name).conversion
    assert done.report.passed
    assert done.report.batches == 10
    blocks = done.plan.inference.architecture["num_hidden_layers"]
    compared = {diff.name for diff in done.report.outputs}
    inner = {"embedding_output", *(f"encoder_outputs_{i}" for i in range(blocks - 1))}
    ends = {"sequence_output"} if name in WITHOUT_POOLER else {"sequence_output", "pooled_output"}
    assert ends | inner <= compared
    own = {name: block for block, name in enumerate(done.plan.inference.outputs.block_outputs) if name in compared}
    assert own.items() <= done.report.blocks.items()
    assert len(own) >= blocks - 1
    assert all(diff.in_double for diff in done.report.outputs)
    batches = {diff.name: diff.batches for diff in done.report.outputs if not diff.name.startswith("mlm")}
    assert {batches.pop(name) for name in list(batches) if "training" in name} <= {1}
    assert set(batches.values()) == {10}
    weights = done.plan.weights
    assert done.report.weights.compared == len(weights.assignments) + len(weights.kept) + len(
        done.plan.module.constants
    )
    shared = done.plan.inference.family.repeated is not None
    outside_blocks = 5 if name in WITHOUT_POOLER else 7
    assert len(weights.assignments) >= 16 * (1 if shared else blocks) + outside_blocks
    assert not done.report.contract


@pytest.mark.parametrize("name", EXPECTED)
def test_the_export_explains_itself_as_the_architecture_that_was_built(name, converted):
    own = surgery.inspect(converted(name).export).inference
    source = converted(name).conversion.plan.inference
    for field, value in EXPECTED[name].items():
        if field == "generation":
            assert source.architecture.generation.startswith(value)
        else:
            assert source.architecture[field] == value
            assert own.architecture[field] == value
    differing = {f for f, v in source.architecture.values.items() if own.architecture.values.get(f) != v}
    assert differing <= {"attention_mask_adder"}


# A TF1 graph has no copies of its layers to save, and a TF1 checkpoint no object graph: sizes are for TF2 sources.
@pytest.mark.parametrize("name", TF2_SAMPLES)
def test_the_graph_of_an_export_is_less_than_half_of_its_module(name, converted):
    found = converted(name)
    size = (found.export / "saved_model.pb").stat().st_size
    assert size <= 0.45 * (found.source / "saved_model.pb").stat().st_size


@pytest.mark.parametrize("name", [*TF2_SAMPLES, "g1", "narrow_embedding_mlm"])
def test_the_weights_on_disk_are_no_larger_than_the_modules(name, converted):
    sizes = [
        sum(path.stat().st_size for path in (folder / "variables").glob("*.data-*")) for folder in converted(name)[:2]
    ]
    assert sizes[1] <= 1.01 * sizes[0]


def test_the_mlm_outputs_are_compared_where_a_module_has_them(converted):
    for name in ("g4_bert_mlm", "g4_bert_v2", "narrow_embedding_mlm"):
        diffs = {diff.name: diff for diff in converted(name).conversion.report.outputs}
        assert diffs["mlm.mlm_logits"].passed
        assert diffs["mlm.mlm_logits"].batches >= 5


def test_the_errors_of_an_export_stay_below_float32_noise(converted):
    report = converted("g4_bert_dropouts").conversion.report
    assert max(diff.difference for diff in report.outputs) < 1e-13
    assert max(diff.export_error / diff.rms for diff in report.outputs if diff.rms) < 1e-6


def test_a_row_of_padding_is_reported_and_not_judged(converted):
    diffs = {diff.name: diff for diff in converted("g1").conversion.report.outputs}
    assert diffs["sequence_output"].padding_rows > 1e-3
    assert diffs["sequence_output"].passed


@pytest.mark.parametrize("name", ["g1_small", "g1_other"])
def test_modules_of_the_first_generations_own_exporter_convert(name, shared, tmp_path):
    done = surgery.convert(shared(f"modules/{name}.tar.gz"), tmp_path / name)
    assert done.report.passed
    assert done.plan.inference.architecture.generation.startswith("G1")


def test_the_early_builder_writes_what_the_first_generations_exporter_wrote(shared, tmp_path):
    theirs = surgery.inspect(shared("modules/g1_small.tar.gz"))
    sizes = theirs.inference.architecture
    early_bert.build_module(
        tmp_path / "ours",
        num_layers=sizes["num_hidden_layers"],
        hidden=sizes["hidden_size"],
        heads=sizes["num_attention_heads"],
        inner=sizes["intermediate_size"],
        vocab=sizes["vocab_size"],
        positions=sizes["max_position_embeddings"],
        types=sizes["type_vocab_size"],
    )
    ours = surgery.inspect(tmp_path / "ours")
    assert listing(ours.module) == listing(theirs.module)
    assert calls(ours.module) == calls(theirs.module)
    assert dict(ours.inference.architecture.values) == dict(sizes.values)


def listing(module):
    return sorted((v.name, v.shape, v.dtype, v.trainable, v.attribute) for v in module.variables)


def calls(module):
    """Each callable's structure of inputs and outputs for each training mode, as text; keys of tensors left out."""
    return {
        json.dumps([t.callable, t.training, describe(t.inputs), describe(t.outputs)])
        for t in module.traces
        if t.callable == "__call__"
    }
