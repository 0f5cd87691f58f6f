"""Parquet shards, as workers write them: under new names, which nobody but the list of a finished run tells."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from surgery.batching import WORD_IDS
from surgery.beam.arrow import column, column_type
from surgery.beam.corpus import Rejected, Row
from surgery.beam.tally import Tally, tally, total
from surgery.module import TensorInfo

PARTS = "_parts"
"""Folder of shards that may be incomplete; a complete run removes it."""
RUNNING = "running"
"""The file in PARTS that exists while a run may write."""
ROW_GROUP_BYTES = 64 * 2**20
SHARD_BYTES = 512 * 2**20
ROWS_BETWEEN_REPORTS = 50
"""Rows between two progress reports of a worker."""


class Layout(NamedTuple):
    """The columns of a shard.

    Attributes:
        inputs: Names of the text columns; empty to leave texts out.
        with_id: Whether rows have ids of their own.
        vocabulary: The tokens by id; empty for no column of tokens.
        outputs: The outputs of the signature, one column each.
        row_group_bytes: Bytes of outputs after which a row group is written.
        shard_bytes: Bytes of a file after which the next shard is begun.
    """

    inputs: tuple[str, ...]
    with_id: bool
    vocabulary: tuple[str, ...]
    outputs: tuple[TensorInfo, ...]
    row_group_bytes: int = ROW_GROUP_BYTES
    shard_bytes: int = SHARD_BYTES

    def schema(self) -> Any:
        """The schema of every shard. Raises ValueError for an output that no column can hold."""
        fields = [("source", pa.string()), ("line", pa.int64())]
        if self.with_id:
            fields.append(("id", pa.string()))
        fields += [(name, pa.string()) for name in self.inputs]
        if self.vocabulary:
            fields.append(("tokens", pa.list_(pa.string())))
        return pa.schema([*fields, *((tensor.key, column_type(tensor)) for tensor in self.outputs)])

    def table(self, rows: Sequence[tuple[Row, dict[str, np.ndarray]]]) -> Any:
        """A table of rows with the signature's outputs for each."""
        schema = self.schema()
        places, found = [row for row, _ in rows], [outputs for _, outputs in rows]
        columns = [pa.array([row.source for row in places], pa.string()), pa.array([row.line for row in places])]
        if self.with_id:
            columns.append(pa.array([row.id for row in places], pa.string()))
        columns += [pa.array([row.texts[i] for row in places], pa.string()) for i in range(len(self.inputs))]
        if self.vocabulary:
            ids = [outputs[WORD_IDS] for outputs in found]
            words = pa.array(self.vocabulary, pa.string()).take(pa.array(np.concatenate(ids)))
            offsets = np.concatenate([[0], np.cumsum([len(row) for row in ids])]).astype(np.int32)
            columns.append(pa.ListArray.from_arrays(pa.array(offsets), words))
        for tensor in self.outputs:
            shape = (tensor.shape or ())[1:]
            columns.append(column([row[tensor.key] for row in found], shape, schema.field(tensor.key).type))
        return pa.Table.from_arrays(columns, schema=schema)


class Shard(NamedTuple):
    """A written file, of rows or of rejected lines.

    Attributes:
        file: Its temporary name.
        first: File and line of its first row in the corpus.
        tally: What it holds.
        tokens: Tokens without padding.
    """

    file: str
    first: tuple[str, int]
    tally: Tally
    tokens: int


