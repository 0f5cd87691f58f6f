"""The architecture of a module, each field with the evidence for it: names, shapes, graph, or the caller's word.

First sight defines a value and every later sight must agree. A field without evidence is an error that names the
option which supplies it; nothing has a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

from surgery.arguments import argument
from surgery.errors import ContradictionError, UnexplainedError
from surgery.explanation.claims import Claim, Explanation
from surgery.explanation.config import read_published
from surgery.explanation.convention import (
    Convention,
    described_convention,
    read_convention,
)
from surgery.explanation.gathering import Evidence, Gathered, Graphs, supply
from surgery.explanation.outputs import EncoderOutputs
from surgery.explanation.recognition import find_family
from surgery.module import InspectedModule
from surgery.tables import layout
from surgery.tables.evidence import GraphEvidence
from surgery.tables.family import Family
from surgery.tables.published import Published
from surgery.tables.rules import fill

BLOCK_COUNT = "num_hidden_layers"


@dataclass(frozen=True)
class Architecture:
    """The hyperparameters of an encoder by BERT's own names (google-research/bert, modeling.py: BertConfig).

    Attributes:
        family: The name of the family's table, such as "bert".
        generation: The generation of the module's exporter.
        values: The value of each field, which `architecture["hidden_size"]` gives as well.
    """

    family: str
    generation: str
    values: Mapping[str, Any]

    def __getitem__(self, field: str) -> Any:
        return self.values[field]

    @property
    def blocks(self) -> int:
        """The number of blocks."""
        count: int = self.values[BLOCK_COUNT]
        return count

    def with_blocks(self, count: int) -> Architecture:
        """The same architecture with so many blocks."""
        return replace(self, values={**self.values, BLOCK_COUNT: count})


@dataclass(frozen=True)
class Inference:
    """What a module is and why: its family's table, architecture, evidence, claims and calling convention."""

    family: Family
    architecture: Architecture
    evidence: tuple[Evidence, ...]
    claims: tuple[Claim, ...]
    sizes: Mapping[str, int]
    convention: Convention
    heads: Mapping[str, Convention]
    published: Published | None = None

    @property
    def outputs(self) -> EncoderOutputs:
        """The outputs of the encoder: all that the family has, except those whose weights this module lacks."""
        targets = {target for claim in self.claims for target in claim.targets}
        return EncoderOutputs.of(self.family, targets, self.architecture.blocks)


def infer_architecture(module: InspectedModule, assume: Mapping[str, Any] | None = None) -> Inference:
    """Reads family, generation and every hyperparameter of a module.

    `assume` supplies fields that have no evidence in the module. Raises UnexplainedError when no table explains the
    module or a field has no evidence, ContradictionError when two pieces of evidence disagree.
    """
    family, found = find_family(module)
    published = found.dialect.published if module.config is not None else None
    if published is None and module.trace("__call__", training=False) is None:
        raise UnexplainedError(
            f"inferring the architecture of {module.name}: it has no inference trace of __call__",
            hint="the module must have been saved with its call function, as TF Hub's are",
        )
    gathered = Gathered(module, family)
    paths = {target: claim.variable.address for claim in found.claims for target in claim.targets}
    graphs = Graphs(module, paths)
    if published is not None and module.config is not None:
        _read_bare_graph(published, graphs, gathered)
        read_published(published, module.config, paths, gathered, assume or {})
    counts = _count(found, family, graphs, gathered)
    for row in family.evidence:
        _read_graph(row, graphs, _places(row.anchors, counts, family.repeated), gathered)
    _refuse_other_dropouts(graphs, gathered)
    supply(assume or {}, gathered, family)
    sizes = _bind_sizes(family, found, gathered)
    # A place that could not be read is no evidence that it is like its neighbours.
    unread = gathered.unread - set(assume or {})
    missing = [field for field in gathered.wanted if field not in gathered.values or field in unread]
    if missing:
        raise UnexplainedError(
            f"inferring the architecture of {module.name}: no evidence for {', '.join(missing)}"
            + "".join(f"\n  {field}: {gathered.wanted[field]}" for field in missing),
            hint=f"if you know the value, supply it: {argument('assume', dict.fromkeys(missing, ...))}",
        )
    for field, value in family.fixed.items():
        if gathered.values.get(field, value) != value:
            raise UnexplainedError(
                f"inferring the architecture of {module.name}: {field} is {gathered.values[field]} "
                f"(read at {gathered.place(field)}), but Model Garden's encoder has {value} only"
            )
    outputs = EncoderOutputs.of(family, graphs.targets, gathered.values[BLOCK_COUNT])
    convention, heads = _conventions(module, family, graphs, found, outputs)
    generation = found.dialect.generation.get(convention.kind, " or ".join(found.dialect.generation.values()))
    values = {field: gathered.values[field] for field in family.fields if field in gathered.values}
    return Inference(
        family=family,
        architecture=Architecture(family.name, generation, values),
        evidence=tuple(e for e in gathered.evidence.values() if e.field in values),
        claims=found.claims,
        sizes=sizes,
        convention=convention,
        heads=heads,
        published=published,
    )


