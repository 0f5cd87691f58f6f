"""The names and layouts of a checkpoint's tensors: the rows of a publisher's dialect, read backwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from surgery.arguments import argument
from surgery.checkpoints.kept import Kept, pooler_scope
from surgery.errors import SurgeryError, UnexplainedError, UsageError
from surgery.explanation.architecture import Inference
from surgery.explanation.heads import DenseHead
from surgery.export.manifest import stated_model_type
from surgery.module import InspectedModule
from surgery.results import Brief
from surgery.tables.evidence import ConfigEvidence
from surgery.tables.family import Family
from surgery.tables.head import BIAS, HEAD
from surgery.tables.layout import Layout, shape_of
from surgery.tables.publisher import Library, LibraryClass, Publisher
from surgery.tables.rules import Dialect


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
        part: The part that the class has on the encoder: a sub-model or "classifier", "" for the encoder alone.
        tensors: All tensors of the checkpoint, by name.
        zeros: Names of tensors of which the module has no variable: the class adds them where the module adds nothing.
    """

    dialect: Dialect
    publisher: Publisher
    library: Library
    part: str
    tensors: tuple[StoredTensor, ...]
    zeros: frozenset[str] = frozenset()

    @property
    def class_name(self) -> str:
        """The name of the class, such as "BertModel"."""
        return self.described.name

    @property
    def described(self) -> LibraryClass:
        """The class."""
        return self.library.classes[self.part]

    @property
    def model_type(self) -> str:
        """The architecture as the config names it, such as "bert"."""
        return str(self.publisher.model_types[0])

    @property
    def targets(self) -> frozenset[str]:
        """The weights of the encoder that the checkpoint has."""
        return frozenset(tensor.target for tensor in self.tensors)


def choose_form(module: InspectedModule, inference: Inference, kept: Kept) -> Form:
    """The class that has a place for every weight; of several that of the model that the module names, else the first.

    Raises:
        UnexplainedError: No class of the library has all weights.
        UsageError: One would have them without the pooler, or without the head.
    """
    family, doing = inference.family, f"writing {module.name} for Hugging Face"
    named = stated_model_type(module)
    parts = [*inference.submodels, *([] if kept.head is None else [HEAD])]
    if len(parts) > 1:
        raise UsageError(
            f"{doing}: it has both .{parts[0]} and a classification head, and transformers has no class with both",
            hint=_WITHOUT_HEAD,
        )
    part = "".join(parts)
    sizes = inference.sizes if kept.head is None else {**inference.sizes, **kept.head.sizes}
    shapes = {assignment.target: assignment.shape for assignment in kept.assignments}
    added = {BIAS: (kept.head.labels,)} if kept.head is not None and kept.head.bias is None else {}
    tried: list[tuple[str, list[str]]] = []
    other_head = False
    unmet = [line for _, publisher, _ in _written(family) for line in unmet_demands(publisher, inference)]
    if unmet:
        raise UnexplainedError(doing, details=tuple(dict.fromkeys(unmet)))
    for dialect, publisher, library in sorted(_written(family), key=lambda row: named not in row[1].model_types):
        if part not in library.classes:
            tried.append((library.classes[""].name, [f"sub-model .{part}"]))
            continue
        if kept.head is not None and (other := _other_head(kept.head, library, inference.sizes["hidden"])):
            tried.append((library.classes[""].name, [other]))
            other_head = True
            continue
        chosen = {"scope": library.scope if part else ""}
        tensors, lacking = [], []
        for target, shape in {**shapes, **added}.items():
            found = list(_stored(dialect, target, shape, chosen, inference, sizes))
            if len(found) == 1:
                tensors += found
            else:
                lacking.append(f"{target} {list(shape)}")
        if not lacking:
            return Form(
                dialect=dialect,
                publisher=publisher,
                library=library,
                part=part,
                tensors=tuple(sorted(tensors, key=lambda tensor: tensor.name)),
                zeros=frozenset(tensor.name for tensor in tensors if tensor.target in added),
            )
        tried.append((library.classes[part].name, lacking))
    raise _refusal(family, doing, tried, other_head=other_head)


