"""A plugin that says at the end how much memory each process of the tests took at most."""

from __future__ import annotations

import gc
import resource

import pytest

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
