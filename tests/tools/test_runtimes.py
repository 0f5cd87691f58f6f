"""scripts/runtimes: real runtimes on a real export, and that a wrong number and a lost name do not pass.

OpenVINO and ONNX Runtime run in environments of their own, which the script makes where they are missing. Converters
take seconds for each signature of each block, so the module is as small as one can be that has several blocks.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import surgery
from scripts.tools.runtimes import request
from scripts.tools.runtimes.programs import exchange
from tests.support.builders import model_garden
from tests.support.conversions import few_batches

ROOT = Path(__file__).parents[2]
FEATURES = ("pooled=mean@-2:/mean_max",)


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """A module of two blocks with masked-LM outputs and a vocabulary."""
    place = tmp_path_factory.mktemp("module") / "bert"
    return model_garden.build_module(place, num_layers=2, hidden=16, inner=24, mlm=True)


@pytest.fixture(scope="module")
def export(module, tmp_path_factory):
    """A tensor export with a bit of everything."""
    export = tmp_path_factory.mktemp("everywhere") / "bert" / "1"
    with few_batches():
        surgery.convert(module, export, taps=["attention_probs", "query"], features=FEATURES, depths=[1])
    return export


@pytest.fixture(scope="module")
def text_export(module, tmp_path_factory):
    """A text export of few signatures: each takes converters seconds, to say the same of every one."""
    export = tmp_path_factory.mktemp("texts") / "bert" / "1"
    with few_batches():
        return surgery.convert(module, export, text=True).text_destination


@pytest.fixture(scope="module")
def script():
    """The tool's command line as a module."""
    from scripts.tools.runtimes import __main__ as runtimes

    return runtimes


def run(*arguments):
    """The exit code of the script, what it printed as data, and what it said."""
    command = [sys.executable, "-m", "scripts.tools.runtimes", *map(str, arguments)]
    # The checkout's own surgery, wherever the tests are run from.
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """A folder of real answers, and the answers by export and runtime."""
    return tmp_path_factory.mktemp("answers"), {}


@pytest.fixture
def remembered(script, monkeypatch, answers):
    """The reference and TensorFlow's signatures answer about each export once: several tests ask them the same."""
    ask, (kept, known) = script.ask, answers

    def asked(runtime, request, folder):
        if runtime.name not in ("reference", "signature"):
            return ask(runtime, request, folder)
        key = (exchange.read_request(request).export, runtime)
        if key not in known:
            known[key] = ask(runtime, request, kept / f"{len(known)}")
        shutil.copytree(known[key].folder, folder)
        return dataclasses.replace(known[key], folder=folder)

    monkeypatch.setattr(script, "ask", asked)


@pytest.fixture
def rows_of(script, remembered, capsys):
    """`rows_of(export, "--only", "c")`: the rows that the tool prints, by runtime."""

    def ran(*arguments):
        code = script.main([*map(str, arguments), "--json"])
        out, err = capsys.readouterr()
        data = json.loads(out)
        assert code == (0 if data["passed"] else 1), err
        return {row["runtime"]: row for row in data["exports"][0]["runtimes"]}

    return ran


def names(export, *signatures):
    outputs = json.loads((export / "assets.extra" / "surgery.json").read_text(encoding="utf-8"))["outputs"]
    return sum(len(keys) for name, keys in outputs.items() if not signatures or name in signatures)


def holds_everywhere(row, export):
    """Every signature loads, every name of the manifest is there, and every number is surgery's to its tolerance."""
    assert not row["faults"]
    assert all(signature["loads"] for signature in row["signatures"])
    assert row["alive"] == row["names"] == names(export)
    assert sum(len(signature["outputs"]) for signature in row["signatures"]) == row["names"]


