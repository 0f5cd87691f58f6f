"""Features, against numpy: every mix with every pooling as TensorFlow computes it, and some of them in an export."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

import surgery
from surgery.planning.features import ResolvedFeature
from surgery.tf import features
from tests.support.sample_names import COMPOSED
from tests.support.tapping import run_signatures

MIXES = {"none": "none", "mean": "mean", "sum": "sum", "concat": "concat", "weighed": "0.6,-0.4"}
POOLINGS = ("none", "cls", "mean", "max", "mean_max", "mean_sqrt_len")
LAYERS = (0, 2)

INPUTS = {
    "input_word_ids": np.arange(4 * 7, dtype=np.int32).reshape(4, 7) * 13 % 200,
    "input_mask": np.array([[1] * 7, [1, 1, 1, 0, 0, 0, 0], [0, 1, 0, 0, 1, 1, 0], [0] * 7], np.int32),
    "input_type_ids": np.array([[0, 0, 0, 0, 1, 1, 1]] * 4, np.int32),
}
"""Full, ragged, with holes and a first token that is padding, and nothing but padding."""
MASK = INPUTS["input_mask"]


def expected(mix: str, pooling: str, first: np.ndarray, last: np.ndarray) -> list[np.ndarray]:
    """What a feature makes of two blocks' outputs, written out."""
    first, last = first.astype(np.float64), last.astype(np.float64)
    mixed = {
        "none": [first, last],
        "mean": [0.5 * (first + last)],
        "sum": [first + last],
        "concat": [np.concatenate([first, last], -1)],
        "weighed": [0.6 * first - 0.4 * last],
    }
    return [pooled(pooling, x) for x in mixed[mix]]


def pooled(pooling: str, x: np.ndarray, mask: np.ndarray = MASK) -> np.ndarray:
    """A pooling with padding as NaN, which numpy's own functions leave out; a row of padding is zeros."""
    if pooling == "none":
        return x
    if pooling == "cls":
        return x[:, 0]
    x = np.where(mask[:, :, None] != 0, x, np.nan)
    x[~mask.any(1)] = 0
    mean, largest = np.nanmean(x, axis=1), np.nanmax(x, axis=1)
    made = {
        "mean": mean,
        "max": largest,
        "mean_max": np.concatenate([mean, largest], -1),
        "mean_sqrt_len": mean * np.sqrt(mask.sum(1, keepdims=True)),
    }
    return made[pooling]


@pytest.mark.parametrize(("mix", "pooling"), list(itertools.product(MIXES, POOLINGS)))
def test_every_mix_goes_with_every_pooling(mix, pooling):
    random = np.random.default_rng(7)
    # Shifted below zero, so that the zeros of padding would be the largest.
    states = [random.normal(-3, 1, (4, 7, 5)).astype(np.float32) for _ in LAYERS]
    weights = (0.6, -0.4) if mix == "weighed" else ()
    kind = "weights" if weights else mix
    feature = ResolvedFeature(
        name="text",
        states=tuple(f"encoder_outputs_{layer}" for layer in LAYERS),
        outputs=tuple(f"text_{layer}" for layer in LAYERS) if mix == "none" else ("text",),
        mix=kind,
        weights=weights,
        pooling=pooling,
        depth=3,
    )
    found = features.compute(feature, [tf.constant(x) for x in states], tf.constant(MASK))
    assert list(found) == list(feature.outputs)
    for value, wanted in zip(found.values(), expected(mix, pooling, *states), strict=True):
        assert value.shape == wanted.shape
        assert np.abs(value.numpy() - wanted).max() < 5e-6


EXPORTED = [("none", "cls"), ("mean", "mean"), ("sum", "none"), ("concat", "mean_max"), ("weighed", "mean_sqrt_len")]


@pytest.fixture(scope="module")
def exported(source, tmp_path_factory):
    """What an export with features of two blocks returns, and those blocks' outputs."""
    export = tmp_path_factory.mktemp("features") / "1"
    spelled = [f"{mix}_{pooling}={MIXES[mix]}@0,-1/{pooling}" for mix, pooling in EXPORTED]
    # Features and composed signatures may use blocks that the default signature leaves out.
    probe = "probe=pooled_output,mean_mean,none_cls_0,encoder_outputs_0,encoder_outputs_2"
    done = surgery.convert(source("hf_bert"), export, features=spelled, layers="1", signatures=[probe])
    assert done.report.passed
    assert done.report.unmatched == ()
    return run_signatures(export, INPUTS)


@pytest.mark.parametrize(("mix", "pooling"), EXPORTED)
def test_a_feature_is_a_signature_of_its_name(mix, pooling, exported):
    name = f"{mix}_{pooling}"
    names = [f"{name}_{layer}" for layer in LAYERS] if mix == "none" else [name]
    assert sorted(exported[name]) == names
    states = [exported["probe"][f"encoder_outputs_{layer}"] for layer in LAYERS]
    for output, wanted in zip(names, expected(mix, pooling, *states), strict=True):
        assert exported[name][output].shape == wanted.shape
        assert np.abs(exported[name][output] - wanted).max() < 2e-6


def test_a_row_of_padding_pools_to_zeros_and_not_to_nan(exported):
    for name in ("mean_mean", "concat_mean_max", "weighed_mean_sqrt_len"):
        assert not exported[name][name][3].any()
        assert exported[name][name][:3].all()


def test_a_composed_signature_gives_each_output_under_its_own_name(exported):
    probe = exported["probe"]
    assert set(probe) == {"pooled_output", "mean_mean", "none_cls_0", "encoder_outputs_0", "encoder_outputs_2"}
    assert np.abs(probe["pooled_output"] - exported["serving_default"]["pooled_output"]).max() < 1e-6
    assert np.abs(probe["mean_mean"] - exported["mean_mean"]["mean_mean"]).max() < 1e-6
    assert np.abs(probe["none_cls_0"] - exported["none_cls"]["none_cls_0"]).max() < 1e-6


def test_the_default_signature_has_the_chosen_block_output_only(exported):
    assert [name for name in exported["serving_default"] if name.startswith("encoder")] == ["encoder_outputs_1"]


@pytest.mark.parametrize("name", COMPOSED)
def test_a_feature_counts_blocks_without_the_embedding_in_every_family(name, tapped):
    done = tapped(name)
    last_two = 0.5 * (done.states[-2] + done.states[-1]).astype(np.float64)
    wanted = pooled("mean", last_two, done.inputs["input_mask"])
    assert np.abs(done.outputs["text"]["text"] - wanted).max() < 2e-6


@pytest.mark.parametrize("name", COMPOSED)
def test_layers_are_laid_side_by_side_as_often_and_in_the_order_as_they_are_written(name, tapped):
    done = tapped(name)
    wanted = np.concatenate([done.states[number][:, 0] for number in (-1, 0, 1, -1)], axis=-1)
    found = done.outputs["twice"]["twice"]
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() < 2e-6


@pytest.mark.parametrize("name", COMPOSED)
def test_hidden_states_are_the_embedding_and_what_each_block_returns(name, tapped):
    done = tapped(name)
    found = done.outputs["hidden_states"]
    assert sorted(found) == [f"hidden_states_{number}" for number in range(done.blocks + 1)]
    for number, state in enumerate(done.states):
        assert np.abs(found[f"hidden_states_{number}"] - state).max() < 2e-6