def _conventions(
    module: InspectedModule, family: Family, graphs: Graphs, found: Explanation, outputs: EncoderOutputs
) -> tuple[Convention, dict[str, Convention]]:
    """How `__call__` and the heads are called: as the module's graph says, or a checkpoint as its export will be."""
    if module.config is not None:
        parts = {claim.rule.part for claim in found.claims}
        heads = {name: recipe for name, recipe in family.encoder.heads.items() if name in parts}
        described = partial(described_convention, family, outputs=outputs.paths)
        return described("__call__"), {name: described(name, head=recipe) for name, recipe in heads.items()}
    heads = {name: recipe for name, recipe in family.encoder.heads.items() if name in module.callables}
    return (
        read_convention(module, family, "__call__", graphs.anchored("__call__", training=False), outputs.names),
        {
            name: read_convention(module, family, name, graphs.anchored(name, training=False), outputs.names, recipe)
            for name, recipe in heads.items()
        },
    )


def _read_bare_graph(published: Published, graphs: Graphs, gathered: Gathered) -> None:
    """Reads what a graph of unknown purpose shows, where it shows anything."""
    graph = graphs.bare
    for row in published.graph if graph is not None else ():
        places = [anchors for anchors, _ in _places(row.anchors, {"layer": 1}, None)]
        for anchors in places:
            reading = row.read(graph, *anchors)
            if reading is not None and not str(reading.value).startswith("unknown"):
                gathered.add(row.field, reading.value, "graph", reading.place)


def _count(found: Explanation, family: Family, graphs: Graphs, gathered: Gathered) -> dict[str, int]:
    """How many there are of what the names number; where all blocks share one, how often the graph applies it."""
    counts = {}
    if family.depth is not None:
        _read_graph(family.depth, graphs, [(family.depth.anchors, 0)], gathered)
        counts["layer"] = int(gathered.values.get(BLOCK_COUNT, 0))
    for hole, field in family.counts.items():
        numbered = [claim for claim in found.claims if hole in claim.holes]
        numbers = {int(claim.holes[hole]) for claim in numbered}
        if not numbers:
            continue
        if numbers != set(range(len(numbers))):
            raise UnexplainedError(
                f"counting {field} of {gathered.module.name}: the variables name {sorted(numbers)}, "
                f"expected {list(range(len(numbers)))} without a gap"
            )
        counts[hole] = len(numbers)
        gathered.add(field, len(numbers), "names", numbered[0].variable.name)
    return counts


Place = tuple[tuple[str, ...], int]
"""Anchors of a place, and which application of them it is."""


