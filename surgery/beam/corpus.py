"""Reading a corpus: text files with one text per line, gzipped or not, and columns of Parquet files."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

PARQUET = (".parquet", ".pq")
ROWS_AT_ONCE = 8192


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
    """

    texts: tuple[str, ...]
    id: str | None = None


def is_parquet(path: str) -> bool:
    """Whether the file's name says that it has columns."""
    return path.lower().endswith(PARQUET)


def read_rows(path: str, columns: Columns) -> Iterator[Row | Rejected]:
    """The rows of one file in their order, and the lines that are no text. Beam's file systems open `path`.

    A damaged file gives the rows before the damage and one Rejected for the rest.
    """
    from apache_beam.io.filesystem import CompressionTypes
    from apache_beam.io.filesystems import FileSystems

    # Beam's own decompression takes a cut-off gzip file for a whole one.
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        if is_parquet(path):
            yield from _parquet_rows(path, file, columns)
        elif path.lower().endswith(".gz"):
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield from _lines(path, unpacked)
        else:
            yield from _lines(path, file)


def _lines(path: str, file: Any) -> Iterator[Row | Rejected]:
    number = 0
    try:
        for number, line in enumerate(file, 1):
            content = line.rstrip(b"\r\n")
            try:
                yield Row(path, number, None, (content.decode("utf-8-sig" if number == 1 else "utf-8"),))
            except UnicodeDecodeError as error:
                reason = f"not UTF-8: byte 0x{content[error.start]:02x} at position {error.start}"
                yield Rejected(path, number, reason, content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        yield Rejected(path, number + 1, f"the gzip file is damaged from here on: {error}", b"")


def _parquet_rows(path: str, file: Any, columns: Columns) -> Iterator[Row | Rejected]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = list(dict.fromkeys([*columns.texts, *([columns.id] if columns.id else [])]))
    number = 0
    try:
        for batch in pq.ParquetFile(file).iter_batches(ROWS_AT_ONCE, columns=wanted):
            values = {name: batch.column(name) for name in wanted}
            texts = [_strings(values[name]) for name in columns.texts]
            ids: Sequence[Any] = values[columns.id].to_pylist() if columns.id else [None] * len(batch)
            for given, identifier in zip(zip(*texts, strict=True), ids, strict=True):
                number += 1
                if reason := _fault(given, columns.texts):
                    yield Rejected(path, number, reason, repr(given).encode("utf-8", "backslashreplace"))
                else:
                    yield Row(path, number, None if identifier is None else str(identifier), given)
    except (pa.ArrowInvalid, OSError) as error:
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


def _fault(given: Sequence[Any], names: Sequence[str]) -> str | None:
    for value, name in zip(given, names, strict=True):
        if value is None:
            return f"column {name}: null"
        if not isinstance(value, str):
            return f"column {name}: not UTF-8" if isinstance(value, bytes) else f"column {name}: no string"
    return None
