"""The names and layouts of a checkpoint's tensors: the rows of a publisher's dialect, read backwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from surgery.arguments import argument
from surgery.errors import SurgeryError, UnexplainedError, UsageError
from surgery.explanation.architecture import Inference
from surgery.explanation.assignment import Assignment
from surgery.explanation.config import model_type
from surgery.module import InspectedModule
from surgery.results import Brief
from surgery.tables.evidence import ConfigEvidence
from surgery.tables.family import Family
from surgery.tables.layout import Layout, shape_of
from surgery.tables.publisher import Library, Publisher
from surgery.tables.rules import Dialect

POOLED = "pooled_output"


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """One tensor of a checkpoint that is written.

    Attributes:
        name: Its name in the checkpoint.
        target: The weight of the encoder whose values it has.
        layout: The axes of the weight and of the stored tensor.
        shape: The shape of the stored tensor.
    """

    name: str
    target: str
    layout: Layout
    shape: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, repr=False)
class Form(Brief):
    """The class of a publisher's library for which a module is written, and its tensors.

    Attributes:
        dialect: The names of the class.
        publisher: How the class's checkpoints are read.
        library: The library that has the class.
        submodel: The sub-model that the class has on the encoder, "" for the encoder alone.
        tensors: All tensors of the checkpoint, by name.
    """

    dialect: Dialect
    publisher: Publisher
    library: Library
    submodel: str
    tensors: tuple[StoredTensor, ...]

    @property
    def class_name(self) -> str:
        """The name of the class, such as "BertModel"."""
        return self.library.classes[self.submodel]

    @property
    def model_type(self) -> str:
        """The architecture as the config names it, such as "bert"."""
        return str(self.publisher.model_types[0])

    @property
    def targets(self) -> frozenset[str]:
        """The weights of the encoder that the checkpoint has."""
        return frozenset(tensor.target for tensor in self.tensors)


def kept_assignments(
    module: InspectedModule, inference: Inference, assignments: Iterable[Assignment], *, drop_pooler: bool
) -> tuple[tuple[Assignment, ...], tuple[Assignment, ...]]:
    """The assignments that a checkpoint keeps, and those of a pooler that it shall not have.

    Raises UsageError where a pooler shall be dropped and there is none that can be left out.
    """
    scope = pooler_scope(inference.family)
    assignments = tuple(assignments)
    dropped = tuple(a for a in assignments if drop_pooler and scope is not None and a.target.startswith(scope))
    if drop_pooler and not dropped:
        raise UsageError(f"{argument('drop_pooler', True)}: {module.name} has no pooler that can be left out")
    return tuple(a for a in assignments if a not in dropped), dropped


def choose_form(module: InspectedModule, inference: Inference, assignments: Iterable[Assignment]) -> Form:
    """The class that has a place for every weight; of several that named by the module's own config, else the first.

    Raises:
        UnexplainedError: No class of the library has all weights.
        UsageError: One would have them without the pooler.
    """
    family, submodel = inference.family, "".join(inference.submodels)
    doing = f"writing {module.name} for Hugging Face"
    described = module.config or module.training_config
    named = None if described is None else model_type(described)
    assignments = tuple(assignments)
    tried: list[tuple[str, list[str]]] = []
    unmet = [line for _, publisher, _ in _written(family) for line in unmet_demands(publisher, inference)]
    if unmet:
        raise UnexplainedError(doing, details=tuple(dict.fromkeys(unmet)))
    for dialect, publisher, library in sorted(_written(family), key=lambda row: named not in row[1].model_types):
        if submodel not in library.classes:
            tried.append((next(iter(library.classes.values())), [f"sub-model .{submodel}"]))
            continue
        chosen = {"scope": library.scope if submodel else ""}
        tensors, lacking = [], []
        for assignment in assignments:
            found = list(_stored(dialect, assignment, chosen, inference))
            if len(found) == 1:
                tensors += found
            else:
                lacking.append(f"{assignment.target} {list(assignment.shape)}")
        if not lacking:
            return Form(
                dialect=dialect,
                publisher=publisher,
                library=library,
                submodel=submodel,
                tensors=tuple(sorted(tensors, key=lambda tensor: tensor.name)),
            )
        tried.append((library.classes[submodel], lacking))
    raise _refusal(family, doing, tried)


def unmet_demands(publisher: Publisher, inference: Inference) -> Iterator[str]:
    """The keys of a publisher's config that may not have the module's values, each with the reason."""
    values = inference.architecture.values
    rows = [row for row in publisher.evidence if isinstance(row, ConfigEvidence) and row.field in values]
    keys = {row.key: values[row.field] for row in rows}
    for demand in publisher.demands:
        if demand.key in keys and keys[demand.key] not in demand.allowed:
            yield f"{demand.key} would be {keys[demand.key]!r}: {demand.because}"


def _written(family: Family) -> Iterator[tuple[Dialect, Publisher, Library]]:
    for dialect in family.dialects:
        if dialect.publisher is not None and dialect.publisher.library is not None:
            yield dialect, dialect.publisher, dialect.publisher.library


def _stored(
    dialect: Dialect, assignment: Assignment, chosen: Mapping[str, str], inference: Inference
) -> Iterator[StoredTensor]:
    """The tensors that the rows of a dialect make of a weight: one, if the dialect has a place for it."""
    values, counts = inference.architecture.values, inference.family.counts
    last = {hole: str(values[field] - 1) for hole, field in counts.items()}
    unnumbered = {hole for rule in dialect.rules for hole in rule.last}
    for rule in dialect.rules:
        holes = rule.match_target(assignment.target)
        if holes is None or rule.layout is None:
            continue
        if any((holes[hole] == last[hole]) != (hole in rule.last) for hole in unnumbered & holes.keys()):
            continue
        if shape_of(rule.layout.right, inference.sizes) != assignment.shape:
            continue  # the class makes this layer of another width
        layout = rule.layout.inverse()
        yield StoredTensor(
            name=rule.name_of(holes, chosen),
            target=assignment.target,
            layout=layout,
            shape=shape_of(layout.right, inference.sizes),
        )


def pooler_scope(family: Family) -> str | None:
    """The scope of the pooler's weights in the encoder; None for a family that always has its pooled output."""
    layer = family.encoder.optional.get(POOLED)
    return None if layer is None else f"{layer.scope}/"


def _refusal(family: Family, doing: str, tried: list[tuple[str, list[str]]]) -> SurgeryError:
    if not tried:
        return UnexplainedError(f"{doing}: {family.no_library or f'transformers has no model like {family.name}'}")
    nearest: dict[str, list[str]] = {}
    for name, lacking in tried:
        nearest[name] = min(nearest.get(name, lacking), lacking, key=len)
    reasons = [f"transformers' {name} has no place for {_some(lacking)}" for name, lacking in nearest.items()]
    scope = pooler_scope(family)
    if scope is not None and any(all(target.startswith(scope) for target in lacking) for _, lacking in tried):
        return UsageError(
            "; ".join([f"{doing}: {reasons[0]}", *reasons[1:]]),
            hint=f"leave out the pooler, and with it the pooled output: {argument('drop_pooler', True)}",
        )
    return UnexplainedError(doing, details=tuple(reasons))


def _some(names: list[str]) -> str:
    return names[0] + (f" (and {len(names) - 1} more)" if len(names) > 1 else "")
