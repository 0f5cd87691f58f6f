"""An extraction to where there is no folder: Beam's file systems do the writing, and the record comes last."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from apache_beam.io.localfilesystem import LocalFileSystem

import surgery
from surgery.beam import running


class SharedFileSystem(LocalFileSystem):
    """A storage service with the scheme shared://, of which the objects are kept in `root`."""

    root = Path()

    @classmethod
    def scheme(cls):
        return "shared"

    def join(self, base, *parts):
        return "/".join([base.rstrip("/"), *parts])

    def create(self, path, *options, **named):
        return super().create(self._local(path), *options, **named)

    def open(self, path, *options, **named):
        return super().open(self._local(path), *options, **named)

    def exists(self, path):
        return super().exists(self._local(path))

    def rename(self, sources, destinations):
        super().rename([*map(self._local, sources)], [*map(self._local, destinations)])

    def delete(self, paths):
        super().delete([*map(self._local, paths)])

    def _local(self, path):
        return str(self.root / path.removeprefix("shared://"))


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    monkeypatch.setattr(SharedFileSystem, "root", tmp_path / "bucket")
    return tmp_path / "bucket"


@pytest.fixture(scope="module")
def text_export(text_exports):
    return text_exports("g3_small")[1]


def test_the_record_is_written_last_and_says_that_the_folder_is_complete(text_export, tmp_path, bucket, monkeypatch):
    (tmp_path / "a.txt").write_bytes(b"a b\n\xff\nc\n")
    options = {"outputs": ["pooled_output"], "processes": 1}
    written = []
    right = running.write_record
    monkeypatch.setattr(
        running, "write_record", lambda *record: (written.extend(p.name for p in bucket.rglob("*")), right(*record))
    )
    done = surgery.extract(text_export, [tmp_path / "a.txt"], "shared://b/out", **options)
    assert (done.texts, done.rejected) == (2, 1)
    names = {path.name for path in (bucket / "b" / "out").iterdir()}
    assert names == {"part-00000-of-00001.parquet", "_rejected.jsonl", "_extraction.json"}
    assert "_extraction.json" not in written
    assert json.loads((bucket / "b" / "out" / "_extraction.json").read_text())["texts"] == 2
    assert pq.read_table(bucket / "b" / "out")["line"].to_pylist() == [1, 3]
    with pytest.raises(surgery.UsageError, match="exists already"):
        surgery.extract(text_export, [tmp_path / "a.txt"], "shared://b/out", **options)


def test_a_scheme_that_beam_does_not_know_is_refused(text_export, tmp_path, bucket):
    (tmp_path / "a.txt").write_bytes(b"a b\n")
    with pytest.raises(surgery.UsageError, match="is Beam's support for it installed"):
        surgery.extract(text_export, [tmp_path / "a.txt"], "nowhere://b/out", processes=1)
    with pytest.raises(surgery.UsageError, match="reading nowhere"):
        surgery.extract(text_export, ["nowhere://b/a.txt"], tmp_path / "out", processes=1)
