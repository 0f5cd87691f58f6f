"""When `surgery tap` refuses, what it leaves behind, and what it prints when it does not."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

import surgery
from surgery import limits
from surgery.cli.main import main
from surgery.errors import LimitError, ModuleError, ParityError
from surgery.scanning.gate import clear_folder
from surgery.tf import graph_tap
from surgery.tf.session import SavedModelSession
from tests.support.graph_taps import MODELS


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """`model("plain")` is the folder of a built model."""
    return cache(lambda name: MODELS[name](tmp_path_factory.mktemp(name) / name))


def run(*arguments: object):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_inputs_that_the_source_itself_refuses_prove_nothing(model, tmp_path):
    with pytest.raises(ModuleError, match=r"could not be run on inputs made .*Could not parse example input"):
        surgery.tap(model("picky"), tmp_path / "1", ["product"])
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_the_source_does_not_repeat_is_told_and_not_compared(model, tmp_path):
    done = surgery.tap(model("random"), tmp_path / "1", ["drawn"])
    checks = {check.output: check for check in done.checks}
    assert checks["noise"].random
    assert not checks["noise"].problem
    assert (checks["twice"].random, checks["twice"].bit_equal) == (False, True)


def changed(monkeypatch, change) -> None:
    """Lets what was written return something else."""
    record = graph_tap.record_export

    def tampered(*arguments):
        return [change(dict(batch)) for batch in record(*arguments)]

    monkeypatch.setattr(graph_tap, "record_export", tampered)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda batch: batch | {"y": batch["y"] * 1.001}, "y: max abs error"),
        (lambda batch: batch | {"y": batch["y"][:, :2]}, r"y: expected float32 \[1, 3\], found float32 \[1, 2\]"),
        (lambda batch: {key: value for key, value in batch.items() if key != "y"}, "y: .* it is missing"),
        (lambda batch: batch | {"y": np.where(batch["y"] > 9, 0, np.nan).astype("float32")}, "y: max abs error inf"),
        (lambda batch: batch | {"product": batch["product"].astype("float64")}, "product: expected float32"),
    ],
    ids=["another value", "another shape", "missing", "NaN", "another dtype"],
)
def test_nothing_is_published_that_is_not_the_same(change, reason, model, tmp_path, monkeypatch):
    changed(monkeypatch, change)
    with pytest.raises(ParityError, match=f"nothing was published\n  {reason}"):
        surgery.tap(model("plain"), tmp_path / "there" / "1", ["product"])
    assert list(tmp_path.iterdir()) == []


def test_the_last_bits_of_an_output_may_move_and_are_told(model, tmp_path, monkeypatch):
    changed(monkeypatch, lambda batch: batch | {"y": batch["y"] + np.float32(4e-6)})
    done = surgery.tap(model("plain"), tmp_path / "1", ["product"])
    (check,) = (check for check in done.checks if check.output == "y")
    assert not check.bit_equal
    assert 1e-6 < check.max_abs < 1e-5


def test_nan_on_both_sides_is_equal(model, tmp_path, monkeypatch):
    changed(monkeypatch, lambda batch: batch | {"y": batch["y"] * np.nan})
    record = graph_tap.Loaded.record

    def also(self, *arguments):
        batches, recorded = record(self, *arguments)
        return batches, [batch | {"y": batch["y"] * np.float32(np.nan)} for batch in recorded]

    monkeypatch.setattr(graph_tap.Loaded, "record", also)
    checks = {check.output: check for check in surgery.tap(model("plain"), tmp_path / "1", ["product"]).checks}
    assert not checks["y"].random


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda loaded: loaded.kernel.assign_add(loaded.kernel * 0 + 1), "variable kernel: its bits differ"),
        (lambda loaded: setattr(loaded, "more", tf.Variable(1.0)), "variable Variable: it is new"),
    ],
    ids=["bits", "new"],
)
def test_variables_have_to_stay_as_they_were(call, reason, model, tmp_path, monkeypatch):
    load = graph_tap.loaded_objects

    @contextmanager
    def tampered(*arguments, meta_graph=None):
        with load(*arguments, meta_graph=meta_graph) as loaded:
            if meta_graph is not None:  # the module, not what was written of it
                call(loaded)
            yield loaded

    monkeypatch.setattr(graph_tap, "loaded_objects", tampered)
    with pytest.raises(ParityError, match=reason):
        surgery.tap(model("plain"), tmp_path / "1", ["product"])


def test_a_failed_export_is_kept_when_asked_for(model, tmp_path, monkeypatch):
    changed(monkeypatch, lambda batch: batch | {"y": batch["y"] * 2})
    done = run("tap", model("plain"), tmp_path / "1", "--tensor", "product", "--keep-failed")
    assert done.exit_code == 5
    (kept,) = tmp_path.iterdir()
    assert str(kept) in done.stderr
    assert (kept / "saved_model.pb").is_file()


def test_a_destination_is_replaced_only_when_asked_for_and_only_by_what_has_passed(model, tmp_path, monkeypatch):
    surgery.tap(model("plain"), tmp_path / "1", ["product"])
    refused = run("tap", model("plain"), tmp_path / "1", "--tensor", "unused")
    assert refused.exit_code == 2
    assert "it exists already" in refused.stderr
    done = run("tap", model("plain"), tmp_path / "1", "--tensor", "unused", "--overwrite")
    assert done.exit_code == 0
    assert "unused" in {output.key for output in surgery.graph(tmp_path / "1").signature.outputs}
    changed(monkeypatch, lambda batch: batch | {"y": batch["y"] * 2})
    assert run("tap", model("plain"), tmp_path / "1", "--tensor", "product", "--overwrite").exit_code == 5
    assert "unused" in {output.key for output in surgery.graph(tmp_path / "1").signature.outputs}


def test_a_signature_with_input_names_that_tensorflow_2_changes_is_refused_or_left_out(model, tmp_path):
    with pytest.raises(ModuleError, match="no inputs with names like 'X'"):
        surgery.tap(model("odd_keys"), tmp_path / "1", ["product"])
    done = surgery.tap(model("odd_keys"), tmp_path / "1", ["product"], signature="regress")
    assert done.left_out == ("serving_default",)
    assert [signature.name for signature in surgery.inspect(tmp_path / "1").module.meta_graphs[0].signatures] == [
        "regress"
    ]


def test_a_module_without_its_weights_is_refused(model, tmp_path):
    shutil.copytree(model("plain"), tmp_path / "plain")
    (tmp_path / "plain" / "variables" / "variables.index").unlink()
    with pytest.raises(ModuleError, match=r"variables.index is missing"):
        surgery.tap(tmp_path / "plain", tmp_path / "1", ["product"])


def test_requests_to_warm_up_come_along_and_a_manifest_of_another_export_does_not(model, tmp_path):
    source = shutil.copytree(model("plain"), tmp_path / "plain")
    (source / "assets.extra").mkdir()
    (source / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"requests")
    (source / "assets.extra" / "surgery.json").write_text("{}")
    surgery.tap(source, tmp_path / "1", ["product"])
    assert [path.name for path in (tmp_path / "1" / "assets.extra").iterdir()] == ["tf_serving_warmup_requests"]


def test_the_command_prints_taps_verdicts_and_the_destination(model, tmp_path):
    done = run("tap", model("plain"), tmp_path / "1", "--tensor", "halves:1=second", "--tensor", "product")
    assert done.exit_code == 0
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["second", "halves:1", "float32", "[?,", "3]"] in rows
    assert ["y", "bit-equal"] in rows
    assert rows[-1] == ["wrote", str(tmp_path / "1")]


def test_the_command_s_json_has_the_same_facts(model, tmp_path):
    done = run("tap", model("plain"), tmp_path / "1", "--tensor", "halves:1=second", "--json")
    data = json.loads(done.stdout)
    assert data["taps"] == [
        {
            "output": "second",
            "tensor": "halves:1",
            "op": "Split",
            "dtype": "float32",
            "shape": [None, 3],
            "compared": None,
        }
    ]
    assert {check["output"]: check["bit_equal"] for check in data["outputs"]} == {"calls": True, "y": True}
    assert (data["destination"], data["variables"], data["left_out"]) == (str(tmp_path / "1"), 3, [])
    assert len(data["batches"]) == 2


def saved(folder, outputs):
    """A SavedModel of one signature, x float32 [?, 3], that returns what `outputs` makes of it."""
    module = tf.Module()
    module.weight = tf.Variable(1.0)
    specs = [tf.TensorSpec([None, 3], tf.float32, name="x")]
    module.run = tf.function(lambda x: outputs(x * module.weight), input_signature=specs, autograph=False)
    tf.saved_model.save(module, str(folder), signatures=module.run)
    return folder


def test_a_scalar_string_is_compared_as_any_output(tmp_path):
    module = saved(tmp_path / "named", lambda x: {"y": x + 1.0, "version": tf.strings.join(["1", "2"])})
    done = surgery.tap(module, tmp_path / "1", ["mul=scaled", "StringJoin=joined"])
    assert {check.output: check.bit_equal for check in done.checks} == {"y": True, "version": True}


def test_a_loop_that_never_ends_is_ended(tmp_path):
    def endless(x):
        return {"y": tf.while_loop(lambda i, a: a[0, 0] < 9.0, lambda i, a: (i + 1, a * 1.0), (0, x * 0.0))[1]}

    module = saved(tmp_path / "endless", endless)
    with pytest.raises(LimitError, match=r"running endless on a batch of .*the limit batch_seconds is 1 seconds"):
        surgery.tap(module, tmp_path / "1", ["mul=scaled"], timeout=1)
    assert not (tmp_path / "1").exists()
    with (
        SavedModelSession(clear_folder(module), ["serve"]) as session,
        limits.raised({"batch_seconds": 1}),
        pytest.raises(LimitError, match="batch_seconds"),
    ):
        session.signature("serving_default")({"x": np.zeros((1, 3), np.float32)})