class ShardWriter:
    """Writes rows with their outputs to Parquet files under `folder`. At most one row group is held in memory.

    A writer that is never closed leaves a file behind that no Shard names. `progress` is a folder for progress reports.
    """

    def __init__(self, folder: str, layout: Layout, progress: str | None) -> None:
        self._folder, self._layout, self._progress = folder, layout, progress
        self._rows: list[tuple[Row, dict[str, np.ndarray]]] = []
        self._bytes = self._unreported = 0
        self._writer: Any = None

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer is not None:  # the run has failed, and nobody will read the file
            self._file.close()

    def add(self, row: Row, outputs: dict[str, np.ndarray]) -> list[Shard]:
        """Takes one row. Returns the file that it completes, if any."""
        self._rows.append((row, outputs))
        self._bytes += sum(array.nbytes for array in outputs.values())
        self._unreported += 1
        if self._unreported == ROWS_BETWEEN_REPORTS:
            self._report()
        if self._bytes >= self._layout.row_group_bytes:
            self._flush()
            if self._written >= self._layout.shard_bytes:
                return [self._close()]
        return []

    def close(self) -> list[Shard]:
        """Writes the rest. Returns the last file, if there is a rest."""
        self._report()
        if self._rows:
            self._flush()
        return [] if self._writer is None else [self._close()]

    def _flush(self) -> None:
        table = self._layout.table(self._rows)
        if self._writer is None:
            self._path, self._file = _new_file(self._folder, "parquet")
            self._writer = open_writer(self._file, self._layout)
            self._first = (self._rows[0][0].source, self._rows[0][0].line)
            self._tally, self._tokens, self._written = Tally(), 0, 0
        self._writer.write_table(table, row_group_size=len(table))
        self._tally = total([self._tally, tally(rows=[row for row, _ in self._rows])])
        self._tokens += sum(len(outputs.get(WORD_IDS, ())) for _, outputs in self._rows)
        self._written += self._bytes
        self._rows, self._bytes = [], 0

    def _report(self) -> None:
        report_progress(self._progress, done=self._unreported)
        self._unreported = 0

    def _close(self) -> Shard:
        self._writer.close()
        self._file.close()
        self._writer = None
        return Shard(self._path, self._first, self._tally, self._tokens)


def open_writer(file: Any, layout: Layout) -> Any:
    """A Parquet writer. Numbers are not dictionary encoded: no two are the same, and it would take a third longer."""
    schema = layout.schema()
    strings = [name for name in ("source", *layout.inputs) if name in schema.names]
    return pq.ParquetWriter(file, schema, compression="zstd", compression_level=1, use_dictionary=strings)


class RejectedWriter:
    """Writes rejected lines as JSON lines to one file under `folder`."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._file: Any = None

    def __enter__(self) -> RejectedWriter:
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, rejected: Rejected) -> None:
        """Writes one line; bytes that are not UTF-8 stand as \\xNN."""
        if self._file is None:
            self._path, self._file = _new_file(self._folder, "jsonl")
            self._first, self._tally = (rejected.source, rejected.line), Tally()
        said = {**rejected._asdict(), "content": rejected.content.decode("utf-8", "backslashreplace")}
        self._file.write(json.dumps(said, ensure_ascii=False).encode() + b"\n")
        self._tally = total([self._tally, tally(rejected=[rejected])])

    def close(self) -> list[Shard]:
        """Returns the file, if there is one."""
        if self._file is None:
            return []
        self._file.close()
        return [Shard(self._path, self._first, self._tally, 0)]


def check_running(folder: str) -> None:
    """Raises RuntimeError in a worker whose run has ended without it: what it would write nobody would remove."""
    if not FileSystems.exists(FileSystems.join(folder, PARTS, RUNNING)):
        raise RuntimeError(f"the extraction into {folder} has ended")


def _new_file(folder: str, ending: str) -> tuple[str, Any]:
    check_running(folder)
    path = FileSystems.join(folder, PARTS, f"{uuid.uuid4().hex}.{ending}")
    return path, FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED)


def report_progress(folder: str | None, *, read: int = 0, done: int = 0) -> None:
    """Reports this worker's progress to the process that started a local run: one line in the worker's own file."""
    if folder is not None:
        with open(os.path.join(folder, str(os.getpid())), "a", encoding="ascii") as file:
            file.write(f"{read} {done}\n")
