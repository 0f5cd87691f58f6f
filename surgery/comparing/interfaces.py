"""Signatures and calls of two modules: what each takes and returns, by key and by path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from surgery.module import InspectedModule, MetaGraphInfo, SignatureInfo, TensorInfo, Trace, leaves
from surgery.wording import shape_text


@dataclass(frozen=True, kw_only=True)
class Change:
    """An input, an output or a fact that differs.

    Attributes:
        what: "input", "output", "method name", or "meaning of output" for an output that stands for another result of
            the call.
        key: Its key in the signature, or its path in the call's structure.
        a: What it is in A, such as "float32 [?, 64]"; None where A has none.
        b: What it is in B; None where B has none.
    """

    what: str
    key: str
    a: str | None
    b: str | None


@dataclass(frozen=True, kw_only=True)
class Interface:
    """A signature or a call that differs.

    Attributes:
        name: Its name: "serving_default", or "__call__(training=False)".
        tags: Tags of the signature's meta graph; empty for a call.
        only: "A" or "B" where only that module has it; "" where both have it.
        changes: How it differs.
    """

    name: str
    tags: tuple[str, ...] = ()
    only: str = ""
    changes: tuple[Change, ...] = ()


def compare_signatures(a: InspectedModule, b: InspectedModule) -> tuple[Interface, ...]:
    """The signatures that differ. The graphs for inference are compared whatever their tags are."""
    found: list[Interface] = []
    for left, right in graph_pairs(a, b):
        tags = next(graph.tags for graph in (left, right) if graph is not None)
        one, other = ({s.name: s for s in graph.signatures} if graph else {} for graph in (left, right))
        for name in sorted({*one, *other}):
            if name not in one or name not in other:
                found.append(Interface(name=name, tags=tags, only="A" if name in one else "B"))
            elif changes := (*_signature(one[name], other[name]), *_meanings(a, b, one[name])):
                found.append(Interface(name=name, tags=tags, changes=changes))
    return tuple(found)


def compare_calls(a: InspectedModule, b: InspectedModule) -> tuple[Interface, ...]:
    """The calls that differ, for each value of `training`."""
    one, other = calls_of(a), calls_of(b)
    found = []
    for name in dict.fromkeys([*one, *other]):
        if name not in other or name not in one:
            found.append(Interface(name=name, only="A" if name in one else "B"))
        elif changes := tuple(_changes(_tensors(one[name]), _tensors(other[name]))):
            found.append(Interface(name=name, changes=changes))
    return tuple(found)


def graph_pairs(a: InspectedModule, b: InspectedModule) -> list[tuple[MetaGraphInfo | None, MetaGraphInfo | None]]:
    """Meta graphs of equal tags. The graphs for inference are a pair whatever their tags are."""
    rest = [list(one.meta_graphs) for one in (a, b)]
    pairs: list[tuple[MetaGraphInfo | None, MetaGraphInfo | None]] = []
    inference = [one.inference for one in (a, b)]
    if all(inference):
        pairs.append((inference[0], inference[1]))
        rest = [[g for g in graphs if g is not one] for graphs, one in zip(rest, inference, strict=True)]
    for graph in rest[0]:
        partner = next((other for other in rest[1] if other.tags == graph.tags), None)
        rest[1] = [other for other in rest[1] if other is not partner]
        pairs.append((graph, partner))
    return pairs + [(None, graph) for graph in rest[1]]


def calls_of(module: InspectedModule) -> dict[str, Trace]:
    """The first trace of every callable for each value of `training`, by `name(training=…)`. Keras saves each twice."""
    found: dict[str, Trace] = {}
    for trace in module.traces:
        mode = "" if trace.training is None else f"(training={trace.training})"
        found.setdefault(trace.callable + mode, trace)
    return found


def _signature(a: SignatureInfo, b: SignatureInfo) -> Iterator[Change]:
    if a.method_name != b.method_name:
        yield Change(what="method name", key="", a=a.method_name, b=b.method_name)
    for what in ("inputs", "outputs"):
        sides = ({(what[:-1], tensor.key): _text(tensor) for tensor in getattr(one, what)} for one in (a, b))
        yield from _changes(*sides)


def _meanings(a: InspectedModule, b: InspectedModule, signature: SignatureInfo) -> Iterator[Change]:
    """Outputs of the same key that stand for other results of the call. Several calls may be meant: one suffices."""
    sides = [
        {
            n.key: {f"{n.callable}: {path}" for path in n.paths}
            for n in one.output_names
            if n.signature == signature.name
        }
        for one in (a, b)
    ]
    for key in sides[0]:
        if key in sides[1] and not sides[0][key] & sides[1][key]:
            one, other = (" = ".join(sorted(side[key])) for side in sides)
            yield Change(what="meaning of output", key=key, a=one, b=other)


def _tensors(trace: Trace) -> dict[tuple[str, str], str]:
    """The leaves of a call's structures. A structure without names, such as a list, has numbers as paths."""
    sides: Sequence[tuple[str, object]] = (("input", trace.inputs), ("output", trace.outputs))
    return {(what, path): _text(leaf) for what, structure in sides for path, leaf in leaves(structure)}


def _changes(a: Mapping[tuple[str, str], str], b: Mapping[tuple[str, str], str]) -> Iterator[Change]:
    for what, key in dict.fromkeys([*a, *b]):
        one, other = a.get((what, key)), b.get((what, key))
        if one != other:
            yield Change(what=what, key=key, a=one, b=other)


def _text(leaf: object) -> str:
    return f"{leaf.dtype} {shape_text(leaf.shape)}" if isinstance(leaf, TensorInfo) else str(leaf)
