"""The pipeline of an extraction: read, batch by length, run, write, complete."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.ml.inference.base import KeyedModelHandler, RunInference

from surgery.batching import BATCH_TOKENS
from surgery.beam.batches import batches
from surgery.beam.corpus import Columns, Rejected, Row, read_rows
from surgery.beam.handler import SavedModelHandler
from surgery.beam.shards import Complete, Layout, WriteRejected, WriteShards, report_progress

REJECTS = "rejected"


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """One run of a signature over files.

    Attributes:
        files: The files to read.
        columns: The columns to read of Parquet files.
        saved_model: The folder of the SavedModel, which every worker opens.
        signature: The signature to run.
        inputs: The signature's inputs, in the order of `columns.texts`.
        layout: The columns to write.
        limit: The most tokens of a row.
        batch_tokens: About the most tokens of a batch, padding included.
        threads: Computing threads in each worker process; None for one per core.
        trust: Runs a SavedModel that could do more than compute.
    """

    files: tuple[str, ...]
    columns: Columns
    saved_model: str
    signature: str
    inputs: tuple[str, ...]
    layout: Layout
    limit: int
    batch_tokens: int = BATCH_TOKENS
    threads: int | None = None
    trust: bool = False


class ReadBatches(beam.DoFn):  # type: ignore[misc]
    """From a file to batches of texts of similar length. Lines that are no text go to the output REJECTS."""

    def __init__(self, extraction: Extraction, progress: str | None) -> None:
        self._extraction, self._progress = extraction, progress

    def process(self, path: str) -> Iterator[Any]:
        """Yields batches under keys that are the same in every run."""
        rejected: list[Rejected] = []
        wanted = self._extraction
        for batch in batches(self._rows(path, rejected), limit=wanted.limit, tokens=wanted.batch_tokens):
            report_progress(self._progress, read=len(batch))
            yield f"{batch[0].source}:{batch[0].line}", batch
            while rejected:
                yield beam.pvalue.TaggedOutput(REJECTS, rejected.pop())
        while rejected:
            yield beam.pvalue.TaggedOutput(REJECTS, rejected.pop())

    def _rows(self, path: str, rejected: list[Rejected]) -> Iterator[Row]:
        for row in read_rows(path, self._extraction.columns):
            if isinstance(row, Rejected):
                rejected.append(row)
            else:
                yield row


def build(pipeline: Any, extraction: Extraction, folder: str, progress: str | None) -> None:
    """Adds the steps of an extraction into `folder` to a pipeline; `progress` is a folder for reports of a local run.

    Each batch gets a key of its own before it is run, so that any worker can take it and the model runs apart from the
    reading. Nothing is shuffled between the model and the files: outputs are a thousand times larger than texts.
    """
    inputs = extraction.inputs

    def examples(keyed: Any) -> Iterator[list[tuple[Row, Any]]]:
        for batch in keyed[1]:
            yield [
                (row, row.texts[0] if len(inputs) == 1 else dict(zip(inputs, row.texts, strict=True))) for row in batch
            ]

    handler = SavedModelHandler(
        extraction.saved_model,
        extraction.signature,
        [tensor.key for tensor in extraction.layout.outputs],
        threads=extraction.threads,
        trust=extraction.trust,
    )
    read = (
        pipeline
        | "Files" >> beam.Create(list(extraction.files))
        | "Spread files" >> beam.Reshuffle()
        | "Read" >> beam.ParDo(ReadBatches(extraction, progress)).with_outputs(REJECTS, main="batches")
    )
    shards = (
        read.batches
        | "Spread batches" >> beam.GroupByKey()
        | "Examples" >> beam.FlatMap(examples)
        | "Run the signature" >> RunInference(KeyedModelHandler(handler).with_no_batching())
        | "Write shards" >> beam.ParDo(WriteShards(folder, extraction.layout, progress))
    )
    rejected = read[REJECTS] | "Write rejected" >> beam.ParDo(WriteRejected(folder))
    (
        (shards, rejected)
        | "All files" >> beam.Flatten()
        | "One list" >> beam.combiners.ToList()
        | "Complete" >> beam.ParDo(Complete(folder, extraction.layout))
    )
