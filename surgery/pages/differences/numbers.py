"""The outputs of both modules in double precision, where they were asked for."""

from __future__ import annotations

from surgery.pages.section import Data, Documents, Section


def view(documents: Documents) -> Data | None:
    """The outputs in the order of computation."""
    numbers: Data | None = documents["diff"]["numbers"]
    return numbers


NUMBERS = Section(name="numbers", title="Numbers", view=view, scripts=("charts.js", "differences.js"), charts=True)
