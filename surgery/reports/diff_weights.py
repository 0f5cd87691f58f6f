"""The weights of two modules side by side: a table by parts of the model, then each weight that differs."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from surgery.reports.diff_parts import some
from surgery.reports.page import Data, table_of, title
from surgery.wording import number, shape_text

WORDS_SHOWN = 8


def weights_section(console: Console, weights: Data, every: bool) -> None:
    title(console, "Weights")
    rows = [
        (
            part["title"],
            part["state"],
            f"{part['changed']:,} of {part['weights']:,}" if part["changed"] else f"{part['weights']:,}",
            _optional(part["relative"]),
            _cosine(part["cosine"]),
        )
        for part in weights["parts"]
    ]
    table_of(console, ("part", "", "weights", "RMS of change", "cosine"), rows)
    changed = [weight for weight in weights["variables"] if not weight["same"]]
    if changed:
        console.print(Text("RMS of change: relative to the RMS of the weights in A", style="dim"))
        console.print()
        some(console, [_item(weight) for weight in changed], every)


def _item(weight: Data) -> list[str]:
    """A weight that differs: its name, how, and the words whose rows moved farthest."""
    found, state = weight["difference"], weight["state"]
    if state == "equal":
        state = f"equal numbers, {weight['a']['dtype']} → {weight['b']['dtype']}"
    elif state == "shape":
        state = " → ".join(shape_text(weight[side]["shape"]) for side in ("a", "b"))
    elif weight["reason"]:
        state = f"not compared: {weight['reason']}"
    said = [state]
    if found is not None:
        rows = found["rows"]
        if weight["state"] == "shape":
            said.append("of the rows in both")
        said += [f"{found['changed']:,} of {found['elements']:,} numbers"] if rows is None else []
        said += [f"{rows['count']:,} of {rows['of']:,} rows"] if rows is not None else []
        said += [f"RMS {_optional(found['relative'])}"] if found["relative"] is not None else []
        said += [f"cosine {_cosine(found['cosine'])}"] if found["cosine"] is not None else []
        said += [f"{found['nonfinite']:,} NaN or infinite"] if found["nonfinite"] else []
    item = [weight["name"], "  " + ", ".join(said)]
    if weight["holds"] is not None:
        item.append(f"  B has here what A has in {weight['holds']}")
    return [*item, *_words(found)]


def _words(found: Data | None) -> Iterator[str]:
    rows = found["rows"]["farthest"] if found is not None and found["rows"] is not None else []
    for row in [row for row in rows if row.get("words")][:WORDS_SHOWN]:
        word = " → ".join(dict.fromkeys(word or "(none)" for word in row["words"]))
        yield f"  row {row['row']}  {word}" + (f"  {_optional(row['difference'])}" if row["difference"] else "")


def _optional(value: float | None) -> str:
    return "" if value is None else number(value)


def _cosine(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"
