"""Configs that lack something, say something unknown, or contradict the weights: told with the key and what to do."""

from __future__ import annotations

import re

import pytest

import surgery
from surgery.errors import ContradictionError, UnexplainedError


def refused(folder, error=UnexplainedError, **assume) -> UnexplainedError:
    with pytest.raises(error) as caught:
        surgery.plan(folder, assume=assume)
    assert type(caught.value) is error
    return caught.value


@pytest.mark.parametrize("name", ["hf_bert", "hf_albert", "tf1_bert_small", "tf1_albert_small"])
@pytest.mark.parametrize(
    ("key", "value", "weight"),
    [
        ("hidden_size", 64, r"\S+"),
        ("vocab_size", 1201, r"\S+word_embeddings\S*"),
        ("intermediate_size", 48, r"\S*(?:inter|ffn)\S+"),
        ("max_position_embeddings", 512, r"\S+position_embeddings\S*"),
        ("type_vocab_size", 1, r"\S+token_type_embeddings\S*"),
        ("num_attention_heads", 5, r"\S*attention\S+"),
    ],
)
def test_a_config_that_contradicts_the_shapes_is_told_with_weight_and_key(name, key, value, weight, configured):
    message = refused(configured(name, **{key: value}), ContradictionError).message
    assert re.match(rf"binding the shape of {weight} \[.*\b{value}\b.*config\.json: {key}\b", message)


def test_heads_that_do_not_divide_the_width_are_told_with_both_numbers(configured):
    message = refused(configured("hf_bert", num_attention_heads=7), ContradictionError).message
    assert "48 here, which 7 does not divide" in message


@pytest.mark.parametrize("name", ["hf_bert", "hf_electra", "tf1_bert_small"])
def test_a_config_that_counts_other_blocks_than_the_names_is_a_contradiction(name, configured):
    message = refused(configured(name, num_hidden_layers=4), ContradictionError).message
    assert "num_hidden_layers is 4" in message
    assert "but 3 at" in message


@pytest.mark.parametrize("model", ["bert-generation", "squeezebert", "ibert"])
def test_another_architecture_is_refused_though_its_names_are_bert_s(model: str, configured):
    message = refused(configured("hf_bert", model_type=model)).message
    known = "albert, bert, camembert, distilbert, electra, mobilebert, roberta, xlm-roberta"
    assert f"names the architecture {model}; known are {known}" in message


def test_a_type_that_the_names_contradict_is_refused(configured):
    for name, model in (("hf_bert", "albert"), ("hf_albert", "bert")):
        message = refused(configured(name, model_type=model)).message
        assert f"The nearest, {model}, Hugging Face transformers, claims" in message


@pytest.mark.parametrize(
    ("name", "key", "value", "because"),
    [
        ("hf_bert", "position_embedding_type", "relative_key", "absolute positions only"),
        ("hf_electra", "position_embedding_type", "relative_key_query", "absolute positions only"),
        ("hf_bert", "is_decoder", True, "sees the whole sequence"),
        ("hf_bert", "add_cross_attention", True, "attends to itself only"),
        ("hf_bert", "pruned_heads", {"0": [1]}, "all heads in every block"),
        ("hf_albert", "num_hidden_groups", 2, "one block at every depth"),
        ("hf_albert", "inner_group_num", 2, "one block at every depth"),
        ("tf1_albert_small", "num_hidden_groups", 2, "one block at every depth"),
        ("tf1_albert_small", "inner_group_num", 2, "one block at every depth"),
    ],
)
def test_what_the_rebuilt_encoder_cannot_do_is_refused_with_the_reason(name, key, value, because, configured):
    message = refused(configured(name, **{key: value})).message
    assert f"{key} is {value!r}" in message
    assert because in message


