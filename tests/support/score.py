"""A plugin: the score of the verifier, which is how many of the mutations that were made it has caught."""

from __future__ import annotations

from typing import Any

MUTATION = "mutation"
"""The property of a test that makes one."""


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Prints the score, if mutations were made. One counts as caught only if it was named at the right place."""
    caught, missed = (
        {
            report.nodeid: dict(report.user_properties)[MUTATION]
            for outcome in outcomes
            for report in terminalreporter.stats.get(outcome, ())
            if MUTATION in dict(getattr(report, "user_properties", ()))
        }
        for outcomes in (("passed",), ("failed", "error"))
    )
    caught = {test: row for test, row in caught.items() if test not in missed}
    made = len(caught) + len(missed)
    if made:
        share = 100 * len(caught) / made
        rows = len({*caught.values(), *missed.values()})
        terminalreporter.write_line(f"mutations: {len(caught)} of {made} caught, {share:.4g} %, in {rows} rows")
