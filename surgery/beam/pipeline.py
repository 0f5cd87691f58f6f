"""The pipeline of an extraction: read, group batches into shares, run each share into shards, list the shards.

It uses what every engine carries: elements with integer keys, GroupByKey, and functions that yield before their call
ends. Beam's DaskRunner (2.77) does not tell a step's several outputs apart, drops what `finish_bundle` yields, and
computes side inputs anew in each worker, so there are none of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.utils.shared import Shared

from surgery.batching import BATCH_TOKENS
from surgery.batching.texts import batches
from surgery.beam.completing import write_list
from surgery.beam.corpus import Columns, Rejected, Row, read_rows
from surgery.beam.handler import SavedModelHandler
from surgery.beam.shards import Layout, RejectedWriter, ShardWriter, report_progress
from surgery.beam.tally import Tally, tally, total

SHARE_BYTES = 8 * 2**20
"""About the most bytes of the files for one share: minutes of work, which a worker that dies has done in vain."""
ALL = 0
"""The one key of the last grouping."""

Batch = list[Row]
Part = Batch | Rejected | Tally
"""What a reader adds to a share."""
Place = tuple[int, int]
"""The number of a reader, and the number of what it has read: the order of a share's parts."""


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """One run of a signature over files.

    Attributes:
        files: The files to read.
        folder: The folder from which relative paths of files go.
        size: The bytes of all files.
        columns: The columns to read of Parquet files.
        saved_model: The folder of the SavedModel, which every worker opens.
        signature: The signature to run.
        inputs: The signature's inputs, in the order of `columns.texts`.
        layout: The columns to write.
        limit: The most tokens of a row.
        batch_tokens: About the most tokens of a batch, padding included.
        least_shares: The least number of shares into which the work is cut, such as one for each process.
        threads: Computing threads in each worker process; None for one per core.
        trust: Runs a SavedModel that could do more than compute.
    """

    files: tuple[str, ...]
    folder: str
    size: int
    columns: Columns
    saved_model: str
    signature: str
    inputs: tuple[str, ...]
    layout: Layout
    limit: int
    batch_tokens: int = BATCH_TOKENS
    least_shares: int = 1
    threads: int | None = None
    trust: bool = False

    @property
    def shares(self) -> int:
        """Into how many shares the work is cut: a multiple of `least_shares`, so that each worker gets as many."""
        return self.least_shares * max(1, -(-self.size // (self.least_shares * SHARE_BYTES)))


class ReadFiles(beam.DoFn):  # type: ignore[misc]
    """From files to batches of texts of similar length, dealt out to the shares in turn."""

    def __init__(self, extraction: Extraction, progress: str | None) -> None:
        self._extraction, self._progress = extraction, progress

    def process(self, element: Any) -> Iterator[tuple[int, Any]]:
        """Yields the batches of some files, their lines that are no text, and at last how much that was.

        The same files always give the same shares.
        """
        reader, files = element
        count, read = 0, Tally()
        for path in files:
            for part in self._parts(path):
                yield (reader + count) % self._extraction.shares, ((reader, count), part)
                count += 1
                read = total([read, tally(rejected=[part]) if isinstance(part, Rejected) else tally(rows=part)])
        yield reader, ((reader, count), read)

    def _parts(self, path: str) -> Iterator[Batch | Rejected]:
        rejected: list[Rejected] = []
        wanted = self._extraction
        for batch in batches(self._rows(path, rejected), limit=wanted.limit, tokens=wanted.batch_tokens):
            report_progress(self._progress, read=len(batch))
            yield batch
            while rejected:
                yield rejected.pop()
        while rejected:
            yield rejected.pop()

    def _rows(self, path: str, rejected: list[Rejected]) -> Iterator[Row]:
        for row in read_rows(path, self._extraction.columns, self._extraction.folder):
            if isinstance(row, Rejected):
                rejected.append(row)
            else:
                yield row


class RunShare(beam.DoFn):  # type: ignore[misc]
    """Runs the signature over a share, and writes its outputs.

    Both are one step, because an engine may hold all that a step yields, and outputs are a thousand times larger than
    texts. The model is loaded once per worker process.
    """

    def __init__(self, extraction: Extraction, folder: str, progress: str | None) -> None:
        self._folder, self._layout, self._progress = folder, extraction.layout, progress
        self._inputs = extraction.inputs
        self._shared = Shared()
        self._handler = SavedModelHandler(
            extraction.saved_model,
            extraction.signature,
            [tensor.key for tensor in extraction.layout.outputs],
            threads=extraction.threads,
            trust=extraction.trust,
        )

    def process(self, element: Any) -> Iterator[tuple[int, Any]]:
        """Yields the files of the share, and the tallies in it."""
        # Engines give a group in any order. In its own, the same share gives the same files.
        parts: list[tuple[Place, Part]] = sorted(element[1], key=lambda placed: placed[0])
        with (
            ShardWriter(self._folder, self._layout, self._progress) as shards,
            RejectedWriter(self._folder) as rejected,
        ):
            for _, part in parts:
                if isinstance(part, Tally):
                    yield ALL, part
                elif isinstance(part, Rejected):
                    rejected.add(part)
                else:
                    for row, outputs in zip(part, self._run(part), strict=True):
                        yield from ((ALL, shard) for shard in shards.add(row, outputs))
            yield from ((ALL, shard) for shard in (*shards.close(), *rejected.close()))

    def _run(self, batch: Batch) -> Iterator[dict[str, Any]]:
        model = self._shared.acquire(self._handler.load_model)
        one = len(self._inputs) == 1
        examples = [row.texts[0] if one else dict(zip(self._inputs, row.texts, strict=True)) for row in batch]
        return (result.inference for result in self._handler.run_inference(examples, model))


class ListShards(beam.DoFn):  # type: ignore[misc]
    """Writes the list of all shards, which ends the work of the workers."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def process(self, element: Any) -> None:
        """Takes the shards and tallies of the whole run at once."""
        write_list(self._folder, element[1])


def build(pipeline: Any, extraction: Extraction, folder: str, progress: str | None) -> None:
    """Adds the steps of an extraction into `folder` to a pipeline; `progress` is a folder for reports of a local run.

    There are as many readers as shares, even if most of them have no file: an engine may keep the number of elements
    that it starts with as its number of tasks. Nothing but names is shuffled after the model has run.
    """
    count = extraction.shares
    (
        pipeline
        | "Files" >> beam.Create([(reader, extraction.files[reader::count]) for reader in range(count)])
        | "Spread files" >> beam.Reshuffle()
        | "Read" >> beam.ParDo(ReadFiles(extraction, progress))
        | "Spread batches" >> beam.GroupByKey()
        | "Run the signature" >> beam.ParDo(RunShare(extraction, folder, progress))
        | "One list" >> beam.GroupByKey()
        | "List shards" >> beam.ParDo(ListShards(folder))
    )
