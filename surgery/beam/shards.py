"""Parquet shards, written by workers under temporary names and renamed when all of them are complete."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from surgery.beam.arrow import column, column_type
from surgery.beam.corpus import Rejected, Row
from surgery.module import TensorInfo

PARTS = "_parts"
"""Folder of shards that may be incomplete; a complete run removes it."""
IDS = "input_word_ids"
REJECTED = "_rejected.jsonl"
SUMMARY = "_shards.json"
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
            ids = [outputs[IDS] for outputs in found]
            words = pa.array(self.vocabulary, pa.string()).take(pa.array(np.concatenate(ids)))
            offsets = np.concatenate([[0], np.cumsum([len(row) for row in ids])]).astype(np.int32)
            columns.append(pa.ListArray.from_arrays(pa.array(offsets), words))
        for tensor in self.outputs:
            shape = (tensor.shape or ())[1:]
            columns.append(column([row[tensor.key] for row in found], shape, schema.field(tensor.key).type))
        return pa.Table.from_arrays(columns, schema=schema)


class Shard(NamedTuple):
    """A written file.

    Attributes:
        file: Its temporary name.
        first: File and line of its first row in the corpus.
        rows: Rows, or rejected lines.
        tokens: Tokens without padding.
        rejected: Whether it holds rejected lines instead of rows.
    """

    file: str
    first: tuple[str, int]
    rows: int
    tokens: int
    rejected: bool = False


class WriteShards(beam.DoFn):  # type: ignore[misc]
    """Writes (Row, PredictionResult) to Parquet files under `folder`, and yields the complete ones.

    At most one row group is held in memory. A bundle that is retried leaves files behind that no Shard names.
    """

    def __init__(self, folder: str, layout: Layout, progress: str | None) -> None:
        self._folder, self._layout, self._progress = folder, layout, progress

    def start_bundle(self) -> None:
        """No file is open."""
        self._rows: list[tuple[Row, dict[str, np.ndarray]]] = []
        self._bytes = self._unreported = 0
        self._writer: Any = None

    def process(self, element: tuple[Row, Any]) -> Iterator[Shard]:
        """Takes one row. Writes when a row group is full."""
        row, result = element
        self._rows.append((row, result.inference))
        self._bytes += sum(array.nbytes for array in result.inference.values())
        self._unreported += 1
        if self._unreported == ROWS_BETWEEN_REPORTS:
            self._report()
        if self._bytes >= self._layout.row_group_bytes:
            self._flush()
            if self._written >= self._layout.shard_bytes:
                yield self._close()

    def finish_bundle(self) -> Iterator[Any]:
        """Writes the rest."""
        self._report()
        if self._rows:
            self._flush()
        if self._writer is not None:
            yield beam.utils.windowed_value.WindowedValue(self._close(), 0, [beam.window.GlobalWindow()])

    def _flush(self) -> None:
        table = self._layout.table(self._rows)
        if self._writer is None:
            self._path = FileSystems.join(self._folder, PARTS, f"{uuid.uuid4().hex}.parquet")
            self._file = FileSystems.create(self._path, compression_type=CompressionTypes.UNCOMPRESSED)
            self._writer = open_writer(self._file, self._layout)
            self._first = (self._rows[0][0].source, self._rows[0][0].line)
            self._count = self._tokens = self._written = 0
        self._writer.write_table(table, row_group_size=len(table))
        tokens = sum(len(outputs.get(IDS, ())) for _, outputs in self._rows)
        self._count += len(table)
        self._tokens += tokens
        self._written += self._bytes
        self._rows, self._bytes = [], 0

    def _report(self) -> None:
        report_progress(self._progress, done=self._unreported)
        self._unreported = 0

    def _close(self) -> Shard:
        self._writer.close()
        self._file.close()
        self._writer = None
        return Shard(self._path, self._first, self._count, self._tokens)


def open_writer(file: Any, layout: Layout) -> Any:
    """A Parquet writer. Numbers are not dictionary encoded: no two are the same, and it would take a third longer."""
    schema = layout.schema()
    strings = [name for name in ("source", *layout.inputs) if name in schema.names]
    return pq.ParquetWriter(file, schema, compression="zstd", compression_level=1, use_dictionary=strings)


class WriteRejected(beam.DoFn):  # type: ignore[misc]
    """Writes rejected lines as JSON lines under `folder`, and yields the files."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def start_bundle(self) -> None:
        """No file is open."""
        self._file: Any = None

    def process(self, rejected: Rejected) -> None:
        """Writes one line; bytes that are not UTF-8 stand as \\xNN."""
        if self._file is None:
            self._path = FileSystems.join(self._folder, PARTS, f"{uuid.uuid4().hex}.jsonl")
            self._file = FileSystems.create(self._path, compression_type=CompressionTypes.UNCOMPRESSED)
            self._first, self._count = (rejected.source, rejected.line), 0
        said = {**rejected._asdict(), "content": rejected.content.decode("utf-8", "backslashreplace")}
        self._file.write(json.dumps(said, ensure_ascii=False).encode() + b"\n")
        self._count += 1

    def finish_bundle(self) -> Iterator[Any]:
        """Closes the file."""
        if self._file is not None:
            self._file.close()
            shard = Shard(self._path, self._first, self._count, 0, rejected=True)
            yield beam.utils.windowed_value.WindowedValue(shard, 0, [beam.window.GlobalWindow()])


