"""What the architecture becomes when a constant, an operation or a trace of the module's graph is changed."""

from __future__ import annotations

import pytest

from surgery.errors import ContradictionError, UnexplainedError, UsageError
from surgery.explanation.assignment import map_weights
from surgery.explanation.inferring import infer_architecture
from tests.support import editing
from tests.support.editing import inspect_edited, inspected, set_constants, set_ops

DROPOUTS = (
    "embedding_dropout",
    "attention_probs_dropout",
    "attention_output_dropout",
    "intermediate_dropout",
    "output_dropout",
)
BLOCK = "transformer/layer_1"


def change(modules, tmp_path, edit, name: str = "g4_bert_mlm"):
    return inspect_edited(modules(name), tmp_path / name, edit)


@pytest.mark.parametrize(
    ("constant", "value", "field", "elsewhere", "here"),
    [
        ("output_layer_norm/batchnorm/add/y", 1e-6, "layer_norm_eps", "embeddings/layer_norm", "output_layer_norm"),
        (
            "self_attention_layer_norm/batchnorm/add/y",
            1e-5,
            "layer_norm_eps",
            "embeddings",
            "self_attention_layer_norm",
        ),
        ("dropout_2/dropout/GreaterEqual/y", 0.3, "output_dropout", "layer_0/dropout_2", "layer_1/dropout_2"),
        ("dropout/dropout/GreaterEqual/y", 0.3, "attention_output_dropout", "layer_0/dropout", "layer_1/dropout"),
        (
            "self_attention/dropout_3/dropout/GreaterEqual/y",
            0.3,
            "attention_probs_dropout",
            "layer_0/self_attention",
            "layer_1/self_attention",
        ),
        ("self_attention/Mul/y", 0.5, "attention_head_size", "layer_0/self_attention", "layer_1/self_attention"),
        (
            "self_attention/softmax/mul/y",
            -1e4,
            "attention_mask_adder",
            "layer_0/self_attention",
            "layer_1/self_attention",
        ),
    ],
)
def test_a_constant_that_differs_in_one_block_is_a_contradiction_that_names_both_places(
    constant, value, field, elsewhere, here, modules, tmp_path
):
    module = change(modules, tmp_path, lambda s: set_constants(s, f"{BLOCK}/{constant}", value))
    with pytest.raises(ContradictionError) as caught:
        infer_architecture(module)
    message = caught.value.message
    assert field in message
    before, after = message.split(", but ")
    assert elsewhere in before
    assert here in after
    assert "layer_1" in after


def test_an_epsilon_that_is_another_everywhere_is_read_as_it_is(modules, tmp_path):
    module = change(modules, tmp_path, lambda s: set_constants(s, "batchnorm/add/y", 1e-5))
    values = infer_architecture(module).architecture
    assert values["layer_norm_eps"] == values["mlm_layer_norm_eps"] == 1e-5


def test_the_norm_of_the_masked_lm_head_has_an_epsilon_of_its_own(modules, tmp_path):
    module = change(modules, tmp_path, lambda s: set_constants(s, "transform/LayerNorm/batchnorm/add/y", 1e-6))
    values = infer_architecture(module).architecture
    assert (values["layer_norm_eps"], values["mlm_layer_norm_eps"]) == (1e-12, 1e-6)


def test_a_dropout_that_is_another_everywhere_is_read_as_it_is(modules, tmp_path):
    module = change(modules, tmp_path, lambda s: set_constants(s, r"layer_\d/dropout_2/dropout/GreaterEqual/y", 0.3))
    values = infer_architecture(module).architecture
    assert (values["output_dropout"], values["attention_output_dropout"]) == (0.3, 0.1)


def test_erf_instead_of_tanh_is_the_exact_gelu(modules, tmp_path):
    module = change(modules, tmp_path, lambda s: set_ops(s, "activation/Gelu/Tanh", "Erf"))
    values = infer_architecture(module).architecture
    assert (values["hidden_act"], values["mlm_act"]) == ("gelu", "gelu_tanh")


def test_erf_in_one_block_only_is_a_contradiction(modules, tmp_path):
    module = change(modules, tmp_path, lambda s: set_ops(s, f"{BLOCK}/activation/Gelu/Tanh", "Erf"))
    with pytest.raises(ContradictionError, match=r"hidden_act is gelu_tanh .*layer_0.* but gelu at .*layer_1"):
        infer_architecture(module)


def test_an_activation_that_is_not_known_is_told_by_its_operations(modules, tmp_path):
    module = change(modules, tmp_path, lambda s: set_ops(s, "activation/Gelu/Tanh", "Sigmoid"))
    with pytest.raises(UnexplainedError, match=r"no evidence for hidden_act[\s\S]*Sigmoid") as caught:
        infer_architecture(module)
    assert "assume={'hidden_act': ...}" in caught.value.hint


def test_an_unknown_activation_in_one_block_is_not_taken_for_its_neighbours(modules, tmp_path):
    module = change(modules, tmp_path, lambda s: set_ops(s, f"{BLOCK}/activation/Gelu/Tanh", "Sigmoid"))
    with pytest.raises(UnexplainedError, match="hidden_act"):
        infer_architecture(module)


