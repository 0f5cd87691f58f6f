"""scripts/benchmark, its topic inference: rounds, workers, ratios, targets, tables and plot. No times are judged."""

from __future__ import annotations

import dataclasses
import datetime
import io
import json
import os
import sys
import xml.etree.ElementTree as ElementTree
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from scripts.tools.benchmark import inference, matrix_products, models, page, results, rounds
from scripts.tools.benchmark.fixture import Fixture
from scripts.tools.benchmark.grid import make_grid
from scripts.tools.benchmark.plot import BAR, draw
from scripts.tools.benchmark.programs import time_families, worker
from scripts.tools.benchmark.programs.inputs import FULL, HALF, Case, lengths_of, make_inputs
from scripts.tools.benchmark.sides import FUSED, MATMULS, ONNX, OPENVINO, POOLED, SIDES, SOURCE, SOURCE_AGAIN, TORCH
from scripts.tools.benchmark.targets import targets_of
from scripts.tools.benchmark.workers import Worker, WorkerFailed
from surgery.families import FAMILIES

ROOT = Path(__file__).parents[2]
FAKE = ROOT / "tests" / "support" / "fake_model.py"
MACHINE = {
    "cpu": "A Processor",
    "instructions": "avx2 avx512f",
    "cores": 2,
    "memory_gib": 8.0,
    "system": "Linux x86_64",
    "python": "3.11",
    "tensorflow": "2.20",
    "tf_models_official": "2.20",
}


def fake(kind):
    return [sys.executable, str(FAKE), kind]


@pytest.fixture
def times():
    """Milliseconds of all sides in three turns of every case. The whole machine is slower in the second turn."""
    factors = {SOURCE: 1.0, SOURCE_AGAIN: 1.01, FUSED: 0.65, POOLED: 0.4, TORCH: 0.9, OPENVINO: 0.5, MATMULS: 0.5}
    cases = [Case(rows, length, fill) for fill in (FULL, HALF) for rows, length in inference.EFFORTS]
    return {
        case: {name: [factor * turn for turn in (100.0, 300.0, 110.0)] for name, factor in factors.items()}
        for case in cases
    }


@pytest.fixture
def comparisons(times):
    return inference.compare_times(times) + inference.compare_once(SIDES, {"source": 3.0, "fused": 1.5}, "load", "s")


def test_every_side_is_run_in_every_turn_and_another_one_begins():
    called, pauses = [], []

    def side(name):
        def call(calls):
            called.append((name, calls))
            return [float(len(called)), 0.0, 1000.0][:calls]

        return call

    found = rounds.by_turns({n: side(n) for n in "abc"}, turns=3, calls=3, warm_up=2, pause=pauses.append)
    assert called[:3] == [("a", 2), ("b", 2), ("c", 2)]
    assert [name for name, _ in called[3:]] == [*"abc", *"bca", *"cab"]
    assert found == {"a": [4.0, 9.0, 11.0], "b": [5.0, 7.0, 12.0], "c": [6.0, 8.0, 10.0]}  # medians of three calls
    assert pauses == [rounds.PAUSE] * 9


@pytest.mark.parametrize("rows", [1, 2, 3, 8, 32])
def test_half_of_the_positions_of_a_half_filled_request_are_tokens(rows):
    case = Case(rows, 64, HALF)
    lengths = lengths_of(case)
    assert sum(lengths) == rows * 64 // 2
    assert min(lengths) >= 1
    assert len(set(lengths)) == rows
    inputs = make_inputs(case, 100)
    assert inputs["input_mask"].sum(axis=1).tolist() == lengths
    assert all(not array[inputs["input_mask"] == 0].any() for array in inputs.values())
    assert make_inputs(Case(rows, 64, FULL), 100)["input_mask"].all()


def test_a_worker_times_only_the_call_and_says_what_differs():
    ticks, prepared = count(), []
    sequence = np.arange(12, dtype=np.float32).reshape(1, 4, 3)

    def prepare(inputs):
        prepared.append(inputs)
        return lambda: sequence

    signature = worker.Signature(prepare=prepare, arrays=lambda found: {"sequence_output": found})
    model = worker.Model(version="1", load=2.0, vocabulary=9, signatures={"serving_default": signature})
    asked = {"do": "time", "signature": "serving_default", "case": [1, 4, HALF], "calls": 3}
    answers = io.StringIO()
    worker.answer(model, [json.dumps(asked)] * 2, answers, clock=lambda: float(next(ticks)))
    lines = [json.loads(line) for line in answers.getvalue().splitlines()]
    assert lines == [{"version": "1", "load": 2.0}, *[{"milliseconds": [1000.0] * 3}] * 2]
    assert len(prepared) == 1

    mask = np.array([[1, 1, 0, 0]])
    moved = sequence.copy()
    moved[0, 3] += 1  # padding
    assert worker.difference({"a": sequence}, {"a": moved}, mask) == ""
    moved[0, 1, 0] += 0.01
    assert worker.difference({"a": sequence}, {"a": moved}, mask).startswith("a is off by 0.01")
    assert worker.difference({"a": sequence}, {"b": moved}, mask) == "a is missing; found b"
    assert "has the shape [1, 4]" in worker.difference({"a": sequence}, {"a": moved[..., 0]}, mask)
    assert "off by nan" in worker.difference({"a": sequence}, {"a": moved * np.nan}, mask)


