"""Reading a corpus: every line is a text or set aside with its place and the reason; none is lost."""

import errno
import gzip
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from surgery.beam import corpus
from surgery.beam.corpus import Columns, Rejected, Row, read_rows

TEXT = Columns(("text",))


def read(path, columns=TEXT):
    return list(read_rows(str(path), columns))


def test_each_line_is_a_text_with_its_number(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("\ufefffirst\r\n\nÜber\tden\n  last ".encode())
    assert [(row.line, *row.texts) for row in read(path)] == [(1, "first"), (2, ""), (3, "Über\tden"), (4, "  last ")]
    assert {row.source for row in read(path)} == {str(path)}


def test_a_relative_path_is_opened_from_the_folder_that_is_named(tmp_path):
    (tmp_path / "a.txt").write_text("one\n")
    assert list(read_rows("a.txt", TEXT, str(tmp_path))) == [Row("a.txt", 1, None, ("one",))]


def test_an_empty_file_has_no_texts(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"")
    assert read(path) == []


def test_a_line_that_is_not_utf8_is_set_aside_and_the_next_is_read(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\nt\xffwo\nthree\n")
    one, two, three = read(path)
    assert isinstance(two, Rejected)
    assert two == Rejected(str(path), 2, "not UTF-8: byte 0xff at position 1", b"t\xffwo")
    assert (one.texts, three.texts, three.line) == (("one",), ("three",), 3)


def test_a_byte_that_is_not_utf8_is_named_by_its_place_behind_a_byte_order_mark_too(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfab\xff\n")
    assert [row.reason for row in read(path)] == ["not UTF-8: byte 0xff at position 5"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_file_in_utf16_has_no_texts(tmp_path, encoding):
    """PowerShell writes such files. Behind the byte order mark, their lines are UTF-8 with null characters."""
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffone\ntwo\nthree\n".encode(encoding))
    assert [(row.line, row.reason) for row in read(path)] == [(1, "not UTF-8: the whole file is UTF-16")]


def test_gzip_is_read_by_its_name(tmp_path):
    path = tmp_path / "a.TXT.gz"
    path.write_bytes(gzip.compress(b"one\ntwo\n"))
    assert [row.texts for row in read(path)] == [("one",), ("two",)]


@pytest.mark.parametrize("damage", ["cut off", "overwritten", "no gzip"])
def test_a_damaged_gzip_file_gives_what_can_be_read_and_says_where_it_ends(tmp_path, damage):
    path = tmp_path / "a.gz"
    packed = bytearray(gzip.compress("".join(f"line {i * i % 7919}\n" for i in range(20000)).encode()))
    if damage == "cut off":
        packed = packed[: len(packed) // 2]
    elif damage == "overwritten":
        packed[len(packed) // 2 :] = bytes(255 - byte for byte in packed[len(packed) // 2 :])
    else:
        packed = bytearray(b"plain text\n")
    path.write_bytes(packed)
    *rows, last = read(path)
    assert isinstance(last, Rejected)
    assert last.line == len(rows) + 1
    assert "gzip" in last.reason
    assert all(isinstance(row, Row) for row in rows)
    assert (len(rows) > 0) is (damage != "no gzip")


def test_parquet_gives_the_columns_asked_for_and_sets_nulls_and_other_types_aside(tmp_path):
    path = tmp_path / "a.parquet"
    table = pa.table(
        {
            "question": pa.array(["a", None, "c", ""], pa.string()),
            "answer": pa.array([b"x", b"y", b"\xff", b"z"], pa.binary()),
            "key": pa.array([7, 8, None, 10]),
        }
    )
    pq.write_table(table, path, row_group_size=3)
    rows = read(path, Columns(("question", "answer"), "key"))
    assert rows[0] == Row(str(path), 1, "7", ("a", "x"))
    assert rows[3] == Row(str(path), 4, "10", ("", "z"))
    assert [(row.line, row.reason) for row in rows if isinstance(row, Rejected)] == [
        (2, "column question: null"),
        (3, "column answer: not UTF-8"),
    ]
    numbers = read(path, Columns(("key",)))
    assert [row.reason for row in numbers if isinstance(row, Rejected)] == [
        "column key: no string",
        "column key: no string",
        "column key: null",
        "column key: no string",
    ]


@pytest.mark.parametrize("rows_of_a_group", [10000, 100000])
def test_a_parquet_file_is_read_piece_by_piece(tmp_path, rows_of_a_group):
    class Counted(io.FileIO):
        count = 0

        def readinto(self, buffer):
            found = super().readinto(buffer)
            self.count += found
            return found

    path = tmp_path / "a.parquet"
    table = pa.table({"text": [f"text {i:060}" for i in range(100000)]})
    pq.write_table(table, path, row_group_size=rows_of_a_group, compression="none", use_dictionary=False)
    with Counted(path) as raw, io.BufferedReader(raw) as file:
        rows = corpus._parquet_rows(str(path), file, TEXT)
        assert next(rows).line == 1
        assert raw.count < path.stat().st_size / 2
        assert sum(1 for _ in rows) == len(table) - 1


def test_an_id_that_is_stored_as_bytes_is_a_text(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["x", "y"], "key": pa.array([b"one", b"t\xffwo"], pa.binary())}), path)
    assert [row.id for row in read(path, Columns(("text",), "key"))] == ["one", "t\\xffwo"]


@pytest.mark.parametrize("failure", [OSError(errno.EIO, "Input/output error"), ConnectionResetError("by peer")])
def test_a_parquet_file_that_cannot_be_read_to_its_end_is_not_taken_for_a_damaged_one(tmp_path, failure):
    class Failing(io.FileIO):
        def readinto(self, buffer):
            if self.tell() < 1000:  # the footer, which is read first, is at the end
                raise failure
            return super().readinto(buffer)

    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [f"text {i * i % 7919}" for i in range(50000)]}), path, use_dictionary=False)
    with io.BufferedReader(Failing(path)) as file, pytest.raises(OSError, match=str(failure.args[-1])):
        list(corpus._parquet_rows(str(path), file, TEXT))


def test_a_parquet_file_that_ends_early_says_so_after_its_rows(tmp_path):
    path = tmp_path / "a.parquet"
    rows = [f"text {i * i % 7919}" for i in range(30000)]
    pq.write_table(pa.table({"text": rows}), path, row_group_size=10000, compression="none", use_dictionary=False)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 5000] = bytes(5000)
    path.write_bytes(content)
    *before, last = read(path)
    assert isinstance(last, Rejected)
    assert "Parquet file is damaged" in last.reason
    assert last.line == len(before) + 1


def test_a_text_above_the_limit_is_set_aside_and_the_next_is_read(tmp_path):
    path, short = tmp_path / "a.txt", Columns(("text",), longest=4)
    path.write_text("abcd\nabcde\n" + "x" * 1000 + "\nüüüü\n" + "y" * 1000, encoding="utf-8")
    rows = read(path, short)
    assert [(row.line, row.texts[0]) for row in rows if isinstance(row, Row)] == [(1, "abcd"), (4, "üüüü")]
    assert [row.line for row in rows if isinstance(row, Rejected)] == [2, 3, 5]
    assert "--limit text_characters=N" in rows[1].reason
    columns = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["abcd", "abcde"]}), columns)
    assert [type(row) for row in read(columns, short)] == [Row, Rejected]
