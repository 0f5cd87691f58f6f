"""A parity report with many outputs as text: a row a tap, what was compared with inner tensors, what with nothing."""

from __future__ import annotations

import io
import re

from rich.console import Console

from surgery.proof.parity import OutputDiff, ParityReport, Tolerance, WeightCheck
from surgery.reports import parity

NOTE = "* not returned by the module's call: compared with the tensors inside its own graph"


def diff(name: str, max_abs: float = 0.0, *, passed: bool = True, padding: float | None = None) -> OutputDiff:
    return OutputDiff(
        name=name,
        batches=9,
        max_abs=max_abs,
        relative=2 * max_abs,
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
        tolerance=Tolerance(),
        batches=41,
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
    assert found["taps.query_{0..2}"] == "taps.query_{0..2} 3e-07 6e-07 passed"
    assert not any(name.startswith("taps.query_0") for name in found)


def test_blocks_that_do_not_follow_one_another_are_listed_and_one_alone_keeps_its_name():
    found = rows(diff("taps.key_0"), diff("taps.value_5"), diff("taps.key_7"), diff("taps.ffn_1_output_3"))
    assert found["taps.key_{0,7}"].endswith("bit-equal")
    assert found["taps.value_5"].endswith("bit-equal")
    assert found["taps.ffn_1_output_3"].endswith("bit-equal")


def test_one_that_failed_is_a_row_of_its_own():
    found = rows(diff("taps.key_0"), diff("taps.key_1", 0.5, passed=False), diff("taps.key_2"))
    assert found["taps.key_1"] == "taps.key_1 0.5 1 FAILED"
    assert found["taps.key_{0,2}"].endswith("bit-equal")
    assert "verdict: NOT the same function" in found


def test_block_outputs_of_the_default_signature_keep_their_rows():
    found = rows(diff("encoder_outputs_0"), diff("encoder_outputs_1"), diff("depth_2.encoder_outputs_0"))
    assert {"encoder_outputs_0", "encoder_outputs_1", "depth_2.encoder_outputs_0"} <= found.keys()


def test_the_largest_error_in_rows_of_padding_is_told_for_a_tap_too():
    found = rows(diff("taps.key_0", padding=0.25), diff("taps.key_1", padding=0.5), diff("pooled_output"))
    assert found["taps.key_{0,1}"] == "taps.key_{0,1} 0 0 0.5 bit-equal"


def test_what_was_compared_with_inner_tensors_is_marked_and_explained():
    found = rows(diff("encoder_outputs_0"), diff("pooled_output"), diff("taps.key_0"), inner=("taps.key_0",))
    assert {"taps.key_0*", "pooled_output", "encoder_outputs_0", NOTE} <= found.keys()
    assert not any(line.startswith("*") for line in rows(diff("pooled_output")))


def test_what_was_compared_with_nothing_is_told():
    line = "not compared, the module's graph shows no counterpart: taps.key_0, taps.key_1"
    assert line in rows(diff("pooled_output"), unmatched=("taps.key_0", "taps.key_1"))
    assert not any("no counterpart" in told for told in rows(diff("pooled_output")))
