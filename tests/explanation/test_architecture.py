"""The architecture of every sample, with the evidence for each of its fields."""

from __future__ import annotations

import pytest

from surgery.explanation.inferring import infer_architecture
from surgery.explanation.recognition import find_family
from tests.support.editing import inspected

COMMON = {
    "num_hidden_layers": 3,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "attention_head_size": 16,
    "intermediate_size": 160,
    "vocab_size": 1200,
    "max_position_embeddings": 96,
    "type_vocab_size": 2,
    "embedding_size": 64,
    "hidden_act": "gelu_tanh",
    "pooler_act": "tanh",
    "layer_norm_eps": 1e-12,
    "norm_first": False,
    "embedding_dropout": 0.1,
    "attention_probs_dropout": 0.1,
    "attention_output_dropout": 0.1,
    "intermediate_dropout": 0.0,
    "output_dropout": 0.1,
    "attention_mask_adder": -1e9,
}
MLM = {"mlm_act": "gelu_tanh", "mlm_layer_norm_eps": 1e-12}
EXPECTED = {
    "g2_small": ("G2", {"attention_mask_adder": -10000.0}),
    "g3_small": (
        "G3",
        {
            "num_hidden_layers": 4,
            "hidden_size": 48,
            "embedding_size": 48,
            "num_attention_heads": 6,
            "attention_head_size": 8,
            "intermediate_size": 120,
        },
    ),
    "g4_bert_mlm": ("G4", MLM),
    "g4_bert_dropouts": (
        "G4",
        {
            "hidden_size": 48,
            "embedding_size": 48,
            "attention_head_size": 12,
            "embedding_dropout": 0.2,
            "attention_probs_dropout": 0.05,
            "attention_output_dropout": 0.05,
            "output_dropout": 0.2,
        },
    ),
    "g4_electra": ("G4", {"embedding_size": 32}),
    "g4_bert_v2": ("G4 (exported from BertEncoderV2)", MLM),
    "g4_prenorm": ("G4", {"num_attention_heads": 8, "attention_head_size": 8, "norm_first": True}),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_architecture_of_a_sample(name: str, modules):
    generation, differences = EXPECTED[name]
    found = infer_architecture(inspected(modules(name)))
    assert dict(found.architecture.values) == COMMON | differences
    assert found.architecture.family == "bert"
    assert found.architecture.generation.startswith(generation)


@pytest.mark.parametrize("name", EXPECTED)
def test_every_field_has_evidence_with_a_place(name: str, modules):
    found = infer_architecture(inspected(modules(name)))
    for field, value in found.architecture.values.items():
        evidence = [e for e in found.evidence if e.field == field]
        assert evidence, field
        assert all(e.value == value and e.place and e.count >= 1 for e in evidence), field


def test_evidence_counts_the_places_that_agree(modules):
    found = infer_architecture(inspected(modules("g3_small")))
    counts = {(e.field, e.kind): e.count for e in found.evidence}
    assert counts["layer_norm_eps", "graph"] == 1 + 2 * 4
    assert counts["attention_probs_dropout", "graph"] == 4


@pytest.mark.parametrize(
    ("name", "generation", "differences"),
    [
        ("g1_small", "G1", {"attention_mask_adder": -10000.0}),
        (
            "g1_other",
            "G1",
            {
                "num_hidden_layers": 4,
                "hidden_size": 60,
                "embedding_size": 60,
                "num_attention_heads": 5,
                "attention_head_size": 12,
                "intermediate_size": 88,
                "vocab_size": 300,
                "max_position_embeddings": 40,
                "type_vocab_size": 3,
                "attention_mask_adder": -10000.0,
            },
        ),
    ],
)
def test_the_heads_of_flat_kernels_come_from_the_attention_s_scale(name, generation, differences, shared_modules):
    found = infer_architecture(inspected(shared_modules(name)))
    assert dict(found.architecture.values) == COMMON | differences
    assert found.architecture.generation.startswith(generation)


@pytest.mark.parametrize("name", ["g4_albert", "g4_mobilebert", "g4_talkheads", "tf1_bert_small", "tf1_albert_small"])
def test_another_family_is_explained_wholly(name: str, modules):
    module = inspected(modules(name))
    _, found = find_family(module)
    assert found.complete
    assert len(found.claims) == sum(v.attribute is None for v in module.variables)
