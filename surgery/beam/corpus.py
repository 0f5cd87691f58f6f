"""Reading a corpus: text files with one text per line, gzipped or not, and columns of Parquet files."""

from __future__ import annotations

import codecs
import gzip
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from surgery.limits import LIMITS

PARQUET = (".parquet", ".pq")
ROWS_AT_ONCE = 8192
BYTES_AT_ONCE = 2**20
"""Bytes of a Parquet file that are read at once."""
LONGEST = "text_characters"
MOST_BYTES = 4
"""The most bytes of a character in UTF-8."""
SHOWN = 10_000
"""Bytes of a rejected line that are kept."""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """What is read.

    Attributes:
        inputs: Files or globs.
        columns: For Parquet, the column of each input: "INPUT=COLUMN", or "COLUMN" where there is one input.
        id_column: For Parquet, the column whose values identify rows; None for no ids.
    """

    inputs: tuple[str, ...]
    columns: tuple[str, ...] = ()
    id_column: str | None = None


class Row(NamedTuple):
    """One row of a corpus.

    Attributes:
        source: The file.
        line: The line in a text file or the row in a Parquet file, counted from 1.
        id: The value of the id column, if any.
        texts: One text for each input of the signature.
    """

    source: str
    line: int
    id: str | None
    texts: tuple[str, ...]


class Rejected(NamedTuple):
    """A line or row that is no text.

    Attributes:
        source: The file.
        line: The line or row, counted from 1.
        reason: Why it is no text.
        content: Its bytes.
    """

    source: str
    line: int
    reason: str
    content: bytes


class Columns(NamedTuple):
    """The columns to read of a Parquet file.

    Attributes:
        texts: One column for each input of the signature.
        id: The column of ids; None for no ids.
        longest: The most characters of a text: a tokenizer takes seconds for a million. The limit travels with the
            columns, because workers are other processes.
    """

    texts: tuple[str, ...]
    id: str | None = None
    longest: int = LIMITS[LONGEST].default


def is_parquet(path: str) -> bool:
    """Whether the file's name says that it has columns."""
    return path.lower().endswith(PARQUET)


def read_rows(path: str, columns: Columns, folder: str = "") -> Iterator[Row | Rejected]:
    """The rows of one file in their order, and the lines that are no text. Beam's file systems open `path`.

    A relative path is opened from `folder`, by default the current one: workers may have another. A damaged file gives
    the rows before the damage and one Rejected for the rest. Raises OSError for a file that the disk or the network
    does not give.
    """
    from apache_beam.io.filesystem import CompressionTypes
    from apache_beam.io.filesystems import FileSystems

    # Beam's own decompression takes a cut-off gzip file for a whole one.
    place = path if "://" in path else os.path.join(folder, path)
    with FileSystems.open(place, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        if is_parquet(path):
            yield from _parquet_rows(path, file, columns)
        elif path.lower().endswith(".gz"):
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield from _lines(path, unpacked, columns.longest)
        else:
            yield from _lines(path, file, columns.longest)


def _lines(path: str, file: Any, longest: int) -> Iterator[Row | Rejected]:
    number, most = 0, MOST_BYTES * longest + len(b"\r\n")
    try:
        while line := file.readline(most):
            number += 1
            if number == 1 and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                # The other lines would be texts of UTF-8 with null characters, and mean nothing.
                yield Rejected(path, number, "not UTF-8: the whole file is UTF-16", line[:SHOWN])
                return
            content, rest = line.rstrip(b"\r\n"), line
            while len(rest) == most and not rest.endswith(b"\n"):
                rest = file.readline(most)
            if rest is not line:
                yield Rejected(path, number, _too_long(longest), content[:SHOWN])
                continue
            try:
                text = content.decode("utf-8-sig" if number == 1 else "utf-8")
                if len(text) > longest:
                    yield Rejected(path, number, _too_long(longest), content[:SHOWN])
                else:
                    yield Row(path, number, None, (text,))
            except UnicodeDecodeError as error:
                start = error.start + len(content) - len(error.object)  # which lacks the byte order mark
                reason = f"not UTF-8: byte 0x{content[start]:02x} at position {start}"
                yield Rejected(path, number, reason, content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        yield Rejected(path, number + 1, f"the gzip file is damaged from here on: {error}", b"")


def _parquet_rows(path: str, file: Any, columns: Columns) -> Iterator[Row | Rejected]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = list(dict.fromkeys([*columns.texts, *([columns.id] if columns.id else [])]))
    number = 0
    try:
        # By default Arrow asks for the columns of the whole file at once, and holds their bytes to its end.
        opened = pq.ParquetFile(file, pre_buffer=False, buffer_size=BYTES_AT_ONCE)
        for batch in opened.iter_batches(ROWS_AT_ONCE, columns=wanted):
            values = {name: batch.column(name) for name in wanted}
            texts = [_strings(values[name]) for name in columns.texts]
            ids: Sequence[Any] = values[columns.id].to_pylist() if columns.id else [None] * len(batch)
            for given, identifier in zip(zip(*texts, strict=True), ids, strict=True):
                number += 1
                if reason := _fault(given, columns.texts, columns.longest):
                    yield Rejected(path, number, reason, repr(given)[:SHOWN].encode("utf-8", "backslashreplace"))
                else:
                    yield Row(path, number, _identifier(identifier), given)
    except (pa.ArrowInvalid, OSError) as error:
        # Arrow's own error has no number. Any other one is the disk's or the network's, and the file may be whole.
        if isinstance(error, OSError) and (type(error) is not OSError or error.errno is not None):
            raise
        yield Rejected(path, number + 1, f"the Parquet file is damaged from here on: {error}", b"")


def _strings(column: Any) -> list[Any]:
    """A column's values: bytes are decoded where they are UTF-8, all other values stay as they are."""
    found = column.to_pylist()
    for index, value in enumerate(found):
        if isinstance(value, bytes):
            try:
                found[index] = value.decode("utf-8")
            except UnicodeDecodeError:
                continue
    return list(found)


def _identifier(value: Any) -> str | None:
    """The value of an id column as text: Arrow keeps a text as bytes where its writer did not say that it is one."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return None if value is None else str(value)


def _too_long(longest: int) -> str:
    raising = f"--limit {LONGEST}=N, or limits={{'{LONGEST}': N}}"
    return f"longer than the limit {LONGEST}, {longest} characters, which {raising} raises"


def _fault(given: Sequence[Any], names: Sequence[str], longest: int) -> str | None:
    for value, name in zip(given, names, strict=True):
        if value is None:
            return f"column {name}: null"
        if not isinstance(value, str):
            return f"column {name}: not UTF-8" if isinstance(value, bytes) else f"column {name}: no string"
        if len(value) > longest:
            return f"column {name}: {_too_long(longest)}"
    return None