@pytest.mark.parametrize(
    ("name", "value", "known"),
    [
        ("hf_bert", "silu", "gelu, gelu_python, gelu_new, gelu_pytorch_tanh, relu"),
        ("hf_albert", "quick_gelu", "gelu, gelu_python, gelu_new, gelu_pytorch_tanh, relu"),
        ("hf_bert", None, "gelu, gelu_python"),
        ("tf1_bert_small", "gelu_new", "gelu, relu"),
        ("tf1_bert_small", "linear", "gelu, relu"),
        ("tf1_albert_small", "", "gelu, relu"),
    ],
)
def test_an_activation_that_is_not_known_is_refused_with_those_that_are(name, value, known, configured):
    message = refused(configured(name, hidden_act=value)).message
    assert f"hidden_act is {value!r}, which is not known; known are {known}" in message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hidden_size", "48"),
        ("hidden_size", 48.0),
        ("num_hidden_layers", True),
        ("vocab_size", 0),
        ("hidden_dropout_prob", 1.0),
        ("attention_probs_dropout_prob", None),
        ("layer_norm_eps", 0),
        ("layer_norm_eps", "1e-12"),
    ],
)
def test_a_value_that_no_field_can_have_is_refused(key, value, configured):
    message = refused(configured("hf_bert", **{key: value})).message
    assert f"config.json of hf_bert: {key} is {value!r}, expected a" in message


@pytest.mark.parametrize(
    ("name", "key", "fields", "value"),
    [
        ("hf_bert", "hidden_act", ["hidden_act"], "gelu"),
        ("hf_bert", "layer_norm_eps", ["layer_norm_eps"], 1e-5),
        ("hf_bert", "attention_probs_dropout_prob", ["attention_probs_dropout"], 0.3),
        (
            "hf_electra",
            "hidden_dropout_prob",
            ["embedding_dropout", "attention_output_dropout", "output_dropout"],
            0.2,
        ),
        ("hf_albert", "num_hidden_layers", ["num_hidden_layers"], 5),
        ("tf1_albert_small", "num_hidden_layers", ["num_hidden_layers"], 5),
        ("tf1_bert_small", "hidden_act", ["hidden_act", "mlm_act"], "relu"),
    ],
)
def test_a_missing_key_is_an_error_that_names_the_option_which_supplies_it(name, key, fields, value, configured):
    folder = configured(name, key)
    error = refused(folder)
    for field in fields:
        assert f"{field}: " in error.message
        assert f"'{field}': ..." in error.hint
    assert f"config.json has no {key}" in error.message
    assert error.hint.count("...") == len(fields)
    assert error.hint.count("assume={") == 1
    found = surgery.plan(folder, assume=dict.fromkeys(fields, value)).inference
    assert {found.architecture[field] for field in fields} == {value}
    assert {e.kind for e in found.evidence if e.field in fields} == {"option"}


@pytest.mark.parametrize("name", ["hf_bert", "tf1_bert_small"])
def test_a_missing_head_count_can_be_supplied_alone(name, configured):
    folder = configured(name, "num_attention_heads")
    assert "assume={'num_attention_heads': ..." in refused(folder).hint
    assert surgery.plan(folder, assume={"num_attention_heads": 12}).inference.architecture["attention_head_size"] == 4


def test_an_assumption_that_the_config_contradicts_is_refused(configured):
    message = refused(configured("tf1_bert_small"), ContradictionError, hidden_act="relu").message
    assert "but relu at --assume hidden_act=relu" in message
    message = refused(configured("hf_bert"), ContradictionError, hidden_act="gelu_tanh").message
    assert "hidden_act is gelu (read at config.json: hidden_act), but gelu_tanh at --assume" in message


def test_a_config_that_names_no_architecture_says_what_to_add(configured):
    folder = configured("hf_bert", model_type=None, architectures=None)
    assert 'no "model_type": add it' in str(refused(folder))


def test_an_activation_that_is_no_word_is_refused(configured):
    assert "which is not known" in str(refused(configured("hf_bert", hidden_act=["gelu"])))