@pytest.mark.parametrize(
    ("architecture", "longest"),
    [
        ({"vocab_size": 9, "max_position_embeddings": 7}, 7),  # DistilBERT's, without token types
        ({"vocab_size": 9, "max_position_embeddings": 7, "type_vocab_size": 1, "pad_token_id": 1}, 5),  # RoBERTa's
    ],
)
def test_requests_fit_every_family(architecture, longest, tmp_path):
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra" / "surgery.json").write_text(json.dumps({"architecture": architecture}))
    batches = request._tokens(tmp_path)
    assert [batch["input_word_ids"].shape for batch in batches] == [(3, longest), (1, 4)]
    assert not any(batch["input_type_ids"].any() for batch in batches)


def test_the_runtimes_of_this_environment_have_every_name_and_the_same_numbers(export, rows_of):
    rows = rows_of(export, "--only", "call", "signature", "session", "c", "litert")
    assert list(rows) == ["call", "signature", "session", "c", "litert"]
    for name in ("signature", "session", "litert", *(["c"] if shutil.which("cc") else [])):
        holds_everywhere(rows[name], export)
        assert rows[name]["precision"] == "float32"
        assert rows[name]["worst"]["relative"] < 1e-5
    assert not rows["call"]["faults"]
    assert rows["call"]["alive"] == rows["call"]["names"] == names(export, "serving_default", "taps")


def test_openvino_and_onnx_runtime_have_every_name_and_the_same_numbers(export, rows_of):
    rows = rows_of(export, "--only", "openvino", "openvino-f32", "onnx")
    for row in rows.values():
        holds_everywhere(row, export)
    for name in ("openvino-f32", "onnx"):
        assert rows[name]["precision"] == "float32"
        assert rows[name]["worst"]["relative"] < 1e-5
    # What OpenVINO takes by itself depends on the processor; where it is less, it must be seen.
    default = rows["openvino"]
    assert (default["worst"]["relative"] > 1e-4) == (default["precision"] != "float32")


def test_what_cannot_run_text_operations_says_so_in_its_own_words(text_export, rows_of):
    rows = rows_of(text_export, "--only", "session", "c", "openvino", "litert", "onnx")
    assert rows["session"]["alive"] == rows["session"]["names"] > 0
    # Masked-LM's signature needs more than tokens, and has no text form.
    assert {row["name"] for row in rows["session"]["signatures"]} == {"serving_default", "text", "text_pair"}
    said = {"openvino": "WordpieceTokenize", "litert": "RoundRobinTrim", "onnx": "CaseFoldUTF8"}
    if shutil.which("cc"):
        said["c"] = "CaseFoldUTF8"
    for name, operation in said.items():
        assert rows[name]["loads"] == rows[name]["alive"] == 0
        assert {operation in signature["reason"] for signature in rows[name]["signatures"]} == {True}
        assert not rows[name]["faults"]


@pytest.fixture
def tamper(script, remembered, monkeypatch):
    """`tamper(change)` lets `change` have the outputs of the signature runtime after it has answered."""
    ask = script.ask

    def tamper(change):
        def tampered(runtime, request, folder):
            answer = ask(runtime, request, folder)
            if runtime.name == "signature":
                for file in folder.glob("serving_default.*.npz"):
                    with np.load(file) as stored:
                        outputs = dict(stored)
                    np.savez(file, **change(outputs))
            return answer

        monkeypatch.setattr(script, "ask", tampered)

    return tamper


def moved(outputs):
    outputs["encoder_outputs_1"][0, 1, 2] += 1e-3
    return outputs


def renamed(outputs):
    outputs["output_7"] = outputs.pop("pooled_output")
    return outputs


def swapped(outputs):
    first, second = "encoder_outputs_0", "encoder_outputs_1"
    return outputs | {first: outputs[second], second: outputs[first]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (moved, "1 of 5 outputs; encoder_outputs_1 is off by 0.001"),
        (renamed, "pooled_output is lost"),
        (swapped, "2 of 5 outputs; encoder_outputs_"),
    ],
)
def test_a_wrong_number_and_a_lost_name_are_told_and_fail(
    script, export, tamper, monkeypatch, capsys, tmp_path, change, said
):
    (tmp_path / "bert").symlink_to(export)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    tamper(change)
    assert script.main(["bert", "--only", "signature"]) == 1
    out = capsys.readouterr().out
    assert f"WRONG: TensorFlow, signature: bert: serving_default: {said}" in out
    assert "verdict" not in out
    assert ("serving_default: pooled_output is called output_7" in out) == (change is renamed)


