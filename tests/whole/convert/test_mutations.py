"""A conversion that goes wrong is caught at the right place, and nothing is published."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import surgery
from surgery.export.weights import Weights
from surgery.planning import plan as planning
from surgery.proof import float64
from surgery.proof.battery import FIRST_LOOK, make_battery
from surgery.tf import building, recording

BLOCK = "transformer/layer_"


@pytest.fixture
def mutate(monkeypatch):
    """Installs `change(target, array, weight)`, which may return another array for a target; `weight` gives others."""

    def install(change):
        original = Weights.value

        def value(self, target):
            array = original(self, target)
            changed = change(target, array, partial(original, self))
            return array if changed is None else changed

        monkeypatch.setattr(Weights, "value", value)

    return install


@pytest.fixture
def convert(source, tmp_path):
    """Converts, expects a ParityError, and returns its message; nothing may be left behind."""

    def run(name="g4_bert_dropouts"):
        with pytest.raises(surgery.ParityError) as caught:
            surgery.convert(source(name), tmp_path / "out" / "1", report=tmp_path / "page.html")
        assert not (tmp_path / "out").exists()
        assert not (tmp_path / "page.html").exists()
        return str(caught.value)

    return run


def first_to_diverge(message):
    assert "nothing was" in message
    return re.search(r"the first (?:output )?to diverge is ([\w.]+)", message)[1]


def swapped_query_and_key(target, array, weight):
    if "layer_1/self_attention/query" in target:
        return weight(target.replace("query", "key"))
    return weight(target.replace("key", "query")) if "layer_1/self_attention/key" in target else None


def swapped_blocks(target, array, weight):
    other = {f"{BLOCK}0/": f"{BLOCK}1/", f"{BLOCK}1/": f"{BLOCK}0/"}
    return next((weight(target.replace(a, b)) for a, b in other.items() if target.startswith(a)), None)


def doubled_block(target, array, weight):
    return weight(target.replace("layer_2", "layer_1")) if target.startswith(f"{BLOCK}2/") else None


def one_weight_of_the_last_block(target, array, weight):
    if target == f"{BLOCK}2/intermediate/kernel":
        array = array.copy()
        array[5, 7] += array.std()
        return array
    return None


def dropped_value_bias(target, array, weight):
    return np.zeros_like(array) if target == f"{BLOCK}1/self_attention/value/bias" else None


def gamma_of_the_embedding(target, array, weight):
    return np.ones_like(array) if target == "embeddings/layer_norm/gamma" else None


def swapped_pooler_columns(target, array, weight):
    return array[:, ::-1] if target == "pooler_transform/kernel" else None


def transposed_projection(target, array, weight):
    return array.reshape(array.shape[::-1]).T.copy() if target == "embedding_projection/kernel" else None


def swapped_bottleneck_norms(target, array, weight):
    names = {"layer_1/bottleneck_input/norm": "layer_1/kq_shared_bottleneck/norm"}
    names |= {there: here for here, there in names.items()}
    return next((weight(target.replace(here, there)) for here, there in names.items() if here in target), None)


def swapped_softmax_weights(target, array, weight):
    if "layer_1/self_attention/pre_softmax_weight" in target:
        return weight(target.replace("pre_softmax", "post_softmax"))
    if "layer_1/self_attention/post_softmax_weight" in target:
        return weight(target.replace("post_softmax", "pre_softmax"))
    return None


@pytest.mark.parametrize(
    ("change", "diverges"),
    [
        (swapped_query_and_key, "encoder_outputs_1"),
        (swapped_blocks, "encoder_outputs_0"),
        (doubled_block, "encoder_outputs_2"),
        (one_weight_of_the_last_block, "encoder_outputs_2"),
        (dropped_value_bias, "encoder_outputs_1"),
        (gamma_of_the_embedding, "embedding_output"),
        (swapped_pooler_columns, "pooled_output"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_wrong_weight_that_outputs_can_see_is_named_by_the_first_output_to_diverge(change, diverges, mutate, convert):
    mutate(change)
    assert first_to_diverge(convert()) == diverges


@pytest.mark.parametrize(
    ("change", "diverges"),
    [(swapped_blocks, "encoder_outputs_0"), (swapped_query_and_key, "encoder_outputs_1")],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_the_block_is_named_even_where_the_module_returns_its_ends_only(change, diverges, mutate, convert):
    mutate(change)
    assert first_to_diverge(convert("g1")) == diverges


@pytest.mark.parametrize(
    ("name", "change", "diverges"),
    [
        ("g4_albert", transposed_projection, "embedding_output"),
        ("g4_mobilebert", swapped_bottleneck_norms, "attention_scores_1"),
        ("g4_talkheads", swapped_softmax_weights, "encoder_outputs_1"),
    ],
)
def test_a_mistake_of_one_family_is_caught_where_it_is_made(name, change, diverges, mutate, convert):
    mutate(change)
    assert first_to_diverge(convert(name)) == diverges


@pytest.fixture
def recordings(monkeypatch):
    """The batches that the module's side is recorded on, a list for each time."""
    recorded = []

    def spy(owner, name, position):
        original = getattr(owner, name)

        def record(*args):
            recorded.append(args[position])
            return original(*args)

        monkeypatch.setattr(owner, name, record)

    spy(recording.LoadedModule, "record", 1)
    spy(float64, "record_float64", 3)
    return recorded


