"""Extraction, from a corpus to Parquet. Everything is checked before the run starts.

The extraction itself is a Beam pipeline (surgery.beam.pipeline). This file plans it, and publishes its results.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from surgery.batching import BATCH_TOKENS
from surgery.beam.corpus import Corpus
from surgery.beam.installed import require_beam
from surgery.errors import WriteError
from surgery.export.manifest import PACKAGES, package_versions
from surgery.export.publish import check_apart, choose_destination, publish, staging
from surgery.processes.scratch import scratch_folder
from surgery.progress import Progress, silent
from surgery.results import Result
from surgery.scanning.gate import open_to_run
from surgery.sources.handles import without_secrets

RECORD = "_extraction.json"
"""The record of a run and its results. Readers of Parquet folders skip names that start with "_"."""
RECORD_SCHEMA = 1

Ran = tuple[dict[str, Any], float]
"""The summary of a run (texts, tokens, rejected, shards), and its seconds."""
Run = Callable[[str, str | None], Ran]
"""Runs a pipeline. The arguments are the folder for the results, and one for progress reports or None."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Extracted(Result, report="extract"):
    """A finished extraction.

    Attributes:
        destination: The folder of the Parquet files.
        signature: The signature that was run.
        outputs: Its outputs that were written.
        columns: The columns of the Parquet files.
        shards: The Parquet files, each with its number of rows.
        texts: Rows written.
        tokens: Tokens without padding.
        rejected: Lines that were no text.
        seconds: Seconds that the pipeline took.
        processes: Worker processes on this machine; None for another runner.
    """

    destination: str
    signature: str
    outputs: tuple[str, ...]
    columns: tuple[str, ...]
    shards: tuple[tuple[str, int], ...]
    texts: int
    tokens: int
    rejected: int
    seconds: float
    processes: int | None


def extract_features(
    exported: str,
    corpus: Corpus,
    destination: str,
    *,
    signature: str | None = None,
    outputs: Sequence[str] | None = None,
    with_text: bool = True,
    batch_tokens: int = BATCH_TOKENS,
    processes: int | None = None,
    beam_options: Sequence[str] = (),
    trust: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Extracted:
    """Runs a signature that takes strings over a corpus, and writes sharded Parquet to `destination`.

    Raises UsageError for a request that does not fit, ModuleError when the model or a worker fails, and WriteError when
    the results cannot be written. After an error the destination is as it was before.
    """
    progress("inspect", 0, 0)
    require_beam()
    from surgery.beam import running
    from surgery.beam.plan import plan_extraction
    from surgery.beam.runners import choose_runner

    runner = choose_runner(beam_options, processes)
    with open_to_run(exported, trust=trust) as module:
        plan = plan_extraction(module, exported, corpus, signature=signature, outputs=outputs, with_text=with_text)
        if "://" not in destination:
            check_apart([Path(destination)], [exported, module.folder, *plan.files])
        plan = replace(plan, batch_tokens=batch_tokens, least_shares=runner.shares, threads=runner.threads, trust=trust)
        record = {
            "schema": RECORD_SCHEMA,
            "exported": without_secrets(exported),
            "sha256": dict(module.fingerprint),
            "signature": plan.signature,
            "outputs": [tensor.key for tensor in plan.layout.outputs],
            "inputs": list(plan.files),
            "columns": plan.layout.schema().names,
            "packages": package_versions((*PACKAGES, "apache-beam", "pyarrow")),
        }
        summary, seconds = _into(
            destination, record, lambda folder, reports: running.run(plan, folder, reports, runner, progress), overwrite
        )
    return Extracted(
        destination=destination,
        signature=plan.signature,
        outputs=tuple(record["outputs"]),
        columns=tuple(record["columns"]),
        shards=tuple((shard["file"], shard["rows"]) for shard in summary["shards"]),
        texts=summary["texts"],
        tokens=summary["tokens"],
        rejected=summary["rejected"],
        seconds=seconds,
        processes=runner.processes,
    )


def _into(destination: str, record: dict[str, Any], run: Run, overwrite: bool) -> Ran:
    """Runs into a staging folder, which is then published. In a remote folder, the record is written last instead."""
    from surgery.beam import completing, running

    if "://" in destination:
        running.check_vacant(destination, RECORD)
        try:
            summary, seconds = run(destination, None)
            running.write_record(destination, RECORD, {**record, **summary})
        except BaseException:
            completing.discard(destination)
            raise
        return summary, seconds
    place = choose_destination(Path(destination), "", overwrite=overwrite, known_by=RECORD)
    with staging(place) as staged, scratch_folder() as reports:
        summary, seconds = run(str(staged.resolve()), str(reports))
        try:
            (staged / RECORD).write_text(json.dumps({**record, **summary}, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise WriteError(f"writing {destination}: {error.strerror}") from error
        publish(staged, place, overwrite=overwrite)
    return summary, seconds
