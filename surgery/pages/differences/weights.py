"""The weights: by parts of the model, as a map of blocks and sublayers, and one by one."""

from __future__ import annotations

from surgery.pages.section import Data, Documents, Section

EQUAL = "equal"


def view(documents: Documents) -> Data | None:
    """The parts, and every weight with its block, its place in the block, and how far it moved."""
    weights = documents["diff"]["weights"]
    if not weights["variables"]:
        return None
    rows = [_row(weight) for weight in weights["variables"]]
    differing = [row for row in rows if not row["same"]]
    return {
        "parts": weights["parts"],
        "differing": differing,
        "equal": [row for row in rows if row["same"]],
        "blocks": any(row["block"] is not None and row["moved"] is not None for row in differing),
        "moved": [row for row in differing if row["words"]],
    }


def _row(weight: Data) -> Data:
    difference = weight["difference"]
    rows = None if difference is None else difference["rows"]
    return {
        **weight,
        "sublayer": _sublayer(weight["name"], weight["block"]),
        "moved": _moved(weight),
        "from_zeros": difference is not None and not difference["rms_a"] and difference["rms"] != 0,
        "rows": rows,
        "words": [row for row in rows["farthest"] if row["words"]] if rows is not None else [],
    }


def _moved(weight: Data) -> float | None:
    """RMS of the difference, relative to that of the weight in A; None where there is no such number."""
    if weight["state"] == EQUAL:
        return 0.0
    known = weight["state"] == "changed" and weight["difference"] is not None
    relative: float | None = weight["difference"]["relative"] if known else None
    return relative


def _sublayer(name: str, block: int | None) -> str:
    """The name of a block's weight without the block: `transformer/layer_3/output/bias` is `output/bias`."""
    steps = name.split("/")
    ends = [number for number, step in enumerate(steps) if step.endswith(f"_{block}")]
    return "/".join(steps[ends[0] + 1 :]) if block is not None and ends else name


WEIGHTS = Section(
    name="changed-weights", title="Weights", view=view, scripts=("charts.js", "differences.js"), charts=True
)
