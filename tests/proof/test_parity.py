"""The comparison: what it lets pass, what it does not, and what it says about either."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pytest

from surgery.export.manifest import report_data
from surgery.jobs.edited_export import _equal
from surgery.proof.battery import Batch
from surgery.proof.comparison import Outputs, compare, computation_order, without_double
from surgery.proof.parity import OutputDiff, ParityReport, WeightCheck, compare_weights


def batch(label: str = "#0", mask: object = ((1, 1), (1, 0))) -> Batch:
    return Batch(label=label, inputs={"input_mask": np.array(mask, np.int32)})


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape or (2, 2, 4))


def both(outputs: Mapping[str, np.ndarray]) -> Outputs:
    """The same values in double precision and in float32."""
    return Outputs(float64=outputs, float32={name: value.astype(np.float32) for name, value in outputs.items()})


def judge(expected, found, *, mask=((1, 1), (1, 0)), name="sequence_output") -> OutputDiff:
    """The comparison in double precision; in float32, both sides are rounded."""
    (diff,) = compare([batch(mask=mask)], [both({name: expected})], [both({name: found})])
    return diff


def judge_float32(exact: np.ndarray | None, module: np.ndarray, export: np.ndarray, copies: int = 1) -> OutputDiff:
    """The comparison of float32 values of which the exact ones are known, or which have no double precision."""
    exactly = {} if exact is None else {"sequence_output": exact}
    sides = [
        [Outputs(float64=exactly, float32={"sequence_output": side.astype(np.float32)})] * copies
        for side in (module, export)
    ]
    (diff,) = compare([batch()] * copies, *sides)
    return diff


def test_equal_bits_pass_and_are_called_bit_equal():
    diff = judge(ones(), ones())
    assert diff.passed
    assert diff.bit_equal
    assert (diff.max_abs, diff.difference, diff.nonfinite, diff.padding_rows) == (0.0, 0.0, (0, 0), None)
    assert (diff.module_error, diff.export_error, diff.rms) == (0.0, 0.0, 1.0)


def test_a_difference_of_rounding_in_double_precision_passes():
    found = ones()
    found[1, 1, 2] += 3e-11
    diff = judge(ones(), found)
    assert diff.passed
    assert diff.in_double
    assert diff.max_abs == pytest.approx(3e-11, rel=0.01)


@pytest.mark.parametrize(("factor", "passed"), [(0.99, True), (1.01, False)])
def test_the_limit_is_a_part_of_the_rms_of_the_expected_tensor(factor: float, passed: bool):
    expected = np.full((2, 2, 4), 3.0)
    expected[0] = 4.0
    rms = np.sqrt((9 + 16) / 2)
    found = expected.copy()
    found[1, 0, 0] += factor * 1e-10 * rms
    diff = judge(expected, found)
    assert diff.passed is passed
    assert diff.difference == pytest.approx(diff.max_abs / rms)


def test_values_whose_squares_are_no_number_are_measured_all_the_same():
    expected, found = ({"a": 1e200 * ones()} for _ in range(2))
    sides = [[Outputs(float64=side)] for side in (expected, found)]
    assert compare([batch()], *sides)[0].passed
    found["a"][0, 0, 0] *= 2
    assert not compare([batch()], *sides)[0].passed


def test_zeros_must_be_zeros():
    assert judge(0 * ones(), 0 * ones()).passed
    diff = judge(0 * ones(), np.full((2, 2, 4), 1e-15))
    assert not diff.passed
    assert diff.difference == np.inf


def test_minus_zero_passes_but_is_not_bit_equal_to_zero():
    diff = judge(0 * ones(), -0.0 * ones())
    assert diff.passed
    assert not diff.bit_equal


NOISE = np.random.default_rng(3).normal(0, 1e-5, (2, 2, 4))
VALUES = np.random.default_rng(4).normal(0, 1, (2, 2, 4))


@pytest.mark.parametrize(("factor", "passed"), [(1, True), (3.9, True), (4.4, False)])
def test_in_float32_an_export_may_be_four_times_as_far_from_the_truth_as_the_module(factor: float, passed: bool):
    diff = judge_float32(VALUES, VALUES + NOISE, VALUES - factor * NOISE, copies=3)
    assert diff.passed is passed
    assert diff.export_error == pytest.approx(factor * diff.module_error, rel=0.02)
    assert diff.module_error == pytest.approx(float(np.sqrt(np.mean(NOISE**2))), rel=0.02)
    assert diff.rms == pytest.approx(float(np.sqrt(np.mean(VALUES**2))))
    assert ("its error in float32 is" in diff.problem) is not passed


@pytest.mark.parametrize(("roundings", "passed"), [(14, True), (18, False)])
def test_an_exact_module_leaves_the_export_sixteen_roundings(roundings: int, passed: bool):
    exact = np.full((2, 2, 4), 0.5)
    export = (exact * (1 + roundings * 2.0**-24)).astype(np.float32).astype(np.float64)
    assert judge_float32(exact, exact, export).passed is passed


def test_single_batches_may_scatter_where_the_battery_does_not():
    exact, close, far = VALUES, VALUES + NOISE / 100, VALUES + 3 * NOISE
    sides = [
        [Outputs(float64={"a": exact}, float32={"a": side.astype(np.float32)}) for side in order]
        for order in ((close, far), (far, close))
    ]
    (diff,) = compare([batch("#0"), batch("#1")], *sides)
    assert diff.passed
    assert diff.worst_error == "#0"
    assert diff.max_error == pytest.approx(3 * np.abs(NOISE).max(), rel=0.02)


@pytest.mark.parametrize(("error", "passed"), [(3e-5, True), (6e-5, False)])
def test_without_double_precision_both_sides_must_be_close_in_float32(error: float, passed: bool):
    found = ones()
    found[0, 0, 0] += error
    diff = judge_float32(None, ones(), found)
    assert diff.passed is passed
    assert not diff.in_double
    assert (diff.module_error, diff.export_error) == (None, None)
    assert diff.max_abs == pytest.approx(error, rel=0.01)


def test_an_output_that_one_side_lacks_in_float32_fails():
    sides = [Outputs(float64={"a": ones()}, float32={"a": ones().astype(np.float32)}), Outputs(float64={"a": ones()})]
    (diff,) = compare([batch()], sides[:1], sides[1:])
    assert not diff.passed or diff.bit_equal is None


def test_another_tensor_that_must_be_the_same_is_judged_under_its_own_name():
    expected, found = [both({"a": ones()})], [Outputs(float64={"a": ones(), "b": ones() + 1e-9}, float32={"a": ones()})]
    diffs = {diff.name: diff for diff in compare([batch()], expected, found, {"b": "a"})}
    assert diffs["b"].in_double
    assert not diffs["b"].passed


@pytest.mark.parametrize(("module", "export"), [(True, False), (False, True), (False, False)])
@pytest.mark.parametrize("error", [0, 1e-2])
def test_another_tensor_is_judged_in_float32_where_one_side_has_no_double_precision(module, export, error):
    single = ones().astype(np.float32)
    expected = Outputs(float64={"a": ones()} if module else {}, float32={"a": single})
    wide = {"a": ones()} if module else {}
    found = Outputs(float64={**wide, **({"b": ones()} if export else {})}, float32={"a": single, "b": single + error})
    diffs = {diff.name: diff for diff in compare([batch()], [expected], [found], {"b": "a"})}
    assert diffs["a"].passed
    assert not diffs["b"].in_double
    assert diffs["b"].passed is (error == 0)


def test_what_double_precision_cannot_judge_is_run_in_float32_or_named():
    expected = [Outputs(float64={"a": ones(), "trained": ones()}, float32={"a": ones(), "c": ones()})]
    same_as = {"b": "a", "in double": "a", "d": "c", "e": "trained", "f": "unmatched"}
    lacking = {"b": ("FakeQuant",), "e": ("FakeQuant", "Other"), "f": ("FakeQuant",)}
    assert without_double(same_as, lacking, expected) == ({"b", "d"}, {"e": "FakeQuant, Other"})


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_a_value_that_is_not_finite_on_one_side_only_fails(bad: float, side: int):
    pair = [ones(), ones()]
    pair[side][0, 0, 0] = bad
    diff = judge(*pair)
    assert not diff.passed
    assert "NaN or Inf on one side only" in diff.problem
    assert diff.nonfinite == ((1, 0), (0, 1))[side]


def test_nan_in_the_same_places_on_both_sides_passes_and_is_counted():
    pair = [ones(), ones()]
    for side in pair:
        side[0, 0, 1:3] = np.nan
    diff = judge(*pair)
    assert diff.passed
    assert diff.nonfinite == (2, 2)


def test_nan_on_both_sides_does_not_hide_an_error_elsewhere():
    pair = [ones(), ones()]
    for side in pair:
        side[0, 0, 1] = np.nan
    pair[1][1, 0, 0] += 1
    diff = judge(*pair)
    assert not diff.passed
    assert diff.max_abs == 1


@pytest.mark.parametrize(("left", "right"), [(np.inf, -np.inf), (np.nan, np.inf), (-np.inf, np.nan)])
def test_nan_and_the_two_infinities_are_different_from_one_another(left: float, right: float):
    expected, found = ones(), ones()
    expected[0, 0, 0], found[0, 0, 0] = left, right
    assert not judge(expected, found).passed


def test_rows_of_nothing_but_padding_are_reported_and_never_judged():
    found = ones()
    found[1] += 100
    diff = judge(ones(), found, mask=((1, 1), (0, 0)))
    assert diff.passed
    assert diff.max_abs == 0
    assert diff.padding_rows == 100


def test_a_row_beside_padding_rows_is_judged():
    found = ones()
    found[0] += 1
    diff = judge(ones(), found, mask=((1, 0), (0, 0)))
    assert not diff.passed
    assert (diff.max_abs, diff.padding_rows) == (1, 0)


def test_padding_beside_tokens_is_no_padding_row():
    found = ones()
    found[1, 1] += 1
    assert not judge(ones(), found, mask=((1, 1), (1, 0))).passed


def test_a_batch_of_padding_rows_alone_passes():
    diff = judge(ones(), ones() + 5, mask=((0, 0), (0, 0)))
    assert diff.passed
    assert diff.padding_rows == 5


def test_nan_that_only_one_side_has_in_a_padding_row_is_not_hidden():
    found = ones()
    found[1] = np.nan
    diff = judge(ones(), found, mask=((1, 1), (0, 0)))
    assert diff.passed
    assert diff.padding_rows != 0 or diff.nonfinite != (0, 0)


def test_a_missing_output_fails():
    (diff,) = compare([batch()], [both({"pooled_output": ones(2, 4)})], [both({})])
    assert not diff.passed
    assert "missing" in diff.problem
    assert diff.worst_batch == "#0"


def test_another_shape_fails_even_where_it_could_be_broadcast():
    diff = judge(ones(2, 2, 4), ones(2, 1, 4))
    assert not diff.passed
    assert "expected float64 [2, 2, 4], found float64 [2, 1, 4]" in diff.problem


def test_another_dtype_fails():
    sides = [Outputs(float64={"a": ones()}, float32={"a": ones().astype(dtype)}) for dtype in (np.float32, np.float64)]
    (diff,) = compare([batch()], sides[:1], sides[1:])
    assert not diff.passed
    assert "found float64" in diff.problem


def test_an_output_that_fails_in_one_batch_of_many_fails():
    battery = [batch(f"#{i}") for i in range(5)]
    found = [both({"pooled_output": ones(2, 4)}) for _ in battery]
    found[3] = both({"pooled_output": ones(2, 4) + 1})
    (diff,) = compare(battery, [both({"pooled_output": ones(2, 4)}) for _ in battery], found)
    assert not diff.passed
    assert (diff.worst_batch, diff.batches, diff.max_abs) == ("#3", 5, 1)


def test_batches_on_which_an_output_was_not_run_do_not_count():
    battery = [batch("#0"), batch("#1")]
    recording = [both({"mlm.mlm_logits": ones()}), both({})]
    (diff,) = compare(battery, recording, recording)
    assert diff.passed
    assert diff.batches == 1


def test_recordings_of_different_length_are_no_comparison():
    with pytest.raises(ValueError, match="zip"):
        compare([batch(), batch()], [both({"a": ones()})] * 2, [both({"a": ones()})])


def test_outputs_are_compared_in_the_order_in_which_they_are_computed():
    names = ["pooled_output", "sequence_output", "mlm.mlm_logits", "mlm.encoder_outputs_10", "mlm.encoder_outputs_2"]
    names += ["embedding_output", *(f"encoder_outputs_{i}" for i in (11, 10, 2, 0, 1))]
    assert sorted(names, key=computation_order) == [
        "embedding_output",
        *(f"encoder_outputs_{i}" for i in (0, 1, 2, 10, 11)),
        "sequence_output",
        "pooled_output",
        "mlm.encoder_outputs_2",
        "mlm.encoder_outputs_10",
        "mlm.mlm_logits",
    ]


def test_a_block_s_scores_come_between_its_input_and_its_output():
    """MobileBERT's list of block outputs begins with the embeddings: its entry 1 is what the first block returns."""
    computed = ["encoder_outputs_0", "attention_scores_0", "encoder_outputs_1", "attention_scores_1"]
    assert sorted(sorted(computed), key=computation_order) == computed


