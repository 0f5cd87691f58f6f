"""The plan: what would be written where, without touching anything."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import surgery
from surgery.errors import ModuleError, UnexplainedError
from tests.support.synthetic import CNN, write_saved_model


def test_a_plan_names_every_output_of_every_signature(modules):
    plan = surgery.plan(modules("g4_bert_mlm"))
    outputs = ("pooled_output", "sequence_output", "embedding_output", *(f"encoder_outputs_{i}" for i in range(3)))
    assert set(plan.signatures) == {"serving_default", "mlm"}
    assert sorted(plan.signatures["serving_default"]) == sorted(outputs)
    assert sorted(plan.signatures["mlm"]) == sorted({*outputs, "mlm_logits"} - {"embedding_output"})


def test_a_list_call_module_gets_every_block_output_too(modules):
    plan = surgery.plan(modules("g3_small"))
    assert set(plan.signatures) == {"serving_default"}
    assert [name for name in plan.signatures["serving_default"] if name.startswith("encoder")] == [
        f"encoder_outputs_{i}" for i in range(4)
    ]


def test_planning_writes_nothing(modules, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = {p: p.stat().st_mtime_ns for p in modules("g4_electra").rglob("*")}
    plan = surgery.plan(modules("g4_electra"))
    assert plan.destination == Path("exported/g4_electra/1")
    assert list(tmp_path.iterdir()) == []
    assert {p: p.stat().st_mtime_ns for p in modules("g4_electra").rglob("*")} == before


def test_a_destination_is_taken_as_it_is_given(modules, tmp_path):
    assert surgery.plan(modules("g4_electra"), tmp_path / "there").destination == tmp_path / "there"


def test_planning_twice_gives_the_same_plan(modules):
    one, other = surgery.plan(modules("g4_bert_v2")), surgery.plan(modules("g4_bert_v2"))
    assert one.weights == other.weights
    assert one.inference.architecture == other.inference.architecture
    assert one.inference.evidence == other.inference.evidence


def test_a_module_that_no_table_explains_is_refused_with_the_nearest(tmp_path, modules):
    known = {v.name: v.shape for v in surgery.inspect(modules("g3_small")).variables if v.dtype == "float32"}
    extra = {f"adapter_{number}/kernel": (3, 5) for number in range(12)}
    with pytest.raises(UnexplainedError, match=r"none does.*nearest") as caught:
        surgery.plan(write_saved_model(tmp_path / "adapters", known | extra))
    assert len(caught.value.details) >= len(extra)
    assert "… and" in str(caught.value)


def test_what_is_near_to_no_table_is_called_no_encoder(tmp_path):
    with pytest.raises(UnexplainedError, match=r"none is near.*no encoder") as caught:
        surgery.plan(write_saved_model(tmp_path / "cnn", CNN))
    assert caught.value.details == ()
    assert "surgery graph" in str(caught.value)


def test_inspecting_such_a_module_is_no_error(tmp_path):
    found = surgery.inspect(write_saved_model(tmp_path / "cnn", CNN))
    assert found.inference is None
    assert "none does" in found.unexplained


def test_an_incomplete_module_is_refused_with_everything_that_is_missing(modules, tmp_path):
    shutil.copytree(modules("g4_electra"), tmp_path / "module")
    (tmp_path / "module" / "assets" / "vocab.txt").unlink()
    (tmp_path / "module" / "variables" / "variables.index").unlink()
    with pytest.raises(ModuleError, match=r"assets/vocab\.txt.*variables\.index"):
        surgery.plan(tmp_path / "module")
