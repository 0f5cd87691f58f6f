"""Which of Beam's runners an extraction uses, and into how many shares the work is cut for it."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from contextlib import redirect_stderr
from typing import Any, NamedTuple

from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from apache_beam.runners.runner import create_runner

from surgery.arguments import argument
from surgery.errors import UsageError

LOCAL = (None, "DirectRunner", "FnApiRunner")
DASK = "DaskRunner"
NAMED = {DASK.lower(): "apache_beam.runners.dask.dask_runner.DaskRunner"}
"""Runners of Beam to which it gives no short name, by the one that they get here."""
ELSEWHERE = 64
"""The least number of shares for a runner that does not say how many workers it has."""


class Runner(NamedTuple):
    """Where a pipeline runs.

    Attributes:
        options: Beam's PipelineOptions.
        shares: The least number of shares for its workers.
        engine: Beam's runner; None for a run on this machine, which makes its own.
        processes: Worker processes of a run on this machine; None for another runner.
        threads: Computing threads in each of them; None for another runner.
    """

    options: Any
    shares: int
    engine: Any = None
    processes: int | None = None
    threads: int | None = None


def choose_runner(flags: Sequence[str], processes: int | None) -> Runner:
    """The runner that Beam's options name; by default this machine, with one process per core.

    The local runner is always the one that is part of the Python package: for "DirectRunner" Beam may download another.
    Raises UsageError for options that Beam does not have, and for a runner that is not there.
    """
    name = _options(flags).view_as(StandardOptions).runner
    # A runner's module declares its options.
    engine = None if name in LOCAL else _engine(name)
    options = _options(flags)
    if unknown := sorted(set(options.get_all_options(retain_unknown_options=True)) - set(options.get_all_options())):
        raise UsageError(
            f"options for Beam: it has no --{', --'.join(unknown)}", hint="after -- stand Beam's own options"
        )
    if engine is None:
        return _local(options, flags, processes)
    if processes is not None:
        raise UsageError(
            f"{argument('processes', processes)}: the runner {name} has its own workers",
            hint="use that runner's option for their number",
        )
    if type(engine).__name__ == DASK:
        from surgery.beam import dask

        return Runner(options, dask.prepare(options) or ELSEWHERE, engine)
    return Runner(options, ELSEWHERE, engine)


def _options(flags: Sequence[str]) -> Any:
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            options = PipelineOptions(list(flags))
            options.get_all_options()  # each class of options reads its own only when it is asked
    except SystemExit as error:  # argparse's way to refuse a value, with all options and the reason last
        reason = said.getvalue().strip().rpartition("error: ")[2] or "not understood"
        raise UsageError(f"options for Beam: {reason}", hint="see Beam's documentation") from error
    return options


def _engine(name: str) -> Any:
    try:
        return create_runner(NAMED.get(name.lower(), name))
    except ImportError as error:
        raise UsageError(
            f"the runner {name} cannot be imported: {error}",
            hint=f"install what it needs: for {DASK}, pip install 'apache-beam[dask]'",
        ) from error
    except (AttributeError, ValueError) as error:
        raise UsageError(
            f"options for Beam: --runner={name}: there is no such runner",
            hint=f"Beam has {', '.join(sorted([*StandardOptions.KNOWN_RUNNER_NAMES, DASK]))}",
        ) from error


def _local(options: Any, flags: Sequence[str], processes: int | None) -> Runner:
    cores = len(os.sched_getaffinity(0))
    direct = options.view_as(DirectOptions)
    count = processes or (direct.direct_num_workers if "direct_num_workers" in " ".join(flags) else 0) or cores
    direct.direct_num_workers = count
    direct.direct_running_mode = "in_memory"  # the other modes start processes that outlive this one (`_local_engine`)
    return Runner(options, count, processes=count, threads=max(cores // count, 1))