def test_an_epsilon_that_cannot_be_read_in_one_block_is_not_taken_for_its_neighbours(modules, tmp_path):
    module = change(
        modules, tmp_path, lambda s: set_ops(s, f"{BLOCK}/output_layer_norm/batchnorm/add/y", "Placeholder")
    )
    with pytest.raises(UnexplainedError, match="layer_norm_eps"):
        infer_architecture(module)


@pytest.mark.parametrize(("op", "found"), [("Sigmoid", "sigmoid"), ("Identity", "linear")])
def test_a_pooler_that_model_garden_does_not_have_is_refused(op, found, modules, tmp_path):
    module = change(modules, tmp_path, lambda s: set_ops(s, "pooler_transform/Tanh", op))
    with pytest.raises(UnexplainedError, match=f"pooler_act is {found}"):
        infer_architecture(module)


def test_a_scale_that_contradicts_the_shapes_is_refused(modules, tmp_path):
    module = change(modules, tmp_path, lambda s: set_constants(s, "self_attention/Mul/y", 0.5))
    with pytest.raises(ContradictionError, match=r"is 4\b.*16"):
        infer_architecture(module)


def test_a_scale_that_is_no_inverse_root_of_a_head_size_is_refused(modules, tmp_path):
    module = change(modules, tmp_path, lambda s: set_constants(s, "self_attention/Mul/y", 0.2485))
    with pytest.raises(UnexplainedError, match="attention_head_size"):
        infer_architecture(module)


def test_without_a_training_trace_the_dropouts_are_asked_for_by_option(modules, tmp_path):
    edit = editing.without_training(inspected(modules("g4_bert_mlm")))
    module = change(modules, tmp_path, edit)
    with pytest.raises(UnexplainedError, match="no training trace") as caught:
        infer_architecture(module)
    assert all(f"'{field}': ..." in caught.value.hint for field in DROPOUTS)


def test_what_is_assumed_stands_in_for_missing_evidence_and_is_told(modules, tmp_path):
    edit = editing.without_training(inspected(modules("g4_bert_mlm")))
    found = infer_architecture(change(modules, tmp_path, edit), dict.fromkeys(DROPOUTS, 0.25))
    assert [found.architecture[field] for field in DROPOUTS] == [0.25] * 5
    (evidence,) = [e for e in found.evidence if e.field == "output_dropout"]
    assert (evidence.kind, evidence.place) == ("option", "--assume output_dropout=0.25")


def test_assuming_some_of_what_is_missing_asks_for_the_rest_only(modules, tmp_path):
    edit = editing.without_training(inspected(modules("g4_bert_mlm")))
    module = change(modules, tmp_path, edit)
    with pytest.raises(UnexplainedError) as caught:
        infer_architecture(module, {"output_dropout": 0.1})
    assert "output_dropout=" not in caught.value.hint.replace("attention_output_dropout=", "")


def test_an_assumption_against_the_evidence_is_a_contradiction(modules):
    with pytest.raises(ContradictionError, match=r"output_dropout is 0\.1 \(read at .*\), but 0\.2 at --assume"):
        infer_architecture(inspected(modules("g4_bert_mlm")), {"output_dropout": 0.2})


def test_an_assumption_that_the_evidence_confirms_changes_nothing(modules):
    module = inspected(modules("g4_bert_mlm"))
    assumed = infer_architecture(module, {"output_dropout": 0.1, "hidden_size": 64})
    assert assumed.architecture == infer_architecture(module).architecture


def test_an_assumption_about_a_field_that_does_not_exist_is_wrong_usage(modules):
    with pytest.raises(UsageError, match="no field depth") as caught:
        infer_architecture(inspected(modules("g4_bert_mlm")), {"depth": 3})
    assert "num_hidden_layers" in caught.value.hint


def test_flat_kernels_without_a_scale_are_cut_as_the_caller_says(modules, tmp_path):
    folder = modules("g1_built")
    module = inspect_edited(folder, tmp_path / "no_scale", lambda s: set_ops(s, "self_attention/Mul", "Maximum"))
    with pytest.raises(UnexplainedError, match="attention_head_size"):
        infer_architecture(module)
    found = infer_architecture(module, {"attention_head_size": 8, "num_attention_heads": 8})
    assert {a.shape for a in map_weights(module, found).assignments if "query/kernel" in a.target} == {(64, 8, 8)}


def test_flat_kernels_cannot_be_cut_into_heads_that_do_not_fill_them(modules, tmp_path):
    folder = modules("g1_built")
    module = inspect_edited(folder, tmp_path / "no_scale", lambda s: set_ops(s, "self_attention/Mul", "Maximum"))
    with pytest.raises(UnexplainedError):
        infer_architecture(module, {"attention_head_size": 16, "num_attention_heads": 5})


def test_a_scale_above_one_is_no_head_size(modules, tmp_path):
    folder = modules("g1_built")
    module = inspect_edited(folder, tmp_path / "scaled", lambda s: set_constants(s, "self_attention/Mul/y", 2.0))
    with pytest.raises(UnexplainedError):
        infer_architecture(module)
