"""Report of an architecture alone, without the evidence for it (surgery.reports.architecture has both)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from surgery.reports.page import Data, table_of, title

if TYPE_CHECKING:
    from surgery.explanation.architecture import Architecture

SCHEMA = 1


def data(architecture: Architecture) -> Data:
    """Family, generation, and the value of each field."""
    return {
        "family": architecture.family,
        "generation": architecture.generation,
        "values": dict(architecture.values),
    }


def text(console: Console, data: Data) -> None:
    """One row per hyperparameter."""
    title(console, f"Architecture: {data['family']}, {data['generation']}")
    table_of(console, ("field", "value"), [(field, str(value)) for field, value in data["values"].items()])
