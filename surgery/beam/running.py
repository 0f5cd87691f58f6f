"""Runs an extraction's pipeline: on this machine in several processes, or on the runner that Beam's options name."""

from __future__ import annotations

import json
import os
import re
import shlex
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from surgery.arguments import argument
from surgery.beam.completing import complete, remains, while_running
from surgery.beam.corpus import Columns, is_parquet
from surgery.beam.pipeline import Extraction, build
from surgery.beam.runners import Runner
from surgery.errors import ModuleError, SurgeryError, UsageError, WriteError
from surgery.processes import child
from surgery.processes.scratch import scratch_folder
from surgery.processes.signals import before_signals
from surgery.progress import Progress

EVERY = 0.25
"""Seconds between two reads of the workers' progress."""


def find_files(patterns: Sequence[str]) -> dict[str, int]:
    """The files that paths and globs name, and their bytes. Each file is named once, by its first spelling.

    A path of this machine that exists is a file, even if it has characters of globs, such as `texts[1].txt`.
    Raises UsageError for a path or glob without a file.
    """
    found: dict[str, int] = {}
    known: set[str] = set()
    for pattern in patterns:
        sizes = _matching(pattern)
        if not sizes:
            raise UsageError(f"reading {pattern}: there is no such file", hint="give files or a glob in quotes")
        for path, size in sorted(sizes.items()):
            place = path if "://" in path else os.path.abspath(path)
            if place not in known:
                known.add(place)
                found[path] = size
    for path in found:
        if "://" not in path and not os.access(path, os.R_OK):
            raise UsageError(f"reading {path}: not permitted", hint="check its permissions")
    return found


def _matching(pattern: str) -> dict[str, int]:
    """The files that one path or glob names, and their bytes."""
    here = "://" not in pattern
    if here and Path(pattern).is_dir():
        raise UsageError(f"reading {pattern}: it is a folder", hint=f"name its files: '{pattern.rstrip('/')}/*'")
    if here and Path(pattern).is_file():
        return {pattern: os.path.getsize(pattern)}
    # Beam finds nothing for a glob that names no folder.
    bare = here and not os.path.dirname(pattern)
    try:
        (match,) = FileSystems.match([os.path.join(os.curdir, pattern) if bare else pattern])
    except (BeamIOError, ValueError) as error:
        raise UsageError(f"reading {pattern}: {error}") from error
    found = {metadata.path: metadata.size_in_bytes for metadata in match.metadata_list}
    return {os.path.normpath(path): size for path, size in found.items()} if bare else found


def check_columns(files: Iterable[str], columns: Columns, *, named: bool) -> None:
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
        with (
            _quiet_threads(),
            _watching(reports if local else None, progress),
            _while_running() as running,
            while_running(folder),
        ):
            engine = runner.engine if runner.processes is None else _local_engine(runner.processes, running)
            pipeline = beam.Pipeline(runner=engine, options=runner.options)
            build(pipeline, extraction, folder, reports if local else None)
            _finish(pipeline.run())
        summary = complete(folder, extraction.layout)
    except SurgeryError:
        raise
    except Exception as error:  # each runner wraps a worker's failure in an exception of its own
        raise _worker_error(error) from error
    return summary, time.monotonic() - started


def _finish(result: Any) -> None:
    """Waits for a pipeline's end. Whatever ends the wait otherwise, such as Ctrl-C, ends the pipeline, too."""
    try:
        result.wait_until_finish()
    except BaseException:
        with suppress(Exception):  # of a runner that cannot, or whose pipeline has ended
            result.cancel()
        raise
    finally:
        if (client := getattr(result, "client", None)) is not None:
            client.close()  # DaskRunner leaves it open


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
    """Raises UsageError when a remote folder holds a run, or cannot be read.

    Of a run that was killed, the list of its shards would be taken for the new run's, and shards that it has named
    would stand beside the new ones.
    """
    try:
        if FileSystems.exists(FileSystems.join(folder, record)):
            raise UsageError(f"writing to {folder}: it exists already", hint="choose another destination")
        if left := remains(folder):
            raise UsageError(
                f"writing to {folder}: it has files of a run that has not finished: {left[0]}",
                hint="if no run is writing them, remove them; or choose another destination",
            )
    except (BeamIOError, ValueError) as error:
        raise UsageError(f"writing to {folder}: {error}", hint="is Beam's support for it installed?") from error


def write_record(folder: str, name: str, record: dict[str, Any]) -> None:
    """Writes the file that marks a remote folder as complete."""
    with FileSystems.create(FileSystems.join(folder, name)) as file:
        file.write(json.dumps(record, indent=1).encode())


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
