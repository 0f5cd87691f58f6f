"""What the config of a checkpoint says, and what its publisher's code adds to it."""

from __future__ import annotations

import pytest

import surgery
from surgery.explanation.config import model_type
from surgery.families import FAMILIES
from surgery.module import Config
from surgery.tables.evidence import CodeEvidence, ConfigEvidence
from surgery.tables.publisher import Names

BERT_SIZES = {
    "num_hidden_layers": 3,
    "hidden_size": 48,
    "num_attention_heads": 4,
    "attention_head_size": 12,
    "intermediate_size": 96,
    "vocab_size": 1200,
    "max_position_embeddings": 64,
    "type_vocab_size": 2,
    "embedding_size": 48,
}
BERT_RATES = {
    "embedding_dropout": 0.1,
    "attention_probs_dropout": 0.1,
    "attention_output_dropout": 0.1,
    "intermediate_dropout": 0.0,
    "output_dropout": 0.1,
}
CODE = {"norm_first": False, "layer_norm_eps": 1e-12, "attention_mask_adder": -3.4028234663852886e38}
NO_RATES = dict.fromkeys(BERT_RATES, 0.0)
GOOGLE = {"attention_mask_adder": -10000.0, "mlm_layer_norm_eps": 1e-12, "mlm_act": "gelu_tanh"}
EXPECTED = {
    "hf_bert": BERT_SIZES | BERT_RATES | CODE | {"hidden_act": "gelu", "pooler_act": "tanh"},
    "hf_bert_gelu_new": BERT_SIZES | BERT_RATES | CODE | {"hidden_act": "gelu_tanh", "pooler_act": "tanh"},
    "hf_electra": BERT_SIZES | BERT_RATES | CODE | {"hidden_act": "gelu", "embedding_size": 24},
    "hf_albert": BERT_SIZES | NO_RATES | CODE | {"hidden_act": "gelu_tanh", "embedding_size": 24, "pooler_act": "tanh"},
    "tf1_bert_checkpoint": BERT_SIZES
    | BERT_RATES
    | CODE
    | GOOGLE
    | {"num_attention_heads": 6, "attention_head_size": 8, "intermediate_size": 100}
    | {"hidden_act": "gelu_tanh", "pooler_act": "tanh"},
    "tf1_albert_checkpoint": BERT_SIZES
    | NO_RATES
    | CODE
    | GOOGLE
    | {"num_hidden_layers": 4, "intermediate_size": 100, "embedding_size": 24}
    | {"hidden_act": "gelu_tanh", "pooler_act": "tanh"},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_every_field_of_a_checkpoint_has_the_value_of_its_config_or_code(name: str, modules):
    inference = surgery.inspect(modules(name)).inference
    assert dict(inference.architecture.values) == EXPECTED[name]
    assert {e.field for e in inference.evidence} == EXPECTED[name].keys()
    assert all(e.place for e in inference.evidence)


@pytest.mark.parametrize(
    ("name", "field", "source", "place"),
    [
        ("hf_bert", "layer_norm_eps", "config", "config.json: layer_norm_eps"),
        ("hf_bert", "output_dropout", "config", "config.json: hidden_dropout_prob"),
        ("hf_bert", "attention_mask_adder", "code", "transformers, modeling_bert.py"),
        ("hf_albert", "output_dropout", "code", "transformers, modeling_albert.py"),
        ("hf_xlm_roberta", "norm_first", "code", "transformers, modeling_xlm_roberta.py"),
        ("tf1_bert_checkpoint", "layer_norm_eps", "code", "google-research/bert, modeling.py"),
        ("tf1_bert_checkpoint", "hidden_act", "config", "bert_config.json: hidden_act"),
        ("tf1_albert_checkpoint", "mlm_layer_norm_eps", "code", "google-research/albert, modeling.py"),
    ],
)
def test_each_field_is_told_with_the_place_where_it_stands(name, field, source, place, modules):
    evidence = {(e.field, e.kind): e.place for e in surgery.inspect(modules(name)).inference.evidence}
    assert evidence[field, source] == place


def test_sizes_are_read_in_the_config_and_seen_in_names_or_shapes_too(modules):
    evidence = {(e.field, e.kind) for e in surgery.inspect(modules("hf_bert")).inference.evidence}
    assert {("num_hidden_layers", "config"), ("num_hidden_layers", "names")} <= evidence
    assert ("attention_head_size", "shapes") in evidence


@pytest.mark.parametrize("name", ["hf_albert", "tf1_albert_small"])
def test_a_shared_block_is_applied_as_often_as_the_config_says(name, configured):
    found = surgery.plan(configured(name, num_hidden_layers=7))
    assert found.inference.architecture["num_hidden_layers"] == 7
    assert len([output for output in found.signatures["serving_default"] if "encoder_outputs" in output]) == 7


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"model_type": "bert", "architectures": ["RobertaModel"]}, "bert"),
        ({"architectures": ["BertModel"]}, "bert"),
        ({"architectures": ["BertForMaskedLM"]}, "bert"),
        ({"architectures": ["BertLMHeadModel"]}, "bert"),
        ({"architectures": ["AlbertForPreTraining"]}, "albert"),
        ({"architectures": ["ElectraForSequenceClassification"]}, "electra"),
        ({"architectures": ["RobertaModel"]}, "roberta"),
        ({"architectures": ["XLMRobertaForMaskedLM"]}, "xlmroberta"),
        ({"architectures": ["Something"]}, "Something"),
        ({"architectures": []}, None),
        ({}, None),
    ],
)
def test_the_architecture_is_named_by_its_type_or_in_early_configs_by_its_class(values, named):
    assert model_type(Config(file="config.json", values=values)) == named


