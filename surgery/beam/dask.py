"""A cluster of Dask, for Beam's DaskRunner: is its scheduler there, and how many threads do its workers have?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from apache_beam.runners.dask.dask_runner import DaskOptions

from surgery.errors import UsageError

SECONDS = 10
"""How long the scheduler may take to answer, if the options do not say."""
SHARES = 8
"""Shares for each thread of a worker: few threads wait for the last task, and a worker that dies loses little."""
PARTITIONS = ("npartitions", "partition_size")
"""Options of the runner that are not the client's."""


def prepare(options: Any) -> int:
    """The number of shares for the workers of the cluster that the options name; 0 if it has no worker yet.

    Each share becomes a task, unless the options say otherwise: the runner itself would make one of 128.
    Raises UsageError when no scheduler is named, or none answers.
    """
    chosen = options.view_as(DaskOptions)
    given = chosen.get_all_options(drop_default=True, current_only=True)
    client = {name: value for name, value in given.items() if name not in PARTITIONS}
    place = _place(client)
    seconds = client["timeout"] = given["timeout"] if isinstance(given.get("timeout"), int) else SECONDS
    try:
        # A thread of its own has no event loop yet; a notebook's has.
        with ThreadPoolExecutor(1) as thread:
            threads = thread.submit(asyncio.run, _threads(client, seconds)).result()
    except Exception as error:  # of whatever kind the transport raises
        reason = f"no answer within {seconds} s" if isinstance(error, TimeoutError | asyncio.TimeoutError) else error
        raise UsageError(
            f"connecting to the scheduler of Dask at {place}: {reason}",
            hint="`dask scheduler` shows its address as it starts, such as tcp://HOST:8786",
        ) from error
    if not given.keys() & set(PARTITIONS):
        chosen.partition_size = 1
    return SHARES * threads


def _place(client: Mapping[str, Any]) -> str:
    """The scheduler, as the options or Dask's own settings name it."""
    from dask import config

    if (file := client.get("scheduler_file")) is not None:
        if not Path(file).is_file():  # Dask would wait for it
            raise UsageError(
                f"reading {file}: there is no such file", hint="give the file of `dask scheduler --scheduler-file`"
            )
        return str(file)
    address = client.get("address") or config.get("scheduler-address", None)
    if not address:
        raise UsageError(
            "options for Beam: DaskRunner needs the address of a scheduler",
            hint="--dask_client_address=tcp://HOST:8786; without a runner, it runs on this machine",
        )
    return str(address)


async def _threads(options: Mapping[str, Any], seconds: float) -> int:
    from distributed import Client

    client = Client(asynchronous=True, set_as_default=False, **options)
    try:
        await asyncio.wait_for(client, seconds)
        return sum((await asyncio.wait_for(client.nthreads(), seconds)).values())
    finally:
        await client.close(timeout=0.1)
