"""The signatures of a SavedModel that clients of the server can ask for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from surgery.arguments import argument
from surgery.errors import ModuleError, UsageError
from surgery.module import SERVE, InspectedModule, SignatureInfo


def chosen_signatures(module: InspectedModule, names: Sequence[str]) -> tuple[SignatureInfo, ...]:
    """The signatures with these names, or all. Raises ModuleError without a graph to serve, UsageError for a name."""
    try:
        graph = module.meta_graph(SERVE)
    except KeyError:
        tags = ", ".join("{" + ", ".join(tags) + "}" for tags in module.tag_sets) or "none"
        raise ModuleError(
            f"opening the export {module.folder}: TensorFlow Serving loads the graph with the tags {{serve}}; it has "
            f"{tags}",
            hint="surgery convert writes one that can be served",
        ) from None
    offered = _public(graph.signatures)
    unknown = [name for name in names if name not in offered]
    if unknown or not offered:
        raise UsageError(
            f"{argument('signatures', ', '.join(unknown))}: {module.folder} has no such signature"
            if unknown
            else f"opening the export {module.folder}: it has no signature, so there is nothing to serve",
            hint="it has " + (", ".join(offered) or "none"),
        )
    return tuple(offered[name] for name in dict.fromkeys(names)) if names else tuple(offered.values())


def offered_signatures(module: InspectedModule) -> dict[str, SignatureInfo]:
    """The public signatures that the server finds in a SavedModel; none where it finds no graph."""
    try:
        return _public(module.meta_graph(SERVE).signatures)
    except KeyError:
        return {}


def _public(signatures: Iterable[SignatureInfo]) -> dict[str, SignatureInfo]:
    """The signatures that clients can ask for, by name."""
    return {s.name: s for s in signatures if not s.name.startswith("__")}
