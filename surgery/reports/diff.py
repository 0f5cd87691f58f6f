"""Report of a comparison: what is equal and what differs, the weights by parts of the model and one by one."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from surgery.reports.diff_data import data
from surgery.reports.diff_parts import SECTIONS
from surgery.reports.diff_weights import weights_section
from surgery.reports.page import Data, aligned, facts, lines, title
from surgery.wording import number

__all__ = ["SCHEMA", "data", "text"]

SCHEMA = 1


def text(console: Console, data: Data) -> None:
    """The two modules, the parts that differ, and a section for each of these."""
    every = data["every"]
    title(console, "A  " + _named(data["a"]))
    console.print(Text("B  " + _named(data["b"]), style="bold"))
    equal = [part for part in data["compared"] if part not in (*data["differing"], *data["absent"])]
    facts(
        console,
        [
            ("different", ", ".join(data["differing"]) or "nothing"),
            ("equal", ", ".join(equal) or "nothing"),
            *([("neither has", ", ".join(data["absent"]))] if data["absent"] else []),
            *([("weights", data["weights"]["verdict"])] if data["weights"]["verdict"] else []),
        ],
    )
    for part, section in SECTIONS.items():
        if part in data["differing"]:
            section(console, data, every)
    if "variables" in data["compared"] and data["weights"]["parts"]:
        weights_section(console, data["weights"], every)
    if data["numbers"] is not None:
        _numbers(console, data["numbers"])


def _named(module: Data) -> str:
    return f"{module['name']} ({module['format']})"


def _numbers(console: Console, numbers: Data) -> None:
    title(console, f"Numbers: {numbers['batches']} batches in double precision")
    if numbers["parts_at"] is not None:
        lines(console, [f"they part at {numbers['parts_at']}"])
    elif numbers["outputs"]:
        console.print("every output that was compared is the same function")
    else:
        console.print("no output could be compared")
    lines(console, aligned((f"  {one['name']}", _part_of_rms(one)) for one in numbers["outputs"]))
    for side in ("a", "b"):
        if names := numbers[f"only_{side}"]:
            lines(console, [f"only {side.upper()}: {name}" for name in names])
    for name, types in numbers["lacking"].items():
        lines(console, [f"{name}: not compared, {', '.join(types)} has no kernel for double precision"])


def _part_of_rms(output: Data) -> str:
    apart = f"{number(output['difference'])} of its RMS"
    return f"same, to {apart}" if output["passed"] else output["problem"] or f"differs by {apart}"
