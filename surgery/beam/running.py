"""Runs an extraction's pipeline: on this machine in several processes, or on the runner that Beam's options name."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions

from surgery import child
from surgery.arguments import argument
from surgery.beam.corpus import Columns, is_parquet
from surgery.beam.pipeline import Extraction, build
from surgery.beam.shards import PARTS, SUMMARY
from surgery.errors import ModuleError, SurgeryError, UsageError, WriteError
from surgery.progress import Progress
from surgery.scratch import scratch_folder
from surgery.signals import before_signals

LOCAL = (None, "DirectRunner", "FnApiRunner")
EVERY = 0.25
"""Seconds between two reads of the workers' progress."""


class Runner(NamedTuple):
    """Where a pipeline runs.

    Attributes:
        options: Beam's PipelineOptions.
        processes: Worker processes of a run on this machine; None for another runner.
        threads: Computing threads in each of them; None for another runner.
    """

    options: Any
    processes: int | None
    threads: int | None


def choose_runner(flags: Sequence[str], processes: int | None) -> Runner:
    """The runner that Beam's options name; by default this machine, with one process per core.

    The local runner is always the one that is part of the Python package: for "DirectRunner" Beam may download another.
    Raises UsageError for options that Beam does not have.
    """
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            options = PipelineOptions(list(flags))
            unknown = sorted(set(options.get_all_options(retain_unknown_options=True)) - set(options.get_all_options()))
    except SystemExit as error:  # argparse's way to refuse a value, with all options and the reason last
        reason = said.getvalue().strip().rpartition("error: ")[2] or "not understood"
        raise UsageError(f"options for Beam: {reason}", hint="see Beam's documentation") from error
    if unknown:
        raise UsageError(
            f"options for Beam: it has no --{', --'.join(unknown)}", hint="after -- stand Beam's own options"
        )
    if options.view_as(StandardOptions).runner not in LOCAL:
        if processes is not None:
            raise UsageError(
                f"{argument('processes', processes)}: the runner {options.view_as(StandardOptions).runner} has its own "
                "workers",
                hint="use that runner's option for their number",
            )
        return Runner(options, None, None)
    cores = len(os.sched_getaffinity(0))
    direct = options.view_as(DirectOptions)
    count = processes or (direct.direct_num_workers if "direct_num_workers" in " ".join(flags) else 0) or cores
    direct.direct_num_workers = count
    direct.direct_running_mode = "in_memory"  # the other modes start processes that outlive this one (`_local_engine`)
    return Runner(options, count, max(cores // count, 1))


def find_files(patterns: Sequence[str]) -> tuple[str, ...]:
    """The files that paths and globs name, each once. Raises UsageError for a path or glob without a file."""
    found: dict[str, None] = {}
    for pattern in patterns:
        if "://" not in pattern and Path(pattern).is_dir():
            raise UsageError(f"reading {pattern}: it is a folder", hint=f"name its files: '{pattern.rstrip('/')}/*'")
        try:
            (match,) = FileSystems.match([pattern])
        except (BeamIOError, ValueError) as error:
            raise UsageError(f"reading {pattern}: {error}") from error
        paths = sorted(metadata.path for metadata in match.metadata_list)
        if not paths:
            raise UsageError(f"reading {pattern}: there is no such file", hint="give files or a glob in quotes")
        found.update(dict.fromkeys(paths))
    for path in found:
        if "://" not in path and not os.access(path, os.R_OK):
            raise UsageError(f"reading {path}: not permitted", hint="check its permissions")
    return tuple(found)


def check_columns(files: Sequence[str], columns: Columns, *, named: bool) -> None:
    """Raises UsageError when a Parquet file lacks a column, or when a text file would need columns.

    `named` is True if the request names columns; otherwise columns have the names of the signature's inputs.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path in files:
        if not is_parquet(path):
            if named or len(columns.texts) > 1:
                raise UsageError(
                    f"reading {path}: a text file has one text a line, and no columns",
                    hint="put the columns into a Parquet file",
                )
            continue
        try:
            with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
                names = pq.read_schema(file).names
        except (pa.ArrowInvalid, OSError) as error:
            raise UsageError(
                f"reading {path}: it is no Parquet file: {error}", hint="a text file must not be named .parquet"
            ) from error
        for name in (*columns.texts, *([columns.id] if columns.id else [])):
            if name not in names:
                raise UsageError(
                    f"reading {path}: it has no column {name}",
                    hint=f"choose with {argument('columns')} (texts) or {argument('id_column')}: it has "
                    + ", ".join(names),
                )


def run(
    extraction: Extraction, folder: str, reports: str | None, runner: Runner, progress: Progress
) -> tuple[dict[str, Any], float]:
    """Runs the pipeline into a folder. Returns the summary of the written files, and the seconds that it took.

    `reports` is a local folder in which workers report their progress. Raises ModuleError with the reason
    when a worker fails, WriteError when it cannot write.
    """
    local = runner.processes is not None
    started = time.monotonic()
    try:
        with _quiet_threads(), _watching(reports if local else None, progress), _while_running() as running:
            engine = None if runner.processes is None else _local_engine(runner.processes, running)
            pipeline = beam.Pipeline(runner=engine, options=runner.options)
            build(pipeline, extraction, folder, reports if local else None)
            pipeline.run().wait_until_finish()
        place = FileSystems.join(folder, SUMMARY)
        with FileSystems.open(place, compression_type=CompressionTypes.UNCOMPRESSED) as file:
            summary: dict[str, Any] = json.load(file)
        FileSystems.delete([place, *_leftovers(folder)])
    except SurgeryError:
        raise
    except Exception as error:  # each runner wraps a worker's failure in an exception of its own
        raise _worker_error(error) from error
    return summary, time.monotonic() - started


@contextmanager
def _while_running() -> Iterator[Path]:
    """A file that exists while workers shall run. Its removal ends them, and a signal removes it before it raises.

    Beam would otherwise wait for ever, as it cleans up, for a worker that a signal to this process finds starting.
    """
    with scratch_folder() as folder:
        file = folder / "running"
        file.touch()
        with before_signals(lambda: file.unlink(missing_ok=True)):
            yield file


def _local_engine(processes: int, file: Path) -> Any:
    """Beam's runner on this machine, with worker processes that end when this one ends; one process is this one.

    Beam starts its own worker processes without that: where this process is killed while they start, they stay. Those
    would also import from the current folder.
    """
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner
    from apache_beam.transforms.environments import SubprocessSDKEnvironment

    if processes == 1:
        return FnApiRunner()
    worker = child.command("--while", str(file), "-m", "apache_beam.runners.worker.sdk_worker_main")
    # Beam hands the line to a shell. With `exec`, the worker takes the shell's place as a child of this process.
    line = f"exec {shlex.join(worker)}"
    return FnApiRunner(default_environment=SubprocessSDKEnvironment.from_command_string(line))


def check_vacant(folder: str, record: str) -> None:
    """Raises UsageError when a remote folder holds a finished run, or cannot be read."""
    try:
        if FileSystems.exists(FileSystems.join(folder, record)):
            raise UsageError(f"writing to {folder}: it exists already", hint="choose another destination")
    except (BeamIOError, ValueError) as error:
        raise UsageError(f"writing to {folder}: {error}", hint="is Beam's support for it installed?") from error


def write_record(folder: str, name: str, record: dict[str, Any]) -> None:
    """Writes the file that marks a remote folder as complete."""
    with FileSystems.create(FileSystems.join(folder, name)) as file:
        file.write(json.dumps(record, indent=1).encode())


def _leftovers(folder: str) -> list[str]:
    parts = FileSystems.join(folder, PARTS)
    return [parts] if FileSystems.exists(parts) else []


@contextmanager
def _quiet_threads() -> Iterator[None]:
    """Keeps Beam's threads from printing tracebacks: when a worker dies, the run itself raises."""
    before = threading.excepthook
    threading.excepthook = lambda args: None
    try:
        yield
    finally:
        threading.excepthook = before


@contextmanager
def _watching(folder: str | None, progress: Progress) -> Iterator[None]:
    """Passes on, from a thread, the progress that local workers report in files, until the block ends."""
    progress("start the workers", 0, 0)
    if folder is None:
        yield
        return
    done = threading.Event()

    def tell() -> None:
        read, written = _reported(Path(folder))
        if read:
            progress("extract", written, read)

    def watch() -> None:
        while not done.wait(EVERY):
            tell()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    tell()


def _reported(folder: Path) -> tuple[int, int]:
    """Texts read and written by all workers. The last line of a file may still be incomplete."""
    read = written = 0
    for path in folder.iterdir():
        for line in path.read_text(encoding="ascii").splitlines(keepends=True):
            if line.endswith("\n"):
                read_here, written_here = map(int, line.split())
                read, written = read + read_here, written + written_here
    return read, written


def _worker_error(error: Exception) -> SurgeryError:
    """A worker's failure in its own words: the last line of its traceback that names an exception."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if re.match(r"[\w.]+(Error|Exception|Exhausted)\b", line)]
    reason = re.sub(r"\s*\[while running .*", "", (named or lines or [type(error).__name__])[-1])
    if re.search(r"No space left|Read-only file system|Permission denied|Disk quota", reason):
        return WriteError(f"writing the features: {reason}", hint="check free space and permissions")
    if "Channel closed prematurely" in reason:
        reason = "its process ended before its work did: killed, or out of memory"
    return ModuleError(
        f"extracting features: a worker failed: {reason}",
        hint=f"--verbose shows its log; fewer {argument('processes')} or {argument('batch_tokens')} need less memory",
    )