def test_an_early_config_without_a_type_is_known_by_its_class(configured, modules):
    early = surgery.plan(configured("hf_bert", "model_type", architectures=["BertForMaskedLM"]))
    assert early.inference.architecture == surgery.plan(modules("hf_bert")).inference.architecture


@pytest.mark.parametrize(
    ("word", "means"),
    [
        ("gelu", "gelu"),
        ("gelu_python", "gelu"),
        ("gelu_new", "gelu_tanh"),
        ("gelu_pytorch_tanh", "gelu_tanh"),
        ("relu", "relu"),
    ],
)
def test_transformers_has_a_word_for_each_activation(word, means, configured):
    assert surgery.plan(configured("hf_bert", hidden_act=word)).inference.architecture["hidden_act"] == means


def test_sizes_that_the_shapes_show_need_no_key(configured, modules):
    keys = ("hidden_size", "vocab_size", "intermediate_size", "max_position_embeddings", "num_hidden_layers")
    found = surgery.plan(configured("hf_bert", *keys)).inference
    assert found.architecture == surgery.plan(modules("hf_bert")).inference.architecture


def test_an_assumed_activation_decides_what_google_s_gelu_means_everywhere(modules):
    found = surgery.plan(modules("tf1_bert_checkpoint"), assume={"hidden_act": "gelu"}).inference
    assert (found.architecture["hidden_act"], found.architecture["mlm_act"]) == ("gelu", "gelu")


def publishers():
    return [dialect.publisher for family in FAMILIES for dialect in family.dialects if dialect.publisher is not None]


def test_every_row_of_a_publisher_tells_a_field_of_its_family():
    for family in FAMILIES:
        for dialect in family.dialects:
            for row in dialect.publisher.evidence if dialect.publisher is not None else ():
                assert isinstance(row, ConfigEvidence | CodeEvidence)
                assert row.field in family.fields


def test_what_a_word_may_mean_is_an_activation_that_can_be_computed():
    from surgery.proof.layers import ACTIVATIONS

    rows = [row for kind in publishers() for row in kind.evidence if isinstance(row, ConfigEvidence) and row.means]
    assert len(rows) >= len(publishers())
    fixed = {kind.names.classifier_act for kind in publishers() if isinstance(kind.names, Names)}
    meant = {meaning for row in rows for meanings in row.means.values() for meaning in meanings}
    assert meant | fixed - {""} == set(ACTIVATIONS)