@pytest.mark.parametrize("name", ["g4_bert_dropouts", "hf_bert"])
def test_a_wrong_encoder_fails_before_the_rest_of_the_battery_is_recorded(name, mutate, convert, recordings):
    mutate(swapped_blocks)
    assert "nothing was written" in convert(name)
    (early,) = recordings
    assert len(early) == FIRST_LOOK
    assert not any(batch.float32 or batch.training for batch in early)


@pytest.mark.parametrize("name", ["g4_bert_dropouts", "hf_bert"])
def test_a_sound_encoder_is_tried_first_and_each_batch_recorded_once(name, source, tmp_path, recordings):
    done = surgery.convert(source(name), tmp_path / "out" / "1")
    battery = make_battery(done.plan.inference.architecture)
    early, others = recordings
    assert len(early) == FIRST_LOOK
    for precision in ("double", "float32"):
        ran = [batch.label for batch in (*early, *others) if getattr(batch, precision)]
        assert sorted(ran) == sorted(batch.label for batch in battery if getattr(batch, precision))
    assert done.report.batches == len(battery)


def test_a_wrong_weight_of_the_mlm_head_shows_in_its_logits(mutate, convert):
    mutate(lambda target, array, weight: np.zeros_like(array) if target == "cls/predictions/output_bias/bias" else None)
    assert first_to_diverge(convert("g4_bert_mlm")) == "mlm.mlm_logits"


def test_a_zeroed_row_of_an_unused_word_is_named_by_its_weight(mutate, convert, converted):
    architecture = converted("g4_bert_dropouts").conversion.plan.inference.architecture
    used = {i for batch in make_battery(architecture) for i in batch.inputs["input_word_ids"].ravel()}
    unused = min(set(range(architecture["vocab_size"])) - used)

    def zero_row(target, array, weight):
        if target == "word_embeddings/embeddings":
            array = array.copy()
            array[unused] = 0
            return array
        return None

    mutate(zero_row)
    message = convert()
    assert "weight word_embeddings/embeddings: its bits differ" in message
    assert "outputs differ" not in message


def test_a_dropped_key_bias_which_no_output_shows_is_named_by_its_weight(mutate, convert):
    target_of_bias = f"{BLOCK}1/self_attention/key/bias"
    mutate(lambda target, array, weight: np.zeros_like(array) if target == target_of_bias else None)
    message = convert()
    assert f"weight {target_of_bias}: its bits differ" in message
    assert "outputs differ" not in message
    assert "nothing was published" in message


def test_a_last_position_which_only_the_longest_batch_reaches_is_named_by_output_and_weight(mutate, convert):
    def zero_position(target, array, weight):
        if target == "position_embedding/embeddings":
            array = array.copy()
            array[-1] = 0
            return array
        return None

    mutate(zero_position)
    message = convert()
    assert first_to_diverge(message) == "embedding_output"
    assert "weight position_embedding/embeddings: its bits differ" in message


@pytest.fixture
def misread(monkeypatch):
    """Makes the inference see other hyperparameters than the module has."""

    def install(sizes=None, **fields):
        original = planning.infer_architecture

        def infer(*args, **kwargs):
            found = original(*args, **kwargs)
            architecture = replace(found.architecture, values={**found.architecture.values, **fields})
            return replace(found, architecture=architecture, sizes={**found.sizes, **(sizes or {})})

        monkeypatch.setattr(planning, "infer_architecture", infer)

    return install


@pytest.mark.parametrize(
    ("fields", "diverges"),
    [
        ({"hidden_act": "gelu"}, "encoder_outputs_0"),
        ({"hidden_act": "relu"}, "encoder_outputs_0"),
        ({"layer_norm_eps": 1e-3}, "embedding_output"),
        ({"norm_first": True}, "encoder_outputs_0"),
    ],
    ids=str,
)
def test_a_misread_hyperparameter_shows_in_the_first_block(fields, diverges, misread, convert):
    misread(**fields)
    assert first_to_diverge(convert()) == diverges


@pytest.mark.parametrize("name", ["g1", "g4_bert_dropouts", "g4_prenorm"])
def test_another_epsilon_of_the_size_that_bert_knows_is_caught(name, misread, convert):
    misread(layer_norm_eps=1e-6)
    assert first_to_diverge(convert(name)) in ("embedding_output", "encoder_outputs_0")


def test_a_wrong_split_into_heads_is_caught_in_the_first_block(misread, convert):
    misread({"heads": 8, "size": 8}, num_attention_heads=8, attention_head_size=8)
    assert first_to_diverge(convert("g1")) == "encoder_outputs_0"


def test_a_dropout_rate_that_the_rebuilt_encoder_does_not_take_is_named_though_no_output_shows_it(convert, monkeypatch):
    monkeypatch.setattr(building, "_apply", lambda *args, **kwargs: None)
    assert "embedding_dropout: the module has 0.15, the export 0.2" in convert("g1")