def _other_head(head: DenseHead, library: Library, hidden: int) -> str:
    """What the class for whole texts has no place for in this head, in words; "" where it has one.

    `hidden` is the size of the encoder's states: transformers makes hidden layers of heads as wide as those.
    """
    activation = "" if head.hidden is None else head.hidden.activation
    own = f"{library.classes[HEAD].name} has "
    if activation != library.head.hidden_act:
        has, is_here = (
            f"a layer with {act} on the first token before the labels" if act else "a dense layer on the pooled output"
            for act in (library.head.hidden_act, activation)
        )
        return f"a classification head that is {is_here}: {own}{has}"
    if head.hidden is not None and head.hidden.size != hidden:
        return f"a classification head with a hidden layer of {head.hidden.size}: {own}one of {hidden}"
    return ""


def unmet_demands(publisher: Publisher, inference: Inference) -> Iterator[str]:
    """The keys of a publisher's config that may not have the module's values, each with the reason."""
    values = inference.architecture.values
    rows = [row for row in publisher.evidence if isinstance(row, ConfigEvidence) and row.field in values]
    keys = {row.key: values[row.field] for row in rows}
    for demand in publisher.demands:
        if demand.key in keys and keys[demand.key] not in demand.allowed:
            yield f"{demand.key} would be {keys[demand.key]!r}: {demand.because}"


_WITHOUT_HEAD = f"leave out the head: {argument('drop_head', True)}"


def _written(family: Family) -> Iterator[tuple[Dialect, Publisher, Library]]:
    for dialect in family.dialects:
        publisher = dialect.publisher
        if publisher is not None and publisher.library is not None and publisher.model_types:
            yield dialect, publisher, publisher.library


def _stored(
    dialect: Dialect,
    target: str,
    shape: tuple[int, ...],
    chosen: Mapping[str, str],
    inference: Inference,
    sizes: Mapping[str, int],
) -> Iterator[StoredTensor]:
    """The tensors that the rows of a dialect make of a weight: one, if the dialect has a place for it."""
    values, counts = inference.architecture.values, inference.family.counts
    last = {hole: str(values[field] - 1) for hole, field in counts.items()}
    unnumbered = {hole for rule in dialect.rules for hole in rule.last}
    for rule in dialect.rules:
        holes = rule.match_target(target)
        if holes is None or rule.layout is None:
            continue
        if any((holes[hole] == last[hole]) != (hole in rule.last) for hole in unnumbered & holes.keys()):
            continue
        if shape_of(rule.layout.right, sizes) != shape:
            continue  # the class makes this layer of another width
        layout = rule.layout.inverse()
        yield StoredTensor(
            name=rule.name_of(holes, chosen),
            target=target,
            layout=layout,
            shape=shape_of(layout.right, sizes),
        )


def _refusal(family: Family, doing: str, tried: list[tuple[str, list[str]]], *, other_head: bool) -> SurgeryError:
    """The error of a module that no class can hold. `other_head` says that the head of one computes something else."""
    if not tried:
        return UnexplainedError(f"{doing}: {family.no_library or f'transformers has no model like {family.name}'}")
    nearest: dict[str, list[str]] = {}
    for name, lacking in tried:
        nearest[name] = min(nearest.get(name, lacking), lacking, key=len)
    reasons = [f"transformers' {name} has no place for {_some(lacking)}" for name, lacking in nearest.items()]
    if other_head:
        return UsageError("; ".join([f"{doing}: {reasons[0]}", *reasons[1:]]), hint=_WITHOUT_HEAD)
    scope = pooler_scope(family)
    if scope is not None and any(all(target.startswith(scope) for target in lacking) for _, lacking in tried):
        return UsageError(
            "; ".join([f"{doing}: {reasons[0]}", *reasons[1:]]),
            hint=f"leave out the pooler, and with it the pooled output: {argument('drop_pooler', True)}",
        )
    return UnexplainedError(doing, details=tuple(reasons))


def _some(names: list[str]) -> str:
    return names[0] + (f" (and {len(names) - 1} more)" if len(names) > 1 else "")