class Complete(beam.DoFn):  # type: ignore[misc]
    """Gives the whole shards their final names, in the order of their first rows, and writes the summary last."""

    def __init__(self, folder: str, layout: Layout) -> None:
        self._folder, self._layout = folder, layout

    def process(self, shards: list[Shard]) -> None:
        """Takes every shard of the run at once."""
        written = sorted((shard for shard in shards if not shard.rejected), key=lambda shard: shard.first)
        names = [f"part-{i:05d}-of-{max(len(written), 1):05d}.parquet" for i in range(max(len(written), 1))]
        if written:
            FileSystems.rename([shard.file for shard in written], [self._place(name) for name in names])
        else:  # a reader finds the columns of a corpus without texts, too
            with FileSystems.create(self._place(names[0]), compression_type=CompressionTypes.UNCOMPRESSED) as file:
                open_writer(file, self._layout).close()
        rejected = sorted((shard for shard in shards if shard.rejected), key=lambda shard: shard.first)
        if rejected:
            with FileSystems.create(self._place(REJECTED), compression_type=CompressionTypes.UNCOMPRESSED) as file:
                for line in sorted(_lines(rejected), key=lambda line: (line["source"], line["line"])):
                    file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        summary = {
            "texts": sum(shard.rows for shard in written),
            "tokens": sum(shard.tokens for shard in written),
            "rejected": sum(shard.rows for shard in rejected),
            "shards": [
                {"file": name, "rows": shard.rows, "tokens": shard.tokens}
                for name, shard in zip(names, written, strict=False)
            ],
        }
        with FileSystems.create(self._place(SUMMARY), compression_type=CompressionTypes.UNCOMPRESSED) as file:
            file.write(json.dumps(summary).encode())

    def _place(self, name: str) -> str:
        return str(FileSystems.join(self._folder, name))


def _lines(shards: Sequence[Shard]) -> Iterator[dict[str, Any]]:
    for shard in shards:
        with FileSystems.open(shard.file, compression_type=CompressionTypes.UNCOMPRESSED) as file:
            yield from map(json.loads, file)


def report_progress(folder: str | None, *, read: int = 0, done: int = 0) -> None:
    """Reports this worker's progress to the process that started a local run: one line in the worker's own file."""
    if folder is not None:
        with open(os.path.join(folder, str(os.getpid())), "a", encoding="ascii") as file:
            file.write(f"{read} {done}\n")
