"""Observations in a module's graphs and names, at the spots that the evidence rows of its family name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product

from surgery.errors import UnexplainedError
from surgery.explanation.claims import Claim
from surgery.explanation.gathering import Observation, Seen, Unseen
from surgery.graphs.flat import FlatGraph
from surgery.module import InspectedModule
from surgery.tables.anchors import Anchors
from surgery.tables.evidence import GraphEvidence
from surgery.tables.family import Family
from surgery.tables.publisher import Publisher
from surgery.tables.rules import fill


@dataclass(frozen=True, kw_only=True)
class Graphs:
    """The graphs of a module's traces, anchored at its weights. Each is opened once, when it is first asked for.

    Attributes:
        module: The inspected module.
        targets: Address of the module's variable (see VariableInfo) by target in the rebuilt encoder.
    """

    module: InspectedModule
    targets: Mapping[str, str]

    @property
    def bare(self) -> Anchors | None:
        """The graph of unknown purpose that lies beside a checkpoint; None where there is none."""
        return None if self.module.bare_graph is None else self._checked(self.module.bare_graph())

    def anchored(self, callable_name: str, *, training: bool) -> Anchors | None:
        """The graph of a callable's trace; None where the module has no such trace.

        Raises ValueError for a graph that feeds itself.
        """
        return self._anchored(callable_name, training)

    @cached_property
    def _anchored(self) -> Callable[[str, bool], Anchors | None]:
        @cache
        def anchored(callable_name: str, training: bool) -> Anchors | None:
            trace = self.module.trace(callable_name, training=training)
            return None if trace is None else self._checked(trace.open_graph())

        return anchored

    def _checked(self, graph: FlatGraph) -> Anchors:
        """A graph as the readers see it. They follow it against the flow of data, so it must not feed itself."""
        graph.check_order()
        return Anchors(graph, self.targets)


@dataclass(frozen=True, kw_only=True)
class Spot:
    """One spot of a graph that an evidence row reads.

    Attributes:
        anchors: Targets of the weights that anchor it.
        application: The application of a shared weight that is meant, from 0.
    """

    anchors: tuple[str, ...]
    application: int = 0


def observe_bare_graph(publisher: Publisher, graphs: Graphs) -> Iterator[Seen]:
    """The observations in the graph beside a checkpoint, which may be any graph and may show nothing."""
    graph = graphs.bare
    for row in publisher.graph if graph is not None else ():
        for spot in _spots(row.anchors, {"layer": 1}):
            reading = row.read(graph, *spot.anchors)
            if reading is not None and reading.known:
                yield Seen(field=row.field, value=reading.value, kind="graph", place=reading.place)


def observe_names(name: str, family: Family, claims: Iterable[Claim]) -> Iterator[Seen]:
    """The number of blocks, and of numbered parts of a block, as the names of the variables show it.

    Raises UnexplainedError, with the module's `name`, when the numbers have a gap.
    """
    claims = tuple(claims)
    for hole, field in family.counts.items():
        numbered = [claim for claim in claims if hole in claim.holes]
        numbers = {int(claim.holes[hole]) for claim in numbered}
        if numbers != set(range(len(numbers))):
            raise UnexplainedError(
                f"counting {field} of {name}: the variables name {sorted(numbers)}, "
                f"expected {list(range(len(numbers)))} without a gap"
            )
        if numbers:
            yield Seen(field=field, value=len(numbers), kind="names", place=numbered[0].variable.name)


def observe_depth(family: Family, graphs: Graphs) -> Iterator[Observation]:
    """How often the graph applies a block that all depths share; nothing for a family that numbers its blocks."""
    if family.depth is not None:
        yield from _observe(family.depth, graphs, [Spot(anchors=family.depth.anchors)])


def observe_graphs(family: Family, graphs: Graphs, counts: Mapping[str, int]) -> Iterator[Observation]:
    """The observations at every spot that a row of the family names. `counts` are numbers by numbered hole."""
    for row in family.evidence:
        yield from _observe(row, graphs, spots_of(row, family, counts))


def spots_of(row: GraphEvidence, family: Family, counts: Mapping[str, int]) -> list[Spot]:
    """The spots that a row of a family reads: of numbered weights one each, of shared weights one per application."""
    shared = family.repeated is not None and row.anchors[0].startswith(family.repeated)
    if shared and not _numbered(row.anchors, counts):
        return [Spot(anchors=row.anchors, application=number) for number in range(counts.get("layer", 0))]
    return _spots(row.anchors, counts)


def refuse_other_dropouts(graphs: Graphs, places: frozenset[str]) -> None:
    """Raises UnexplainedError for a dropout that no row has read: the rebuilt encoder would lack it silently."""
    graph = graphs.anchored("__call__", training=True)
    others = [dropout.result.path for dropout in graph.dropouts if dropout.result.path not in places] if graph else []
    others += [node.path for node in graph.unread_randomness] if graph else []
    if others:
        raise UnexplainedError(
            f"inferring the architecture of {graphs.module.name}: its training trace drops out at places that the "
            "rebuilt encoder does not have",
            details=tuple(others),
        )


def _observe(row: GraphEvidence, graphs: Graphs, spots: list[Spot]) -> Iterator[Observation]:
    """The observations of one row at these spots."""
    lacking = [anchor for spot in spots for anchor in spot.anchors if anchor not in graphs.targets]
    if lacking:
        if row.absent is not None:
            place = f"no variable for {lacking[0]}"
            yield Seen(field=row.field, value=row.absent, kind="names", place=place)
        return
    mode = "training" if row.training else "inference"
    if not row.optional and graphs.module.config is None:
        yield Unseen(field=row.field, because=f"the module has no {mode} trace of {row.callable}")
    graph = graphs.anchored(row.callable, training=row.training)
    if graph is None:
        return
    for spot in spots:
        reading = row.read(graph.at(spot.application), *spot.anchors)
        if reading is not None and reading.known:
            yield Seen(field=row.field, value=reading.value, kind="graph", place=reading.place)
        elif not row.optional:
            found = "nothing of the kind" if reading is None else f"{reading.value} at {reading.place}"
            expected = f"expected it at {', '.join(spot.anchors)} in the {mode} trace, found {found}"
            yield Unseen(field=row.field, because=expected, unreadable=True)


def _spots(anchors: tuple[str, ...], counts: Mapping[str, int]) -> list[Spot]:
    """The spots of anchors with numbered holes: one for every combination of numbers."""
    holes = _numbered(anchors, counts)
    combinations = product(*(map(str, range(counts[hole])) for hole in holes))
    numbers = [dict(zip(holes, combination, strict=True)) for combination in combinations]
    return [Spot(anchors=tuple(fill(anchor, chosen) for anchor in anchors)) for chosen in numbers]


def _numbered(anchors: tuple[str, ...], counts: Mapping[str, int]) -> list[str]:
    """The numbered holes that these anchors have."""
    return [hole for hole in counts if any("{" + hole + "}" in anchor for anchor in anchors)]
