"""A parity report with many outputs as text: a row a tap, what was compared with inner tensors, what with nothing."""

from __future__ import annotations

import io
import re

from rich.console import Console

from surgery.proof.parity import OutputDiff, ParityReport, WeightCheck
from surgery.reports import parity

NOTE = "* not returned by the module's call: compared with the tensors inside its own graph"


def diff(name: str, max_abs: float = 0.0, *, passed: bool = True, padding: float | None = None) -> OutputDiff:
    return OutputDiff(
        name=name,
        batches=9,
        in_double=True,
        difference=2 * max_abs,
        max_abs=max_abs,
        module_error=4e-8,
        export_error=6e-8 + max_abs,
        rms=2.0,
        max_error=1e-6,
        worst_error="#2",
        bit_equal=max_abs == 0,
        nonfinite=(0, 0),
        padding_rows=padding,
        worst_batch="#1",
        passed=passed,
    )


def rows(*outputs: OutputDiff, inner: tuple[str, ...] = (), unmatched: tuple[str, ...] = ()) -> dict[str, str]:
    """The text's rows by their first word; lines that are no rows are their own."""
    report = ParityReport(
        reference="the module",
        batches=12,
        float32_batches=6,
        outputs=outputs,
        weights=WeightCheck(compared=2, mismatches=()),
        inner=inner,
        unmatched=unmatched,
    )
    stream = io.StringIO()
    parity.text(Console(file=stream, width=200, highlight=False), parity.data(report))
    lines = [re.sub(r"\s+", " ", line).strip() for line in stream.getvalue().splitlines()]
    return {line.partition(" ")[0]: line for line in lines if line} | {line: line for line in lines}


def test_a_tap_in_all_its_blocks_is_one_row_with_the_largest_error():
    found = rows(*(diff(f"taps.query_{block}", error) for block, error in enumerate((1e-7, 3e-7, 0.0))))
    assert found["taps.query_{0..2}"] == "taps.query_{0..2} 6e-07 2e-08 1.8e-07 no passed"
    assert not any(name.startswith("taps.query_0") for name in found)


def test_blocks_that_do_not_follow_one_another_are_listed_and_one_alone_keeps_its_name():
    found = rows(diff("taps.key_0"), diff("taps.value_5"), diff("taps.key_7"), diff("taps.ffn_1_output_3"))
    assert found["taps.key_{0,7}"].endswith("yes passed")
    assert found["taps.value_5"].endswith("yes passed")
    assert found["taps.ffn_1_output_3"].endswith("yes passed")


def test_all_outputs_of_a_training_trace_are_one_row_with_the_largest_difference():
    trained = [diff(f"__call__(training=True).{name}", error) for name, error in (("pooled_output", 1e-13), ("x_0", 0))]
    found = rows(diff("pooled_output"), *trained)
    assert found["__call__(training=True).*"] == "__call__(training=True).* 2e-13 2e-08 3e-08 no passed"
    failed = rows(diff("__call__(training=True).x_0", 1e-3, passed=False), *trained)
    assert "FAILED" in failed["__call__(training=True).x_0"]


def test_one_that_failed_is_a_row_of_its_own():
    found = rows(diff("taps.key_0"), diff("taps.key_1", 0.5, passed=False), diff("taps.key_2"))
    assert found["taps.key_1"] == "taps.key_1 1 2e-08 0.25 no FAILED"
    assert found["taps.key_{0,2}"].endswith("yes passed")
    assert "verdict: NOT the same function" in found


def test_block_outputs_of_the_default_signature_keep_their_rows():
    found = rows(diff("encoder_outputs_0"), diff("encoder_outputs_1"), diff("depth_2.encoder_outputs_0"))
    assert {"encoder_outputs_0", "encoder_outputs_1", "depth_2.encoder_outputs_0"} <= found.keys()


def test_the_largest_difference_in_rows_of_padding_is_told_with_its_output():
    found = rows(diff("taps.key_0", padding=0.25), diff("taps.key_1", padding=0.5), diff("pooled_output"))
    told = "rows of nothing but padding, not judged: largest difference 0.5, in taps.key_1"
    assert told in found
    assert not any("padding" in line for line in rows(diff("pooled_output")))


def test_what_was_compared_with_inner_tensors_is_marked_and_explained():
    found = rows(diff("encoder_outputs_0"), diff("pooled_output"), diff("taps.key_0"), inner=("taps.key_0",))
    assert {"taps.key_0*", "pooled_output", "encoder_outputs_0", NOTE} <= found.keys()
    assert not any(line.startswith("*") for line in rows(diff("pooled_output")))


def test_of_hundreds_of_differences_the_first_are_shown_and_the_others_counted():
    """An export of another encoder breaks the contract in each of its weights: the verdict must not be lost below."""
    report = ParityReport(
        reference="the module",
        batches=12,
        float32_batches=6,
        outputs=(),
        weights=WeightCheck(compared=20, mismatches=tuple(f"w{number}: differs" for number in range(20))),
        contract=tuple(f"breach {number}" for number in range(200)),
    )
    stream = io.StringIO()
    parity.text(Console(file=stream, width=200, highlight=False), parity.data(report))
    for shown in (stream.getvalue(), report.failure()):
        assert shown.count("breach") == 12
        assert re.search(r"… and \d+ more weights", shown)
        assert "… and 188 more differences" in shown
    assert len(parity.data(report)["contract"]) == 200


def test_what_was_compared_with_nothing_is_told():
    line = "not compared, the module's graph shows no counterpart: taps.key_0, taps.key_1"
    shown = rows(diff("pooled_output"), unmatched=("taps.key_0", "taps.key_1"))
    assert line in shown
    assert shown["verdict:"] == "verdict: the same function, in all that can be compared"
    assert rows(diff("pooled_output"))["verdict:"] == "verdict: the same function"
    assert not any("no counterpart" in told for told in rows(diff("pooled_output")))
