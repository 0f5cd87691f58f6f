"""A plugin that keeps garbage collections short, and says at the end how much memory each process took at most."""

from __future__ import annotations

import gc
import resource

import pytest

from tests.support.groups import group_of

MANY = 50_000
"""Objects that a collection may look through; most groups leave fewer."""

PEAKS: dict[str, float] = {}
"""Peak resident memory in GB by the worker's name."""


def _own_peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2  # Linux counts in KiB


def pytest_collection_finish() -> None:
    """Leaves what the imports made out of every later garbage collection.

    TensorFlow and the test modules make more than a million objects that live as long as the process. Each
    collection after a job would look through them again, which doubles the time of a verification.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Does the same, when a group of tests ends, with what its fixtures leave behind for the whole session.

    Each job collects several times, so that survivors cost a quarter of the time of a worker that has run for minutes.
    What was kept out before is looked through once more here: models that fixtures have dropped since are freed.
    """
    if nextitem is not None and group_of(item.nodeid) != group_of(nextitem.nodeid) and len(gc.get_objects()) > MANY:
        gc.unfreeze()
        gc.collect()
        gc.freeze()


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["peak"] = _own_peak()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error: object) -> None:
    PEAKS[node.gateway.id] = getattr(node, "workeroutput", {}).get("peak", 0.0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    peaks = PEAKS or {"this process": _own_peak()}
    told = ", ".join(f"{name} {peak:.1f} GB" for name, peak in sorted(peaks.items()))
    terminalreporter.write_line(f"peak memory: {told}")
