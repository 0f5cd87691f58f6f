"""Counts of outcomes, as tables; and the folder of what is neither a result nor a SurgeryError."""

from __future__ import annotations

import shlex
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.tools.fuzz.ends import CPU, ESCAPED, EXPECTED, MEMORY, OTHER, RESULT, SIGNAL, WALL, Ending
from scripts.tools.fuzz.trial import Step

ROWS = (RESULT, *EXPECTED, OTHER, CPU, WALL, MEMORY, SIGNAL, ESCAPED)

PRINTED = 20_000
"""Characters of a command's output that are kept."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One command that was tried on one input.

    Attributes:
        number: The number of the input.
        kind: The kind of change.
        said: What was changed, and of which sample.
        arguments: The words after `surgery`.
        ending: How the command ended.
    """

    number: int
    kind: str
    said: str
    arguments: tuple[str, ...]
    ending: Ending


def table(tried: Iterable[Tried], commands: Sequence[str]) -> str:
    """Outcomes by command, as a table in Markdown. SurgeryErrors that did not occur are left out."""
    counts = Counter((one.arguments[0], one.ending.outcome) for one in tried)
    seen = {outcome for _, outcome in counts}
    rows = [row for row in ROWS if row in seen or row not in EXPECTED]
    lines = [f"| outcome | {' | '.join(f'`{name}`' for name in commands)} |", "|---" * (len(commands) + 1) + "|"]
    lines += [f"| {row} | {' | '.join(f'{counts[name, row]:,}' for name in commands)} |" for row in rows]
    return "\n".join(lines)


def by_kind(tried: Iterable[Tried]) -> str:
    """Inputs by kind of change, on one line."""
    kinds = Counter(kind for kind, _ in {(one.kind, one.number) for one in tried})
    return ", ".join(f"{kind} {count:,}" for kind, count in kinds.most_common())


def keep(step: Step, one: Tried, folder: Path, again: str) -> Path:
    """Copies an input, links and pipes as they are, and says in `report.txt` what happened and how to repeat it."""
    place = folder / f"{one.number}-{one.arguments[0]}"
    place.mkdir(parents=True, exist_ok=True)
    inputs = [str(path) for path in step.area.iterdir() if path.name.startswith("input")]
    printed = step.report.read_text(encoding="utf-8", errors="replace")[-PRINTED:] if step.report.exists() else ""
    subprocess.run(["cp", "-a", *inputs, str(place)], check=False)
    (place / "report.txt").write_text(
        f"{one.ending.outcome}: {one.ending.detail}\ninput {one.number} ({one.kind}): {one.said}\n"
        f"surgery {shlex.join(one.arguments)}\nagain: {again} --only {one.number}\n\n{printed}",
        encoding="utf-8",
    )
    return place
