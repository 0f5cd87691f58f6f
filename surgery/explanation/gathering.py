"""Evidence as it comes in: the first sight of a field defines it, and every later sight must agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from surgery.arguments import argument
from surgery.errors import ContradictionError, UsageError
from surgery.module import InspectedModule
from surgery.tables.anchors import Anchors
from surgery.tables.family import Family
from surgery.tables.fields import VALID, VALID_NAMES


@dataclass(frozen=True)
class Evidence:
    """A field's value and where it was read. `count` places agree on it; `place` is the first."""

    field: str
    value: Any
    source: str
    place: str
    count: int = 1


class Gathered:
    """Values as they come in: the first sight of a field defines it, every later one must agree."""

    def __init__(self, module: InspectedModule, family: Family) -> None:
        self.module, self.family = module, family
        self.values: dict[str, Any] = {}
        self.evidence: dict[tuple[str, str], Evidence] = {}
        self.wanted: dict[str, str] = {}
        self.places: set[str] = set()
        self.unread: set[str] = set()

    def add(self, field: str, value: Any, source: str, place: str) -> None:
        if field in self.values and self.values[field] != value:
            raise ContradictionError(
                f"inferring the architecture of {self.module.name}: {field} is {self.values[field]} "
                f"(read at {self.place(field)}), but {value} at {place}",
                hint=f"the module mixes two values of one hyperparameter, or an {argument('assume')} is wrong",
            )
        self.values[field] = value
        self.places.add(place)
        before = self.evidence.get((field, source))
        if before is None:
            self.evidence[field, source] = Evidence(field, value, source, place)
        else:
            self.evidence[field, source] = Evidence(field, value, source, before.place, before.count + 1)

    def place(self, field: str) -> str:
        return next((e.place for (name, _), e in self.evidence.items() if name == field), "nowhere")


class Graphs:
    """Anchored graphs of a module's traces, opened once each."""

    def __init__(self, module: InspectedModule, path_of_target: Mapping[str, str]) -> None:
        self._module, self.targets = module, path_of_target
        self._open: dict[tuple[str, bool], Anchors | None] = {}

    @property
    def bare(self) -> Anchors | None:
        """The graph of unknown purpose that lies beside a checkpoint."""
        open_graph = self._module.bare_graph
        return None if open_graph is None else Anchors(open_graph(), self.targets)

    def anchored(self, callable_name: str, *, training: bool) -> Anchors | None:
        key = (callable_name, training)
        if key not in self._open:
            trace = self._module.trace(callable_name, training=training)
            self._open[key] = None if trace is None else Anchors(trace.open_graph(), self.targets)
        return self._open[key]


def supply(assume: Mapping[str, Any], gathered: Gathered, family: Family) -> None:
    """Adds the caller's word as evidence. Raises UsageError for a field or a value that there cannot be."""
    for field, value in assume.items():
        option = argument("assume", {field: value})
        if field not in family.fields:
            raise UsageError(
                f"{option}: {family.name} has no field {field}", hint="known fields: " + ", ".join(family.fields)
            )
        kind = family.fields[field].kind
        if not VALID[kind](value):
            raise UsageError(f"{option}: expected {VALID_NAMES[kind]} ({family.fields[field].meaning})")
        gathered.add(field, value, "option", f"--assume {field}={value}")