def test_the_encoder_of_every_family_can_be_made():
    assert set(time_families.ARGUMENTS) == {family.name for family in FAMILIES}


def test_a_worker_that_ends_says_why():
    with pytest.raises(WorkerFailed, match=r"exit code 1:\nwhat a library says\nno such file"):
        Worker(fake("fails"), ROOT)
    with Worker(fake("source"), ROOT) as started:
        assert (started.version, started.load) == ("fake source", 1.5)
        with pytest.raises(WorkerFailed, match="KeyError"):
            started.ask(do="time", signature="none", case=[1, 4, FULL], calls=1)


def test_the_matrix_products_are_divided_among_processes_on_cores_of_their_own(monkeypatch):
    asked, started = [], []

    class Recorded(Worker):
        def __init__(self, *args, core):
            super().__init__(*args, core=core)
            started.append(os.sched_getaffinity(self._process.pid))

        def ask(self, **request):
            asked.append((self, request["calls"]))
            return super().ask(**request)

    monkeypatch.setattr(models, "command", lambda recipe, fixture: fake("other"))
    monkeypatch.setattr(matrix_products, "Worker", Recorded)
    core = min(os.sched_getaffinity(0))
    seconds = matrix_products.products_by_processes(Fixture(ROOT, "small"), (1, 2), (core, core, core), repeats=2)
    assert {count: len(found) for count, found in seconds.items()} == {1: 2, 2: 2}
    assert started == [{core}, {core}]
    workers = list(dict.fromkeys(found for found, _ in asked))
    calls = [[count for found, count in asked if found is one] for one in workers]
    assert calls == [[1, 32, 16, 32, 16], [1, 16, 16]]


@pytest.fixture
def run_with(monkeypatch, tmp_path):
    """`run_with(model=kind)` measures fake models: those not named are like the source, "none" is not available."""

    def run(**kinds):
        def command(recipe, fixture):
            model = next(name for name, known in models.MODELS.items() if known is recipe)
            if kinds.get(model) == "none":
                raise models.Unavailable("it cannot be installed")
            return fake(kinds.get(model, "source" if model == "source" else "other"))

        monkeypatch.setattr(models, "command", command)
        monkeypatch.setattr(inference, "EFFORTS", {(2, 4): inference.Effort(turns=2, calls=2)})
        return inference.measure_inference(Fixture(ROOT, "small"), None)

    return run


def test_a_run_has_every_side_of_every_runtime_and_what_is_not_available_is_said(run_with, capsys):
    found = run_with(torch="none", onnx="fails")
    timed = {row.subject for row in found if row.quantity == "2 x 4, half filled"}
    assert timed == {side.name for side in SIDES} - {SOURCE, TORCH, ONNX}
    assert all(len(row.subject_samples) == 2 for row in found if row.unit == "ms")
    assert {row.quantity for row in found} == {"2 x 4, full", "2 x 4, half filled", "load", "memory"}
    assert all(row.subject_samples == [1.5] for row in found if row.quantity == "load")
    said = capsys.readouterr().err
    assert "not compared with torch: it cannot be installed" in said
    assert "not compared with onnx: the process ended" in said


def test_a_side_that_computes_other_numbers_is_never_timed(run_with):
    with pytest.raises(SystemExit, match=r"OpenVINO, f32 does not compute .*: sequence_output is off by 1, allowed"):
        run_with(openvino="wrong")


def test_a_ratio_is_the_median_of_the_turns_and_the_noise_floor_is_marked(comparisons):
    rows = {(row.subject, row.reference): row for row in comparisons if row.quantity == "8 x 128, full"}
    assert rows[FUSED, SOURCE].ratio == pytest.approx(0.65)
    assert rows[FUSED, TORCH].ratio == pytest.approx(0.65 / 0.9)
    assert rows[SOURCE_AGAIN, SOURCE].is_noise
    assert [row.is_noise for pair, row in rows.items() if pair[0] != SOURCE_AGAIN] == [False] * (len(rows) - 1)