def test_training_traces_come_last():
    names = ["__call__(training=True).embedding_output", "__call__(training=True).encoder_outputs_3", "mlm.mlm_logits"]
    assert sorted(names, key=computation_order) == ["mlm.mlm_logits", *names[:2]]


ALL_EQUAL = WeightCheck(compared=1, mismatches=())


def report(diffs, weights=ALL_EQUAL, contract=()) -> ParityReport:
    return ParityReport(
        reference="a test", batches=1, float32_batches=1, outputs=tuple(diffs), weights=weights, contract=contract
    )


def test_the_first_divergence_is_the_first_block_and_not_the_first_name():
    expected = {f"encoder_outputs_{i}": ones() for i in range(12)} | {"pooled_output": ones(2, 4)}
    found = {
        name: value if name < "encoder_outputs_2" and name[-2:] not in ("10", "11") else value + 1
        for name, value in expected.items()
    }
    diffs = compare([batch()], [both(expected)], [both(found)])
    failed = report(diffs)
    assert not failed.passed
    assert failed.first_divergence.name == "encoder_outputs_2"
    assert failed.failure().startswith(
        "11 of 13 outputs differ; the first to diverge is encoder_outputs_2: by 1 of its RMS in double precision, #0"
    )


def test_a_report_passes_only_when_outputs_weights_and_contract_do():
    good, bad = judge(ones(), ones()), judge(ones(), ones() + 1)
    assert report([good]).passed
    assert report([good]).failure() == ""
    assert not report([good, bad]).passed
    assert not report([good], WeightCheck(compared=1, mismatches=("a: missing in the export",))).passed
    assert not report([good], contract=("an input is named otherwise",)).passed
    assert "an input is named otherwise" in report([good], contract=("an input is named otherwise",)).failure()


def test_a_report_without_any_output_does_not_pass():
    assert not report([]).passed
    assert report([]).failure() == "no output was compared"


def test_a_report_is_json_even_with_an_infinite_error():
    (missing,) = compare([batch()], [both({"a": ones()})], [both({})])
    data = json.loads(json.dumps(report_data(report([missing])), allow_nan=False))
    assert data["passed"] is False
    assert data["outputs"][0]["max_abs"] is None
    assert data["weights"]["passed"] is True


def test_weights_are_compared_by_their_bits_and_none_may_be_missing():
    assert compare_weights({"a": "1", "b": "2"}, {"a": "1", "b": "2"}).passed
    check = compare_weights({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "9"})
    assert check.compared == 3
    assert [line.partition(":")[0] for line in check.mismatches] == ["b", "c"]
    assert not check.passed


def test_an_output_that_neither_side_has_is_not_called_bit_equal():
    there, other = (both({"a": ones()}) for _ in range(2))
    assert _equal(there, other, "a")
    assert not _equal(there, both({"a": ones() + 1e-12}), "a")
    assert not _equal(there, both({}), "a")
    assert not _equal(there, other, "b")
