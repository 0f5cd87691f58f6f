"""Reading a corpus: text files of one text a line, gzip or not, and columns of Parquet files."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

PARQUET = (".parquet", ".pq")
ROWS_AT_ONCE = 8192


class Row(NamedTuple):
    """A text with its place: file, line from 1 (of Parquet: row from 1), and the value of the id column, if any.

    `texts` has one text for each input of the signature.
    """

    source: str
    line: int
    id: str | None
    texts: tuple[str, ...]


class Rejected(NamedTuple):
    """What is no text, its place, and why; `content` is what stood there."""

    source: str
    line: int
    reason: str
    content: bytes


class Columns(NamedTuple):
    """Columns of Parquet files: one for each input of the signature, and one for ids (None: no ids)."""

    texts: tuple[str, ...]
    id: str | None = None


def is_parquet(path: str) -> bool:
    """Whether a file is read by columns, by its name."""
    return path.lower().endswith(PARQUET)


def read_rows(path: str, columns: Columns) -> Iterator[Row | Rejected]:
    """The texts of one file in their order, and what is none. `path` is whatever Beam's file systems open.

    A file that ends before it should gives a Rejected for what is missing after the rows that could be read.
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
    """A column's values: strings as they are, bytes decoded where they can be; whatever else stays what it is."""
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


@dataclass(frozen=True)
class Corpus:
    """What is read: files or globs, and for Parquet which column is which input, and which holds ids."""

    inputs: tuple[str, ...]
    columns: tuple[str, ...] = ()
    id_column: str | None = None
