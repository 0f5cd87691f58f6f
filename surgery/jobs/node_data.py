"""The errors of a comparison as node data for Model Explorer, which lays them over the graph of the export."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from surgery.errors import WriteError
from surgery.export.publish import check_apart, choose_destination, publish, staging
from surgery.graphs.model_explorer import WORST, NodeData, node_data, node_ids, places_of
from surgery.module import InspectedModule
from surgery.planning.plan import Plan
from surgery.proof.compared import of_export
from surgery.proof.parity import MAX_DIFFERENCE, OutputDiff, ParityReport, of_rms

DIFFERENCE = "difference.json"
"""The file by which a folder of node data is known."""
EQUAL = "#a5d6a7"
"""The colour of a difference that is within the bound."""
LARGEST = 1.7976931348623157e308
"""The largest number of a float64: a threshold for all others."""
FLOAT32 = [{"stop": 0, "bgColor": "#ffffff"}, {"stop": 1, "bgColor": "#ffb74d"}]
"""Colours of float32 errors, from the least to the largest."""

Measure = Callable[[OutputDiff], float | None]


def _difference(diff: OutputDiff) -> float | None:
    return diff.difference if diff.in_double else None


FILES: dict[str, tuple[str, Measure, dict[str, Any]]] = {
    DIFFERENCE: (
        "difference in double precision, of the output's RMS",
        _difference,
        {"thresholds": [{"value": MAX_DIFFERENCE, "bgColor": EQUAL}, {"value": LARGEST, "bgColor": WORST}]},
    ),
    "module_error.json": (
        "float32 error of the module, of the output's RMS",
        lambda diff: of_rms(diff.module_error, diff.rms),
        {"gradient": FLOAT32},
    ),
    "export_error.json": (
        "float32 error of the export, of the output's RMS",
        lambda diff: of_rms(diff.export_error, diff.rms),
        {"gradient": FLOAT32},
    ),
}
"""What each file shows: its name for people, the value of an output (None for none), and the colours."""


def check_node_data(folder: Path, read: Iterable[str | Path], *, overwrite: bool) -> Path:
    """The folder to write to, checked before all else.

    Raises UsageError where it exists, unless `overwrite` is given, and where it lies in one of the modules `read`.
    """
    check_apart([folder], read)
    return choose_destination(folder, folder.name, overwrite=overwrite, known_by=DIFFERENCE)


def files_of(report: ParityReport, plan: Plan, exported: InspectedModule) -> dict[str, NodeData]:
    """The files by name. `plan` is that with which the export was compared."""
    names = frozenset(diff.name for diff in report.outputs)
    compared = of_export(exported, plan.inference, plan.outputs, names)
    tensors = {name: tensor for part in compared.parts for name, tensor in part.outputs.items()}
    ids = node_ids(exported.inference_graph.graph_def)
    places = {name: tuple(places_of(tensor)) for name, tensor in tensors.items()}
    return {
        file: node_data(
            title,
            [
                (place, value)
                for diff in report.outputs
                if (value := measure(diff)) is not None
                for place in places.get(diff.name, ())
            ],
            ids,
            **colours,
        )
        for file, (title, measure, colours) in FILES.items()
    }


def write_node_data(files: dict[str, NodeData], folder: Path, *, overwrite: bool) -> None:
    """Writes the files into a new folder, in one step. Raises WriteError."""
    with staging(folder) as staged:
        try:
            for name, content in files.items():
                (staged / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise WriteError(
                f"writing {folder}: {error.strerror or error}", hint="check free space and permissions"
            ) from error
        publish(staged, folder, overwrite=overwrite)