def test_targets_name_their_sides_and_one_depends_on_the_matrix_products(comparisons):
    rows = {(r.subject, r.reference, r.quantity): r for r in comparisons}
    (target,) = targets_of(rows[FUSED, SOURCE, "8 x 128, full"])
    row = rows[FUSED, SOURCE, "8 x 128, full"]
    assert row.floor == pytest.approx(0.5)
    assert (target.text(row), target.is_reached(row)) == ("<= 0.70 x", True)
    slow = dataclasses.replace(row, floor=0.61, subject_samples=[79.0, 237.0, 86.9])
    assert (target.text(slow), target.is_reached(slow)) == ("<= 0.80 x", True)
    assert not target.is_reached(dataclasses.replace(slow, floor=0.59))
    (beaten,) = targets_of(rows[FUSED, OPENVINO, "8 x 128, full"])
    assert not beaten.is_reached(rows[FUSED, OPENVINO, "8 x 128, full"])
    (half,) = targets_of(rows[POOLED, SOURCE, "8 x 128, half filled"])
    assert half.is_reached(rows[POOLED, SOURCE, "8 x 128, half filled"])
    assert targets_of(rows[POOLED, SOURCE, "8 x 128, full"]) == []
    assert targets_of(rows[TORCH, SOURCE, "8 x 128, full"]) == []


def test_the_table_and_the_json_have_the_bound_that_applied(comparisons, tmp_path, capsys):
    results.print_table(comparisons, MACHINE, "base")
    results.write_json(tmp_path / "found.json", comparisons, MACHINE, "base")
    out = capsys.readouterr().out
    assert "A Processor (avx2 avx512f), 2 cores" in out
    assert "noise floor" in out
    found = json.loads((tmp_path / "found.json").read_text())["comparisons"]
    (row,) = [
        r
        for r in found
        if (r["subject"]["name"], r["quantity"], r["reference"]["name"]) == (FUSED, "1 x 16, full", SOURCE)
    ]
    assert row["targets"] == [{"measure": "ratio", "bound": 1.02, "measured": row["ratio"], "reached": True}]


def test_the_page_has_the_tables_between_its_two_lines_and_the_plot_beside_it(comparisons, tmp_path):
    file = tmp_path / "measured.md"
    file.write_text(f"# Measured\n{page.BEGIN}\nold\n{page.END}\nrest\n")
    page.update(file, comparisons, MACHINE, "base")
    text = file.read_text()
    assert text.startswith(f"# Measured\n{page.BEGIN}\n`scripts/benchmark --only inference` on ")
    assert text.endswith(f"{page.END}\nrest\n")
    assert "old" not in text
    assert "| surgery, fused | 71.5 (0.65) | 71.5 (0.65) | 71.5 (0.65) | 71.5 (0.65) |" in text
    assert "| surgery, fused | 1.50 (0.50) |  |" in text
    assert "ONNX" not in text  # it was not measured
    assert f"]({page.PLOT.as_posix()})" in text
    ElementTree.parse(tmp_path / page.PLOT)
    with pytest.raises(SystemExit, match="expected the lines"):
        page.update(tmp_path / page.PLOT, comparisons, MACHINE, "base")
    section = page.section(make_grid(comparisons), MACHINE, "small", datetime.date(2026, 1, 2))
    assert section.startswith("`scripts/benchmark --only inference --small` on 2026-01-02: A Processor")


def test_the_plot_has_a_bar_for_each_time_as_long_as_its_ratio(comparisons):
    drawn = draw(make_grid(comparisons), "<A & B>")
    assert "http" not in drawn.replace("http://www.w3.org/2000/svg", "")
    assert "prefers-color-scheme: dark" in drawn
    root = ElementTree.fromstring(drawn)
    space = "{http://www.w3.org/2000/svg}"
    assert root.find(f"{space}title").text.startswith("<A & B>: ")
    bars = [rect for rect in root.iter(f"{space}rect") if rect.get("class") != "page"]
    assert len(bars) == 7 * 8  # sides, and sizes in both fills
    widths = {round(float(rect.get("width")) / BAR, 2) for rect in bars if rect.get("class") == "own"}
    assert widths == {0.65, 0.4}
    words = [element.text for element in root.iter(f"{space}text")]
    assert words.count("71.5") == words.count("110") == 8
    slow = [dataclasses.replace(row, subject_samples=[s * 9 for s in row.subject_samples]) for row in comparisons]
    assert "→ 644" in draw(make_grid(slow), "slow")
