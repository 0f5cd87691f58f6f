"""`surgery serving --mixed-precision bfloat16`: what it says of a processor that shows it, and of others."""

from __future__ import annotations

import json
from itertools import count

import pytest
from click.testing import CliRunner

from surgery.cli.main import main
from surgery.errors import UntrustedError, UsageError
from surgery.jobs import mixed_precision
from surgery.jobs.serve import serve_export
from surgery.tf.mixed_precision import by_turns
from surgery.tfserving.mixed_precision import cannot_tell
from surgery.tfserving.processor import Processor, read_processor
from surgery.tfserving.random_inputs import random_inputs
from tests.support.hostile import hostile_copy

HAS_IT = Processor(name="A", flags=frozenset({"avx2", "avx512_bf16"}))
HAS_IT_NOT = Processor(name="B", flags=frozenset({"avx2", "avx512f"}))


@pytest.fixture
def on(monkeypatch):
    """`on(processor)`: the machine has that processor."""
    return lambda processor: monkeypatch.setattr(mixed_precision, "read_processor", lambda: processor)


def test_the_processor_is_read_from_the_kernels_list(tmp_path):
    listed = tmp_path / "cpuinfo"
    listed.write_text(
        "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: avx2 amx_bf16 avx512_bf16\n\nprocessor\t: 1\n"
    )
    found = read_processor(listed)
    assert (found.name, found.bfloat16, cannot_tell(found)) == ("AMD EPYC", ("avx512_bf16", "amx_bf16"), "")
    listed.write_text("processor\t: 0\nFeatures\t: asimd bf16\n")
    for file in (listed, tmp_path / "nothing"):
        found = read_processor(file)
        assert found.flags is None
        assert "does not list" in cannot_tell(found)
    assert "(B) has neither avx512_bf16 nor amx_bf16" in cannot_tell(HAS_IT_NOT)


def test_another_processor_cannot_tell_and_nothing_is_run(modules, on, monkeypatch):
    on(HAS_IT_NOT)
    monkeypatch.setattr(mixed_precision, "_ask", None)  # calling it would fail
    arguments = ["serving", str(modules("g4_bert_mlm")), "--mixed-precision", "bfloat16"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0
    assert "cannot tell: the processor of this machine (B)" in done.stdout
    data = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).stdout)["mixed_precision"]
    assert (data["processor"], data["instructions"], data["signatures"]) == ("B", [], {})
    assert data["unknown"].startswith("cannot tell")


def test_a_processor_that_has_it_shows_the_errors_of_each_output_and_the_time(modules, on):
    on(HAS_IT)
    steps = []
    measured = serve_export(
        modules("g4_bert_mlm"),
        batch=2,
        length=16,
        mixed_precision="bfloat16",
        progress=lambda step, done, total: steps.append((step, done, total)),
    ).mixed_precision
    assert steps[0] == ("start TensorFlow", 0, 0)
    assert steps[-1] == ("measure bfloat16", 1, 1)
    (cost,) = measured.signatures
    assert (cost.signature, cost.unknown, len(cost.errors)) == ("serving_default", {}, 6)
    assert all(0 < error.float32 < 1e-5 * error.rms for error in cost.errors)
    assert cost.products == 26  # six dense layers and two of attention in three blocks, the pooler, the token types
    assert len(cost.milliseconds) == len(cost.milliseconds_again) == len(cost.milliseconds_bfloat16) >= 5
    if read_processor().bfloat16:
        assert cost.products_in_bfloat16 == cost.products
        assert all(1e-3 * error.rms < error.bfloat16 < 0.3 * error.rms for error in cost.errors)


def test_the_report_shows_a_measurement(modules, on, monkeypatch):
    on(HAS_IT)
    error = {"output": "pooled_output", "rms": 0.5, "float32": 2e-7, "bfloat16": 0.01}
    cost = {
        "signature": "serving_default",
        "errors": [error],
        "unknown": {"scores": "no double kernel: Odd"},
        "products": 26,
        "products_in_bfloat16": 25,
        "milliseconds": [10.0, 20.0, 30.0],
        "milliseconds_bfloat16": [6.0, 12.0, 24.0],
        "milliseconds_again": [10.0, 21.0, 30.0],
    }
    monkeypatch.setattr(mixed_precision, "_ask", lambda request, progress: [cost])
    arguments = ["serving", str(modules("g4_bert_mlm")), "--mixed-precision", "bfloat16"]
    data = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).stdout)["mixed_precision"]
    found = data["signatures"]["serving_default"]
    assert found["outputs"] == [error]
    assert (found["ratio"], found["noise_floor"]) == (0.6, 1.0)
    words = " ".join(CliRunner().invoke(main, arguments).stdout.split())
    assert "25 of 26 matrix products are in bfloat16. A request takes 12 ms, 0.60 x the 20 ms in float32" in words
    assert "pooled_output 0.5 2e-07 0.01 50000 scores: no double kernel: Odd" in words
    assert "no parity is claimed" in words
    cost["products_in_bfloat16"] = 0
    assert "left all 26 matrix products in float32" in " ".join(CliRunner().invoke(main, arguments).stdout.split())


def test_what_the_other_process_refuses_is_refused_here(modules, on, tmp_path):
    on(HAS_IT)
    unclean = hostile_copy(modules("g4_bert_mlm"), tmp_path / "copy", tmp_path / "marker")
    with pytest.raises(UntrustedError, match="could do more than compute"):
        serve_export(unclean, mixed_precision="bfloat16")
    with pytest.raises(UsageError, match="mixed_precision='float16'"):
        serve_export(tmp_path, mixed_precision="float16")


def test_sides_are_run_by_turns_and_each_begins_as_often():
    ticks, order = count(), []
    sides = [lambda: order.append("plain"), lambda: order.append("mixed")]
    times = by_turns(sides, clock=lambda: float(next(ticks)))
    turns = [order[start : start + 3] for start in range(6, len(order), 3)]  # after two turns that warm up
    assert turns[:3] == [["plain", "mixed", "plain"], ["mixed", "plain", "plain"], ["plain", "plain", "mixed"]]
    assert [len(side) for side in times] == [len(turns)] * 3
    assert set(times[0]) == {1000.0}


def test_random_inputs_stay_below_the_vocabulary_and_in_the_mask(modules):
    served = serve_export(modules("g4_bert_mlm")).served.first.signature
    found = random_inputs(served, 3, 9, vocabulary=50)
    ids, mask = found["input_word_ids"], found["input_mask"]
    assert ids.shape == mask.shape == (3, 9)
    assert ids.dtype == "int32"
    assert 10 < len(set(ids.ravel())) <= 50
    assert ids.max() < 50
    assert (mask[-1, -1], ids[-1, -1]) == (0, 0)