def test_what_is_not_tampered_with_passes(script, export, tamper, capsys):
    tamper(lambda outputs: outputs)
    assert script.main([str(export), "--only", "signature"]) == 0
    assert "verdict: every runtime that loads has every name and the same numbers" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("precision", "error", "passes"),
    [
        ("float32", 1e-5, True),
        ("float32", 1e-4, False),
        ("bfloat16", 0.1, True),
        ("bfloat16", 0.2, False),
        ("float16", 0.085, True),
        ("float16", 0.095, False),
    ],
)
def test_an_error_is_judged_by_the_precision_that_a_runtime_states(script, tmp_path, precision, error, passes):
    # Rounding the weights moves the output by 0.02: 0.08 is allowed for that, and 0.063 or 0.0078 for roundings.
    wanted = np.random.default_rng(1).choice([-1.0, 1.0], (3, 5)).astype(np.float32)
    ids = np.arange(3, dtype=np.int32)
    tokens = {"input_mask": np.ones((3, 5), np.int32)}
    outputs = {"states": "x:0", "ids": "y:0"}
    signature = exchange.Signature(name="text", inputs={"input_mask": "m:0"}, outputs=outputs, alone="")
    request = exchange.Request(export="bert", signatures=(signature,), batches=(tokens,))
    told = {"loads": True, "precision": precision, "note": "", "expects": list(outputs)}
    answer = script.Answer(folder=tmp_path, version="1.0", signatures={"text": told})
    rounded = {precision: {"text": [{"states": wanted + 0.02}]}} if precision != "float32" else {}

    def faults(states, numbers):
        np.savez(tmp_path / "text.0.npz", states=states, ids=numbers)
        reference = {"text": [{"states": wanted, "ids": ids}]}
        return script.judge(script.RUNTIMES[0], answer, request, reference, rounded).faults

    assert (not faults(wanted + np.float32(error), ids)) == passes
    assert faults(wanted, ids + np.array([0, 0, 1], np.int32))
    assert faults(np.where(wanted > 0, wanted, np.nan), ids)


def test_a_runtime_that_cannot_be_made_or_dies_stops_nobody(script, export, remembered, monkeypatch, capsys):
    from scripts.tools.runtimes import processes

    monkeypatch.setattr(processes, "python_of", lambda name: ("", "no network") if name else (sys.executable, ""))
    broken = dataclasses.replace(script.RUNTIMES[0], program="exchange_that_is_not_there.py")
    others = [runtime for runtime in script.RUNTIMES if runtime.name in ("signature", "onnx")]
    monkeypatch.setattr(script, "RUNTIMES", [broken, *others])
    monkeypatch.setenv("COLUMNS", "160")
    assert script.main([str(export), "--only", "call", "signature", "onnx"]) == 1
    out = capsys.readouterr().out
    assert "ONNX Runtime           not run" in out
    assert "ONNX Runtime: no network" in out
    assert "TensorFlow, call       no" in out
    assert "WRONG: TensorFlow, call" in out
    assert "the process ended with exit code 1: FileNotFoundError" in out
    assert "TensorFlow, signature  yes" in out


def test_what_is_no_export_is_refused_in_one_line_and_a_wrong_name_lists_the_right_ones(module, tmp_path):
    code, out, err = run(tmp_path / "none")
    assert (code, out) == (3, "")
    assert "there is no such folder" in err
    assert "Traceback" not in err
    code, out, err = run(module)
    assert (code, out) == (3, "")
    assert "surgery.json" in err
    assert "surgery convert" in err
    code, out, err = run("--only", "tflite")
    assert (code, out) == (2, "")
    assert "litert" in err
