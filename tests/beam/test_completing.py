"""The end of a run: what was read must be what was written, whatever the engine did, and whatever runs again."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from apache_beam.io.filesystem import FileMetadata
from apache_beam.io.localfilesystem import LocalFileSystem

from surgery.beam.completing import complete, discard, while_running, write_list
from surgery.beam.corpus import Columns, Rejected, Row
from surgery.beam.pipeline import SHARE_BYTES, Extraction, ReadFiles
from surgery.beam.running import check_vacant
from surgery.beam.shards import Layout, RejectedWriter, ShardWriter
from surgery.beam.tally import Tally, tally, total
from surgery.errors import ModuleError, UsageError
from surgery.jobs.extract import RECORD

LAYOUT = Layout(("text",), False, (), ())
ROWS = [Row("a.txt", number, None, (f"text {number}",)) for number in range(1, 7)]
BAD = Rejected("a.txt", 7, "not UTF-8", b"\xff")


def shard(folder, rows):
    with ShardWriter(str(folder), LAYOUT, None) as writer:
        assert not [done for row in rows for done in writer.add(row, {})]
        (found,) = writer.close()
    return found


def rejected(folder):
    with RejectedWriter(str(folder)) as writer:
        writer.add(BAD)
        (found,) = writer.close()
    return found


READ = [tally(ROWS[:3]), tally(ROWS[3:], [BAD])]


def test_whole_shards_get_their_names_in_the_order_of_their_rows(tmp_path):
    with while_running(str(tmp_path)):
        shard(tmp_path, ROWS[:3])  # of a worker that died, whose shard was written again
        late, early = shard(tmp_path, ROWS[3:]), shard(tmp_path, ROWS[:3])
        write_list(str(tmp_path), [late, READ[0], rejected(tmp_path), early, READ[1]])
        write_list(str(tmp_path), [])  # the step runs again: the first list stays
    summary = complete(str(tmp_path), LAYOUT)
    assert (summary["texts"], summary["rejected"]) == (6, 1)
    assert [s["rows"] for s in summary["shards"]] == [3, 3]
    assert pq.read_table(tmp_path / "part-00000-of-00002.parquet")["line"].to_pylist() == [1, 2, 3]
    names = ["_rejected.jsonl", "part-00000-of-00002.parquet", "part-00001-of-00002.parquet"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert json.loads((tmp_path / "_rejected.jsonl").read_text())["content"] == "\\xff"


class ObjectStore(LocalFileSystem):
    """A storage service: names have slashes, and there are no folders. Its objects are kept in `root`."""

    root = Path()

    @classmethod
    def scheme(cls):
        return "objects"

    def has_dirs(self):
        return False

    def join(self, base, *parts):
        return "/".join([base.rstrip("/"), *parts])

    def exists(self, path):
        return self._local(path).is_file()

    def open(self, path, *options, **named):
        return super().open(str(self._local(path)), *options, **named)

    def create(self, path, *options, **named):
        return super().create(str(self._local(path)), *options, **named)

    def rename(self, sources, destinations):
        super().rename([str(self._local(path)) for path in sources], [str(self._local(path)) for path in destinations])

    def delete(self, paths):
        for path in paths:
            self._local(path).unlink()

    def _list(self, dir_or_prefix):
        return [FileMetadata(name, 0) for name in self.names() if name.startswith(dir_or_prefix)]

    @classmethod
    def names(cls):
        return [f"objects://{path.relative_to(cls.root).as_posix()}" for path in cls.root.rglob("*") if path.is_file()]

    def _local(self, path):
        return self.root / path.removeprefix("objects://")


@pytest.mark.parametrize("name", ["out", "out[1]"])
def test_a_storage_service_without_folders_is_left_clean(name, tmp_path, monkeypatch):
    monkeypatch.setattr(ObjectStore, "root", tmp_path)
    folder, other = f"objects://b/{name}", tmp_path / "b" / "out1" / "_parts" / "other"
    other.parent.mkdir(parents=True)
    other.touch()
    with while_running(folder):
        shard(folder, ROWS)  # of a worker that died
        write_list(folder, [*READ, shard(folder, ROWS), rejected(folder)])
    complete(folder, LAYOUT)
    files = ("part-00000-of-00001.parquet", "_rejected.jsonl")
    assert set(ObjectStore.names()) == {"objects://b/out1/_parts/other", *(f"{folder}/{file}" for file in files)}


def test_a_run_that_was_killed_is_not_taken_for_the_next_one(tmp_path, monkeypatch):
    """The first list of shards stays: the next run would publish the rows of the killed one."""
    monkeypatch.setattr(ObjectStore, "root", tmp_path)
    folder = "objects://b/out"
    check_vacant(folder, RECORD)
    with while_running(folder):
        write_list(folder, [tally(ROWS[:3]), shard(folder, ROWS[:3])])
        with pytest.raises(UsageError, match="files of a run that has not finished"):
            check_vacant(folder, RECORD)
    with pytest.raises(UsageError, match="files of a run that has not finished"):
        check_vacant(folder, RECORD)
    complete(folder, LAYOUT)  # and killed before the record was written
    with pytest.raises(UsageError, match=r"objects://b/out/part-00000-of-00001\.parquet"):
        check_vacant(folder, RECORD)
    other = tmp_path / "b" / "out" / "notes.txt"
    other.touch()
    discard(folder)
    check_vacant(folder, RECORD)
    assert other.exists()


@pytest.mark.parametrize(
    "kept",
    [
        [ROWS[:3]],
        [ROWS[:3], ROWS[3:], ROWS[:3]],
        [ROWS[:3], ROWS[:3]],  # as many rows as were read
    ],
    ids=["lost", "repeated", "both"],
)
def test_an_engine_that_loses_or_repeats_rows_is_found_out(tmp_path, kept):
    with while_running(str(tmp_path)):
        write_list(str(tmp_path), [*READ, rejected(tmp_path), *(shard(tmp_path, rows) for rows in kept)])
    with pytest.raises(ModuleError, match="the runner lost or repeated rows: 6 texts and 1 other lines"):
        complete(str(tmp_path), LAYOUT)
    assert not list(tmp_path.glob("part-*"))


def test_a_rejected_line_that_is_lost_is_found_out(tmp_path):
    with while_running(str(tmp_path)):
        write_list(str(tmp_path), [*READ, shard(tmp_path, ROWS)])
    with pytest.raises(ModuleError, match="lost or repeated"):
        complete(str(tmp_path), LAYOUT)


def test_an_engine_that_ends_early_is_found_out(tmp_path):
    with while_running(str(tmp_path)):
        shard(tmp_path, ROWS)
    with pytest.raises(ModuleError, match="ended before its work did"):
        complete(str(tmp_path), LAYOUT)


def test_a_worker_writes_nothing_when_the_run_has_ended(tmp_path):
    folder = tmp_path / "out"
    with while_running(str(folder)):
        pass
    for write in (lambda: shard(folder, ROWS), lambda: rejected(folder), lambda: write_list(str(folder), READ)):
        with pytest.raises(RuntimeError, match="has ended"):
            write()
    assert not [path for path in folder.rglob("*") if path.is_file()]


def extraction(files, **changes):
    return Extraction(
        files=tuple(map(str, files)),
        folder="",
        columns=Columns(("text",)),
        saved_model="anywhere",
        signature="text",
        inputs=("text",),
        layout=LAYOUT,
        limit=16,
        **{"size": 0, **changes},
    )


def test_large_corpora_have_more_shares_as_many_for_each_worker():
    sizes = {0: 3, 3 * SHARE_BYTES: 3, 3 * SHARE_BYTES + 1: 6, 10 * SHARE_BYTES: 12}
    assert {size: extraction((), size=size, least_shares=3).shares for size in sizes} == sizes


def test_readers_deal_out_every_row_once_and_say_how_many(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\n".join([b"a b c"] * 100) + b"\n\xff\n")
    (tmp_path / "b.txt").write_bytes(b"one\n")
    files = [str(tmp_path / "a.txt"), str(tmp_path / "b.txt")]
    reader = ReadFiles(extraction(files, batch_tokens=50, least_shares=4), None)
    found = [*reader.process((2, tuple(files)))]
    assert {share for share, _ in found} == {0, 1, 2, 3}
    assert [place for _, (place, _) in found] == [(2, number) for number in range(len(found))]
    *parts, read = (part for _, (_, part) in found)
    rows = [row for part in parts if isinstance(part, list) for row in part]
    bad = [part for part in parts if isinstance(part, Rejected)]
    assert [(len(rows), len(bad)), read] == [(101, 1), tally(rows, bad)]
    assert total([read, Tally()]) == read
