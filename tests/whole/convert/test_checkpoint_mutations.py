"""The reference of a checkpoint shares nothing with the weight rows and the encoder: a mistake in one of them shows."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import tensorflow as tf

import surgery
from surgery.explanation import recognition
from surgery.tables.layout import parse
from surgery.tables.publisher import Names
from surgery.tf import building
from surgery.tf.roberta import RobertaEncoder


@pytest.fixture
def mistaken(monkeypatch):
    """`mistaken(change)` puts `change(dialect)` in the place of each published dialect."""

    def install(change):
        def with_changed(family):
            dialects = [dialect if dialect.publisher is None else change(dialect) for dialect in family.dialects]
            return replace(family, dialects=tuple(dialects))

        monkeypatch.setattr(recognition, "FAMILIES", tuple(map(with_changed, recognition.FAMILIES)))

    return install


@pytest.fixture
def diverges(source, tmp_path):
    """Converts, expects a ParityError, and returns the first output to diverge; nothing may be left behind."""

    def run(name):
        with pytest.raises(surgery.ParityError) as caught:
            surgery.convert(source(name), tmp_path / "out" / "1")
        assert not (tmp_path / "out").exists()
        return re.search(r"the first (?:output )?to diverge is ([\w.]+)", str(caught.value))[1]

    return run


def swapped_query_and_key(row):
    other = {"query": "key", "key": "query", "value": "value"}
    if row.target is not None and "{qkv}" in row.target:  # google's row for all three
        pattern = row.pattern.replace("{qkv:query|key|value}", "{qkv}")
        return [
            replace(row, pattern=pattern.replace("{qkv}", name), target=row.target.replace("{qkv}", place))
            for name, place in other.items()
        ]
    found = re.search(r"/(query|key)/", row.target or "")
    return [row if found is None else replace(row, target=row.target.replace(found[1], other[found[1]]))]


def swapped_norms(row):
    other = {"self_attention_layer_norm": "output_layer_norm", "output_layer_norm": "self_attention_layer_norm"}
    found = next((name for name in other if name in (row.target or "")), None)
    return [row if found is None else replace(row, target=row.target.replace(found, other[found]))]


def relaid(target, layout):
    """Changes the layout of the row for a target: a square kernel fits it, transposed or not."""

    def change(row):
        return [replace(row, layout=parse(layout)) if (row.target or "").endswith(target) else row]

    return change


AS_STORED, TRANSPOSED = "hidden (heads size) -> hidden heads size", "(heads size) hidden -> hidden heads size"


@pytest.mark.parametrize(
    ("name", "change", "first"),
    [
        ("hf_bert", swapped_query_and_key, "encoder_outputs_0"),
        ("hf_albert", swapped_query_and_key, "encoder_outputs_0"),
        ("tf1_bert_checkpoint", swapped_query_and_key, "encoder_outputs_0"),
        ("hf_electra", swapped_norms, "encoder_outputs_0"),
        ("hf_distilbert", swapped_query_and_key, "encoder_outputs_0"),
        ("tf1_bert_checkpoint", swapped_norms, "encoder_outputs_0"),
        ("hf_bert", relaid("self_attention/query/kernel", AS_STORED), "encoder_outputs_0"),
        ("hf_albert", relaid("self_attention/value/kernel", AS_STORED), "encoder_outputs_0"),
        ("hf_bert", relaid("attention_output/kernel", "(heads size) hidden -> heads size hidden"), "encoder_outputs_0"),
        ("hf_bert", relaid("pooler_transform/kernel", "hidden pooled"), "pooled_output"),
        ("tf1_albert_checkpoint", relaid("self_attention/{qkv}/kernel", TRANSPOSED), "encoder_outputs_0"),
        ("tf1_bert_checkpoint", relaid("pooler_transform/kernel", "pooled hidden -> hidden pooled"), "pooled_output"),
        (
            "tf1_bert_checkpoint",
            relaid("cls/predictions/transform/dense/kernel", "embedding hidden -> hidden embedding"),
            "mlm.mlm_logits",
        ),
    ],
)
def test_a_mistake_in_the_weight_rows_shows_where_it_acts(name, change, first, mistaken, diverges):
    mistaken(lambda dialect: replace(dialect, rules=tuple(row for old in dialect.rules for row in change(old))))
    assert diverges(name) == first


@pytest.mark.parametrize(("name", "other"), [("hf_bert", "gelu_tanh"), ("hf_bert_gelu_new", "gelu")])
def test_an_encoder_with_the_other_gelu_shows_in_the_first_block(name, other, diverges, monkeypatch):
    right = {"gelu": "gelu_tanh", "gelu_tanh": "gelu"}[other]
    monkeypatch.setitem(building.ACTIVATIONS, right, building.ACTIVATIONS[other])
    assert diverges(name) == "encoder_outputs_0"


@pytest.mark.parametrize(
    "positions",
    [
        lambda encoder, ids: tf.broadcast_to(tf.range(tf.shape(ids)[1]) + encoder._padding + 1, tf.shape(ids)),
        lambda encoder, ids: tf.cumsum(tf.cast(ids != encoder._padding, tf.int32), axis=1) + encoder._padding,
        lambda encoder, ids: tf.cumsum(tf.ones_like(ids), axis=1) * tf.cast(ids != 1, tf.int32) + encoder._padding,
    ],
    ids=["which do not depend on padding", "which padding has too", "which padding counts for"],
)
def test_an_encoder_with_other_positions_shows_in_the_embeddings(positions, diverges, monkeypatch):
    monkeypatch.setattr(RobertaEncoder, "_positions", positions)
    assert diverges("hf_roberta") == "embedding_output"


def test_an_encoder_that_keeps_keras_s_epsilon_shows_in_the_embeddings(diverges, monkeypatch):
    monkeypatch.setattr(building, "_apply", lambda *args, **kwargs: None)
    assert diverges("hf_bert_epsilon") == "embedding_output"


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("query", "attention.self.key"),
        ("attention_norm", "output.LayerNorm"),
        ("output_norm", ("attention.output.LayerNorm",)),
    ],
)
def test_a_mistake_in_the_reference_s_own_names_shows_too(field, name, mistaken, diverges):
    def misnamed(dialect):
        if not isinstance(dialect.publisher.names, Names):  # MobileBERT's
            return dialect
        names = replace(dialect.publisher.names, **{field: name})
        return replace(dialect, publisher=replace(dialect.publisher, names=names))

    mistaken(misnamed)
    assert diverges("hf_bert") == "encoder_outputs_0"
