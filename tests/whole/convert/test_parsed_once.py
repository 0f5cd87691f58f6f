"""A graph of megabytes is parsed once: what is open is handed on."""

from __future__ import annotations

from collections import Counter

import pytest

import surgery
from surgery.edits import KeepBlocks
from surgery.formats import saved_model as saved_model_pb
from surgery.tfserving.extra import has_serving

pytestmark = pytest.mark.usefixtures("short_battery")


@pytest.fixture
def parsed(monkeypatch):
    """How often each folder's `saved_model.pb` has been parsed; TensorFlow's own loader does not count."""
    found = Counter()
    read = saved_model_pb.read

    def counted(path):
        found[path.parent] += 1
        return read(path)

    monkeypatch.setattr(saved_model_pb, "read", counted)
    return found


@pytest.mark.parametrize("name", ["g4_bert_mlm", "tf1_bert_small"])
def test_a_conversion_parses_the_source_once_and_the_export_once(name, source, tmp_path, parsed):
    surgery.convert(source(name), tmp_path / "out" / "1")
    assert parsed.pop(source(name)) == 1
    ((staged, times),) = parsed.items()
    assert staged.parents[1] == tmp_path / "out"
    assert times == 1


def test_a_conversion_with_text_and_warm_up_parses_each_of_its_two_exports_once(source, tmp_path, parsed):
    if not has_serving():
        pytest.skip("needs the extra serving")
    surgery.convert(source("g3_small"), tmp_path / "out" / "1", text=True, warmup=True)
    assert parsed.pop(source("g3_small")) == 1
    assert {(staged.parents[1].name, times) for staged, times in parsed.items()} == {("out", 1), ("out_text", 1)}


def test_a_verification_parses_either_side_once(converted, tmp_path, parsed):
    sample = converted("g4_bert_dropouts")
    parsed.clear()
    assert surgery.verify(sample.source, sample.export).report.passed
    assert parsed == {sample.source: 1, sample.export: 1}


def test_an_edit_parses_the_source_once_for_its_aim_and_once_for_its_export(source, tmp_path, parsed):
    model = surgery.edit(source("g4_bert_mlm"), KeepBlocks(":2"))
    assert parsed == {source("g4_bert_mlm"): 1}
    parsed.clear()
    model.export(tmp_path / "out" / "1")
    assert parsed.pop(source("g4_bert_mlm")) == 1
    assert sorted(parsed.values()) == [1, 1]  # the whole encoder beside, and the edited one
