"""Part of two reports: family, generation and hyperparameters of an encoder, with the evidence for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from surgery.reports.page import Data, table_of, title

if TYPE_CHECKING:
    from surgery.explanation.architecture import Inference


def data(inference: Inference) -> Data:
    """Family, generation, and each field with its value and evidence."""
    return {
        "family": inference.architecture.family,
        "generation": inference.architecture.generation,
        "architecture": [
            {
                "field": field,
                "value": value,
                "evidence": [
                    {"source": e.kind, "place": e.place, "places": e.count}
                    for e in inference.evidence
                    if e.field == field
                ],
            }
            for field, value in inference.architecture.values.items()
        ],
        "unknown": dict(inference.unknown),
    }


def text(console: Console, data: Data) -> None:
    """One row per hyperparameter and kind of evidence, with the place where the value was read."""
    title(console, f"Architecture: {data['family']}, {data['generation']}")
    rows = []
    for field in data["architecture"]:
        for number, evidence in enumerate(field["evidence"]):
            places = f" (and {evidence['places'] - 1} more)" if evidence["places"] > 1 else ""
            rows.append(
                (
                    field["field"] if number == 0 else "",
                    str(field["value"]) if number == 0 else "",
                    evidence["source"],
                    f"{evidence['place']}{places}",
                )
            )
    rows += [(field, "unknown", "", because) for field, because in data["unknown"].items()]
    table_of(console, ("field", "value", "from", "read at"), rows)