def _read_graph(row: GraphEvidence, graphs: Graphs, places: list[Place], gathered: Gathered) -> None:
    """Reads one row at every place it names; all places must agree."""
    lacking = [anchor for anchors, _ in places for anchor in anchors if anchor not in graphs.targets]
    if lacking:
        if row.absent is not None:
            gathered.add(row.field, row.absent, "names", f"no variable for {lacking[0]}")
        return
    mode = "training" if row.training else "inference"
    if not row.optional and gathered.module.config is None:
        gathered.wanted.setdefault(row.field, f"the module has no {mode} trace of {row.callable}")
    graph = graphs.anchored(row.callable, training=row.training)
    if graph is None:
        return
    for anchors, application in places:
        reading = row.read(graph.at(application), *anchors)
        if reading is not None and not str(reading.value).startswith("unknown"):
            gathered.add(row.field, reading.value, "graph", reading.place)
        elif not row.optional:
            found = "nothing of the kind" if reading is None else f"{reading.value} at {reading.place}"
            gathered.unread.add(row.field)
            gathered.wanted[row.field] = f"expected it at {', '.join(anchors)} in the {mode} trace, found {found}"


def _places(anchors: tuple[str, ...], counts: Mapping[str, int], repeated: str | None) -> list[Place]:
    """Where a row is read: once, for every number of its holes, or at every application of a shared block."""
    holes = [hole for hole in counts if any("{" + hole + "}" in anchor for anchor in anchors)]
    if not holes and repeated is not None and anchors[0].startswith(repeated):
        return [(anchors, application) for application in range(counts["layer"])]
    return [
        (tuple(fill(anchor, dict(zip(holes, map(str, chosen), strict=True))) for anchor in anchors), 0)
        for chosen in product(*(range(counts[hole]) for hole in holes))
    ]


def _refuse_other_dropouts(graphs: Graphs, gathered: Gathered) -> None:
    """A dropout at a place that the table does not know would be lost without a word."""
    graph = graphs.anchored("__call__", training=True)
    others = [d.result.path for d in graph.dropouts if d.result.path not in gathered.places] if graph else []
    others += [node.path for node in graph.unread_randomness] if graph else []
    if others:
        raise UnexplainedError(
            f"inferring the architecture of {gathered.module.name}: its training trace drops out at places that the "
            "rebuilt encoder does not have",
            details=tuple(others),
        )


def _bind_sizes(family: Family, found: Explanation, gathered: Gathered) -> dict[str, int]:
    """Binds every axis of every claimed weight. Two passes: joined axes need sizes that another row defines."""
    axis_of = {field: axis for axis, field in family.sizes.items()}
    sizes = {axis_of[field]: value for field, value in gathered.values.items() if field in axis_of}
    claims = [claim for claim in found.claims if claim.rule.layout is not None]
    for _ in range(2):
        for claim in claims:
            assert claim.rule.layout is not None
            try:
                bound = layout.bind(claim.rule.layout, claim.variable.shape, sizes)
            except ValueError as error:
                seen = {
                    f"{family.sizes[axis]} was read at {gathered.place(family.sizes[axis])}"
                    for axis in claim.rule.layout.axes
                    if family.sizes[axis] in gathered.values
                }
                raise ContradictionError(
                    f"binding the shape of {claim.variable.name} {list(claim.variable.shape)}: {error}; "
                    + ", ".join(sorted(seen)),
                    hint="the variable is damaged, or belongs to another architecture",
                ) from error
            for axis in bound.keys() - sizes.keys():
                gathered.add(family.sizes[axis], bound[axis], "shapes", claim.variable.name)
            sizes = bound
    targets = {target for claim in found.claims for target in claim.targets}
    for left, right, unless in family.equal_unless:
        if left in sizes and unless not in targets and sizes[left] != sizes[right]:
            raise UnexplainedError(
                f"inferring the architecture of {gathered.module.name}: {family.sizes[left]} is {sizes[left]} and "
                f"{family.sizes[right]} is {sizes[right]}, expected equal sizes"
                + (f" without {unless}" if unless else "")
            )
    for axis, field in family.sizes.items():
        if axis not in sizes and any(axis in claim.rule.layout.axes for claim in claims if claim.rule.layout):
            gathered.wanted.setdefault(field, "the shapes leave it open")
    return sizes
