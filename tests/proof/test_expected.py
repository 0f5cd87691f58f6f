"""What features must return, computed in numpy: mixes of block outputs, pooled over the tokens that are there."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from surgery.explanation.outputs import EncoderOutputs
from surgery.jobs.steps import Recorded, make_report
from surgery.planning.features import ResolvedFeature
from surgery.planning.outputs import ExportOutputs, Signature
from surgery.planning.requests import Request
from surgery.proof.comparison import Outputs
from surgery.proof.expected import compute
from surgery.proof.parity import compare_weights

FIRST = np.array([[[1.0, 2.0], [3.0, 8.0], [100.0, -100.0]], [[4.0, 4.0], [5.0, 5.0], [6.0, 6.0]]])
SECOND = 10 * FIRST
MASK = np.array([[1, 1, 0], [1, 0, 1]])


def feature(
    mix: str = "mean", pooling: str = "none", *, layers: int = 2, weights: tuple[float, ...] = ()
) -> ResolvedFeature:
    numbers = range(3, 3 + layers)
    return ResolvedFeature(
        name="text",
        states=tuple(f"encoder_outputs_{number}" for number in numbers),
        outputs=tuple(f"text_{number}" for number in numbers) if mix == "none" else ("text",),
        mix=mix,
        weights=weights,
        pooling=pooling,
        depth=3 + layers,
    )


def only(found):
    assert list(found) == ["text"]
    return found["text"]


@pytest.mark.parametrize(
    ("mix", "weights", "factor"),
    [("mean", (), 5.5), ("sum", (), 11.0), ("weights", (0.5, 0.25), 3.0), ("weights", (0.25, 0.5), 5.25)],
)
def test_layers_are_mixed_in_their_order(mix, weights, factor):
    found = only(compute(feature(mix, weights=weights), [FIRST, SECOND], MASK))
    np.testing.assert_allclose(found, factor * FIRST, rtol=1e-12)


def test_layers_are_laid_side_by_side_in_their_order():
    found = only(compute(feature("concat"), [FIRST, SECOND], MASK))
    assert found.shape == (2, 3, 4)
    assert np.array_equal(found[..., :2], FIRST)
    assert np.array_equal(found[..., 2:], SECOND)


def test_layers_that_are_not_mixed_are_outputs_of_their_own_by_block():
    found = compute(feature("none", "cls"), [FIRST, SECOND], MASK)
    assert list(found) == ["text_3", "text_4"]
    assert np.array_equal(found["text_3"], FIRST[:, 0])
    assert np.array_equal(found["text_4"], SECOND[:, 0])


@pytest.mark.parametrize(
    ("pooling", "pooled"),
    [
        ("cls", [[1, 2], [4, 4]]),
        ("mean", [[2, 5], [5, 5]]),
        ("max", [[3, 8], [6, 6]]),
        ("mean_max", [[2, 5, 3, 8], [5, 5, 6, 6]]),
        ("mean_sqrt_len", [[4 / 2**0.5, 10 / 2**0.5], [10 / 2**0.5, 10 / 2**0.5]]),
    ],
)
def test_padding_counts_in_no_pooling(pooling, pooled):
    np.testing.assert_allclose(only(compute(feature("mean", pooling, layers=1), [FIRST], MASK)), pooled, rtol=1e-12)


def test_without_pooling_every_token_is_there_padding_included():
    assert np.array_equal(only(compute(feature("sum", layers=1), [FIRST], MASK)), FIRST)


def test_the_largest_of_negative_values_is_not_the_zero_of_padding():
    found = only(compute(feature("mean", "max", layers=1), [-FIRST], np.array([[1, 1, 0], [0, 1, 0]])))
    assert np.array_equal(found, [[-1, -2], [-5, -5]])


@pytest.mark.parametrize(("pooling", "width"), [("mean", 2), ("max", 2), ("mean_max", 4), ("mean_sqrt_len", 2)])
def test_a_row_of_padding_pools_to_zeros(pooling, width):
    found = only(compute(feature("mean", pooling, layers=1), [FIRST], np.array([[0, 0, 0], [1, 1, 1]])))
    assert found.shape == (2, width)
    assert np.array_equal(found[0], np.zeros(width))
    assert found[1].all()


def test_the_arithmetic_is_float64():
    states = np.array([[[1.0], [1e-9]]], np.float32)
    for mix in ("mean", "concat"):
        found = only(compute(feature(mix, "mean", layers=1), [states], np.ones((1, 2))))
        assert found.dtype == np.float64
        assert found[0, 0] > 0.5


def test_an_output_of_any_signature_or_of_the_call_that_nothing_was_compared_with_is_named():
    names = EncoderOutputs(names=("encoder_outputs", "pooled_output"), lists={"encoder_outputs": 0}, blocks=3)
    signatures = {"serving_default": ("encoder_outputs_2", "pooled_output"), "taps": ("query_0", "query_1")}
    outputs = ExportOutputs(
        request=Request(), signatures={name: Signature(outputs=found) for name, found in signatures.items()}
    )
    there = dict.fromkeys(("pooled_output", "taps.query_1", "__call__.encoder_outputs_0"), FIRST)
    recorded = Recorded(
        plan=SimpleNamespace(inference=SimpleNamespace(outputs=names), outputs=outputs),
        how="a test",
        battery=[],
        expected=[Outputs(float64=there)],
        inner=(),
        hashes={},
        nonfinite={},
    )
    loaded = SimpleNamespace(problems=(), formulas=(), lacking={})
    report = make_report(recorded, (), compare_weights({}, {}), (), loaded)
    assert report.unmatched == ("encoder_outputs_2", "taps.query_0", "__call__.encoder_outputs_1")
