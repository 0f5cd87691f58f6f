"""A corpus through a text export, for real: numbers, order of nothing, files, what is set aside, processes, runners."""

import gzip
import json
import random
import shutil
import subprocess
import sys
import time
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

import surgery
from surgery.beam import shards
from surgery.tf import signature_runner
from tests.support import documents
from tests.support.running import environment
from tests.triton.serving import descendants, running

BUNDLE_RUNNER = "--runner=apache_beam.runners.direct.direct_runner.BundleBasedDirectRunner"


@pytest.fixture(scope="module")
def text_export(text_exports):
    return text_exports("g3_small")[1]


@pytest.fixture(scope="module")
def opened():
    """Opens a signature once for all tests: TensorFlow takes seconds for its first batch."""
    return cache(signature_runner.LoadedSignature)


@pytest.fixture(autouse=True)
def opened_once(opened, monkeypatch):
    monkeypatch.setattr(signature_runner, "LoadedSignature", opened)


@pytest.fixture(scope="module")
def signatures(text_export):
    return tf.saved_model.load(str(text_export)).signatures


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A folder with a text file, a gzip file that is cut off, and what is in them by file and line."""
    folder = tmp_path_factory.mktemp("corpus")
    generator = random.Random(9)
    lines = [" ".join(generator.choice("abcdef") for _ in range(generator.randrange(0, 30))) for _ in range(700)]
    lines[41] = "Times, é and 中文!"
    (folder / "a.txt").write_bytes("\n".join(lines).encode() + b"\nbad \xc3\x28 line\n")
    packed = gzip.compress("".join(f"a b c {i}\n" for i in range(3000)).encode())
    (folder / "b.txt.gz").write_bytes(packed[: len(packed) * 3 // 4])
    return folder, {(str(folder / "a.txt"), number): line for number, line in enumerate(lines, 1)}


def rows(folder):
    """All rows by their place; a place that comes twice is an error."""
    found = pq.read_table(folder).to_pylist()
    by_place = {(row["source"], row["line"]): row for row in found}
    assert len(by_place) == len(found)
    return by_place


def check(row, returned, index, names):
    """A row of Parquet against what the signature returns for a batch in which its text stands at `index`."""
    length = int(returned["input_mask"][index].numpy().sum())
    assert row["input_word_ids"] == returned["input_word_ids"][index].numpy()[:length].tolist()
    for name in names:
        expected = returned[name][index].numpy()
        expected = expected[:length] if expected.ndim > 1 else expected
        np.testing.assert_allclose(np.array(row[name], np.float32), expected, atol=2e-6, err_msg=name)


def test_every_line_has_the_numbers_of_the_signature_or_is_set_aside(text_export, signatures, corpus, tmp_path):
    folder, lines = corpus
    done = surgery.extract(text_export, [folder / "*"], tmp_path / "out", processes=1)
    found = rows(tmp_path / "out")
    rejected = [json.loads(line) for line in (tmp_path / "out" / "_rejected.jsonl").read_text().splitlines()]
    packed = [place for place in found if place[0].endswith(".gz")]
    assert sorted(line for _, line in packed) == list(range(1, len(packed) + 1))
    assert len(packed) > 100
    assert [(each["source"], each["line"]) for each in rejected] == [
        (str(folder / "a.txt"), 701),
        (str(folder / "b.txt.gz"), len(packed) + 1),
    ]
    assert rejected[0] | {"content": "bad \\xc3( line"} == rejected[0]
    assert documents.difference("rejected line", rejected) == (set(), set())
    record = json.loads((tmp_path / "out" / "_extraction.json").read_text())
    assert record["schema"] == 1
    assert documents.difference("extraction record", [record]) == (set(), set())
    assert "not UTF-8" in rejected[0]["reason"]
    assert {place: found[place]["text"] for place in lines} == lines
    assert (done.texts, done.rejected) == (len(found), 2)
    assert done.tokens == sum(len(row["input_word_ids"]) for row in found.values())
    returned = signatures["text"](text=tf.constant(list(lines.values())))
    names = [name for name in returned if name not in ("input_mask", "input_word_ids")]
    assert len(names) > 4
    for index, place in enumerate(lines):
        check(found[place], returned, index, names)


def test_tokens_stand_beside_numbers_that_are_computed_without_padding(text_export, signatures, corpus, tmp_path):
    folder, lines = corpus
    done = surgery.extract(text_export, [folder / "a.txt"], tmp_path / "out", outputs=["pooled_output"], processes=1)
    assert done.signature == "cls_text"
    table = pq.read_table(tmp_path / "out")
    assert table.schema.names == ["source", "line", "text", "tokens", "input_word_ids", "pooled_output"]
    found = rows(tmp_path / "out")
    words = ["[CLS]", "time", "##s", ",", "e", "and", "中", "文", "!", "[SEP]"]
    assert found[str(folder / "a.txt"), 42]["tokens"] == words
    returned = signatures["text"](text=tf.constant(list(lines.values())))
    for index, place in enumerate(lines):
        check(found[place], returned, index, ["pooled_output"])


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_arguments_give_the_same_bytes_and_other_processes_the_same_rows(
    text_export, opened, corpus, tmp_path, monkeypatch
):
    folder, _ = corpus
    monkeypatch.setattr(signature_runner, "LoadedSignature", opened.__wrapped__)  # each run opens it anew
    monkeypatch.setattr(shards.Layout.__new__, "__defaults__", (500_000, 1_000_000))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")  # a module of the current folder, which no worker imports
    (tmp_path / "here" / "json.py").write_text("open('ran', 'w').close()\n")
    for name, options in {"one": {"processes": 1}, "again": {"processes": 1}, "two": {"processes": 2}}.items():
        surgery.extract(text_export, [folder / "*"], tmp_path / name, outputs=["sequence_output"], **options)
    assert not (tmp_path / "here" / "ran").exists()
    assert content(tmp_path / "one") == content(tmp_path / "again")
    one, two = rows(tmp_path / "one"), rows(tmp_path / "two")
    assert one.keys() == two.keys()
    assert len(content(tmp_path / "one")) > 4
    assert all(one[place]["tokens"] == two[place]["tokens"] for place in one)
    for place in list(one)[::50]:
        np.testing.assert_allclose(one[place]["sequence_output"], two[place]["sequence_output"], atol=2e-6)


def test_another_runner_of_beams_gives_the_same_rows(text_export, corpus, tmp_path):
    folder, _ = corpus
    surgery.extract(text_export, [folder / "a.txt"], tmp_path / "local", outputs=["pooled_output"], processes=1)
    done = surgery.extract(
        text_export, [folder / "a.txt"], tmp_path / "other", outputs=["pooled_output"], beam_options=[BUNDLE_RUNNER]
    )
    assert done.processes is None
    local, other = rows(tmp_path / "local"), rows(tmp_path / "other")
    assert local.keys() == other.keys()
    for place, row in local.items():
        np.testing.assert_allclose(row["pooled_output"], other[place]["pooled_output"], atol=2e-6)


def test_pairs_and_ids_come_from_parquet_columns(text_export, signatures, tmp_path):
    pairs = [("a b", "c d e f"), ("a", ""), ("", "a b c"), (None, "a")]
    table = pa.table({"q": [q for q, _ in pairs], "a": [a for _, a in pairs], "key": ["k0", "k1", "k2", "k3"]})
    pq.write_table(table, tmp_path / "pairs.parquet")
    surgery.extract(
        text_export,
        [tmp_path / "pairs.parquet"],
        tmp_path / "out",
        signature="text_pair",
        outputs=["sequence_output"],
        columns=["text=q", "text_pair=a"],
        id_column="key",
        with_text=False,
        processes=1,
    )
    found = {row["id"]: row for row in pq.read_table(tmp_path / "out").to_pylist()}
    assert sorted(found) == ["k0", "k1", "k2"]
    assert "text" not in found["k0"]
    texts, others = zip(*pairs[:3], strict=True)
    returned = signatures["text_pair"](text=tf.constant(texts), text_pair=tf.constant(others))
    for index in range(3):
        check(found[f"k{index}"], returned, index, ["sequence_output"])
    (rejected,) = (tmp_path / "out" / "_rejected.jsonl").read_text().splitlines()
    assert json.loads(rejected)["reason"] == "column q: null"


def test_attention_maps_lose_their_padding_on_both_sides(text_export, signatures, tmp_path):
    (tmp_path / "a.txt").write_text("a b c\n\na b c d e f\n", encoding="utf-8")
    surgery.extract(text_export, [tmp_path / "a.txt"], tmp_path / "out", signature="taps_text", processes=1)
    table = pq.read_table(tmp_path / "out").sort_by("line")
    returned = signatures["taps_text"](text=tf.constant(["a b c", "", "a b c d e f"]))
    for index, length in enumerate((5, 2, 8)):
        found = np.array(table["attention_probs_3"][index].as_py(), np.float32)
        assert found.shape == (6, length, length)
        np.testing.assert_allclose(found, returned["attention_probs_3"].numpy()[index, :, :length, :length], atol=2e-6)
        np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)


def test_row_groups_and_shards_stay_bounded(text_export, corpus, tmp_path, monkeypatch):
    folder, lines = corpus
    monkeypatch.setattr(shards.Layout.__new__, "__defaults__", (200_000, 1_000_000))
    surgery.extract(text_export, [folder / "a.txt"], tmp_path / "out", processes=1)
    files = sorted((tmp_path / "out").glob("part-*.parquet"))
    assert len(files) > 1
    blocks = pq.ParquetFile(files[0])
    assert blocks.num_row_groups > 2
    for file in files:
        metadata = pq.ParquetFile(file).metadata
        sizes = [metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups)]
        assert max(sizes) < 2 * 200_000
        assert sum(sizes) < 2 * 1_000_000
    assert len(rows(tmp_path / "out")) == len(lines)


def test_a_corpus_without_texts_has_columns_all_the_same(text_export, tmp_path):
    (tmp_path / "empty.txt").write_bytes(b"")
    done = surgery.extract(
        text_export, [tmp_path / "empty.txt"], tmp_path / "out", outputs=["pooled_output"], processes=1
    )
    assert (done.texts, done.rejected, done.shards) == (0, 0, ())
    assert pq.read_table(tmp_path / "out").schema.names[-1] == "pooled_output"


def test_a_file_without_a_single_text_is_set_aside_line_by_line(text_export, tmp_path):
    (tmp_path / "bad.txt").write_bytes(b"\xff\n\xfe\n")
    done = surgery.extract(
        text_export, [tmp_path / "bad.txt"], tmp_path / "out", outputs=["pooled_output"], processes=1
    )
    assert (done.texts, done.rejected) == (0, 2)
    assert len((tmp_path / "out" / "_rejected.jsonl").read_text().splitlines()) == 2


def test_a_failed_run_leaves_nothing_and_what_was_there(text_export, corpus, tmp_path, monkeypatch):
    folder, _ = corpus
    surgery.extract(text_export, [folder / "a.txt"], tmp_path / "out", outputs=["pooled_output"], processes=1)
    before = content(tmp_path / "out")

    def fails(self, rows):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shards.Layout, "table", fails)
    with pytest.raises(surgery.WriteError, match="No space left"):
        surgery.extract(text_export, [folder / "a.txt"], tmp_path / "out", overwrite=True, processes=1)
    assert content(tmp_path / "out") == before
    with pytest.raises(surgery.WriteError):
        surgery.extract(text_export, [folder / "a.txt"], tmp_path / "new", processes=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_neither_the_corpus_nor_the_export_is_overwritten(text_export, corpus, tmp_path):
    folder, _ = corpus
    (tmp_path / "_extraction.json").touch()
    shutil.copy(folder / "a.txt", tmp_path)
    for place, reason in ((tmp_path, "it contains"), (text_export, "it is"), (text_export / "new", "it lies inside")):
        with pytest.raises(surgery.UsageError, match=reason):
            surgery.extract(text_export, tmp_path / "a.txt", place, overwrite=True)


def test_progress_counts_texts_up_to_all_that_were_read(text_export, corpus, tmp_path):
    folder, lines = corpus
    seen = []
    surgery.extract(
        text_export, [folder / "a.txt"], tmp_path / "out", processes=1, progress=lambda *step: seen.append(step)
    )
    counted = [(done, total) for step, done, total in seen if step == "extract"]
    assert counted[-1] == (len(lines), len(lines))
    assert counted == sorted(counted)


def test_workers_tell_how_far_they_are_before_anything_is_written(text_export, corpus, tmp_path, monkeypatch):
    folder, lines = corpus
    told = []
    monkeypatch.setattr(shards, "report_progress", lambda folder, **counts: told.append(counts["done"]))
    surgery.extract(text_export, [folder / "a.txt"], tmp_path / "out", outputs=["pooled_output"], processes=1)
    assert sum(told) == len(lines)
    assert max(told) == 50


def test_sentencepiece_exports_have_tokens_too(text_exports, tmp_path):
    _, export = text_exports("tf1_albert_small")
    (tmp_path / "a.txt").write_text("Hello world\n", encoding="utf-8")
    surgery.extract(export, [tmp_path / "a.txt"], tmp_path / "out", outputs=["pooled_output"], processes=1)
    (row,) = pq.read_table(tmp_path / "out").to_pylist()
    assert row["tokens"][0] == "[CLS]"
    assert row["tokens"][-1] == "[SEP]"
    assert len(row["tokens"]) == len(row["input_word_ids"]) > 2


def test_workers_end_with_a_run_that_is_killed_while_they_start(text_export, corpus, tmp_path):
    folder, _ = corpus
    words = ["extract", text_export, folder / "a.txt", "--output", tmp_path / "out", "--processes", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "surgery", *map(str, words)],
        env=environment(TMPDIR=str(tmp_path)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 120
    while len(workers := descendants(process.pid)) < 2:
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    process.kill()
    process.wait()
    while running(workers) and time.monotonic() < end:
        time.sleep(0.05)
    assert not running(workers)
