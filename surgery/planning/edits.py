"""Edits applied to a plan: an edit aims at blocks, counts them, and refuses a wrong aim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from surgery.edits import DropBlocks, Edit, InsertLayer, KeepBlocks, PruneHeads, ReplaceBlock
from surgery.errors import UsageError
from surgery.explanation.architecture import Architecture, Inference
from surgery.explanation.assignment import Dropped, map_weights
from surgery.explanation.claims import Claim
from surgery.explanation.convention import Convention, output_paths
from surgery.planning.outputs import BLOCKS, Request, resolve
from surgery.planning.plan import Plan
from surgery.planning.signatures import signature_outputs
from surgery.planning.taps import select_layers


@dataclass(frozen=True)
class Place:
    """A block of the edited encoder: which block of the module it was, and what has been done to it."""

    origin: int
    pruned: tuple[int, ...] = ()
    inserted: tuple[Any, ...] = ()
    replaced: Any = None


@dataclass(frozen=True)
class Edited:
    """An edited encoder, not written yet. `hits` tells each edit and how many places it hit.

    `unchanged` are the leading blocks whose outputs must be what they were, to the bit.
    """

    plan: Plan
    places: tuple[Place, ...]
    hits: tuple[tuple[str, int], ...]

    @property
    def unchanged(self) -> int:
        for number, place in enumerate(self.places):
            if place.origin != number or place.pruned or place.replaced is not None:
                return number
            if place.inserted:
                return number + 1
        return len(self.places)

    @property
    def rebuilt(self) -> bool:
        """True where the result is no longer a plain encoder of its family."""
        return any(place.pruned or place.inserted or place.replaced is not None for place in self.places)


def apply_edits(plan: Plan, edits: Sequence[Edit], request: Request | None = None) -> Edited:
    """The edited encoder's plan. Raises UsageError for an edit that hits nothing, or aims at what there is not."""
    if not edits:
        raise UsageError(
            f"editing {plan.module.name}: no edit is given", hint="such as --keep 0:6 or --prune-heads 0,3@-1"
        )
    places = tuple(Place(number) for number in range(plan.inference.architecture["num_hidden_layers"]))
    hits = []
    for edit in edits:
        places, count = _apply(edit, places, plan.inference)
        hits.append((describe(edit), count))
    inference = _renumbered(plan.inference, places)
    weights = map_weights(plan.module, inference)
    mapped = {assignment.variable.address for assignment in weights.assignments}
    dropped = {drop.variable.address for drop in (*plan.weights.dropped, *weights.dropped)}
    gone = tuple(
        Dropped(variable=assignment.variable, because="its block is dropped by an edit")
        for assignment in plan.weights.assignments
        if assignment.variable.address not in mapped | dropped
    )
    weights = replace(weights, dropped=(*weights.dropped, *gone))
    outputs = resolve(inference, request or Request())
    signatures = signature_outputs(inference, outputs)
    edited = replace(plan, inference=inference, weights=weights, outputs=outputs, signatures=signatures)
    return Edited(edited, places, tuple(hits))


def describe(edit: Edit) -> str:
    """An edit in a line, for people and for the manifest."""
    match edit:
        case KeepBlocks(blocks):
            return f"keep blocks {blocks}"
        case DropBlocks(blocks):
            return f"drop blocks {blocks}"
        case PruneHeads(heads, blocks):
            return f"prune heads {', '.join(map(str, heads))} of blocks {blocks}"
        case InsertLayer(after, layer):
            return f"insert {_layer_name(layer)} after block {after}"
        case ReplaceBlock(block, layer):
            return f"replace block {block} by {_layer_name(layer)}"


def _layer_name(layer: Any) -> str:
    return f"{type(layer).__name__} '{getattr(layer, 'name', '?')}'"


def _apply(edit: Edit, places: tuple[Place, ...], inference: Inference) -> tuple[tuple[Place, ...], int]:
    """The places after an edit, and how many it hit."""
    doing = describe(edit)
    match edit:
        case KeepBlocks(blocks) | DropBlocks(blocks):
            chosen = set(select_layers(blocks, len(places), doing))
            keeps = isinstance(edit, KeepBlocks)
            left = tuple(place for number, place in enumerate(places) if (number in chosen) == keeps)
            if not left or len(left) == len(places):
                raise UsageError(f"{doing}: leaves {len(left)} of {len(places)} blocks, there is nothing to edit")
            return left, len(chosen)
        case PruneHeads(heads, blocks):
            chosen = set(select_layers(blocks, len(places), doing))
            pruned = _heads(heads, inference, doing)
            if inference.family.repeated is not None and len(chosen) != len(places):
                raise UsageError(f"{doing}: all blocks of {inference.family.name} share one attention: prune all alike")
            if any(place.replaced is not None or set(pruned) & set(place.pruned) for place in _at(places, chosen)):
                raise UsageError(f"{doing}: a block among them is replaced, or has lost one of these heads before")
            if any(len(place.pruned) + len(pruned) >= _head_count(inference) for place in _at(places, chosen)):
                raise UsageError(f"{doing}: leaves a block without a head, it has {_head_count(inference)}")
            changed = tuple(
                replace(place, pruned=(*place.pruned, *pruned)) if number in chosen else place
                for number, place in enumerate(places)
            )
            return changed, len(pruned) * len(chosen)
        case InsertLayer(number, layer) | ReplaceBlock(number, layer):
            (block,) = select_layers(str(number), len(places), doing)
            if not callable(layer):
                raise UsageError(f"{doing}: expected a Keras layer, found a {type(layer).__name__}")
            before = places[block]
            if isinstance(edit, InsertLayer):
                after = replace(before, inserted=(*before.inserted, layer))
            else:
                after = replace(before, replaced=layer, pruned=())
            return (*places[:block], after, *places[block + 1 :]), 1


def _at(places: Sequence[Place], numbers: set[int]) -> list[Place]:
    return [places[number] for number in sorted(numbers)]


def _head_count(inference: Inference) -> int:
    count: int = inference.architecture["num_attention_heads"]
    return count


def _heads(heads: Sequence[int], inference: Inference, doing: str) -> tuple[int, ...]:
    if inference.family.encoder.attention is None:
        raise UsageError(f"{doing}: {inference.family.name} mixes its heads, so that none can be taken out alone")
    count = _head_count(inference)
    if not heads or not all(-count <= head < count for head in heads):
        raise UsageError(f"{doing}: there are {count} heads, 0 to {count - 1}")
    return tuple(sorted({head % count for head in heads}))


def _renumbered(inference: Inference, places: Sequence[Place]) -> Inference:
    """The inference of the encoder that has these blocks only, numbered from 0."""
    numbers = {str(place.origin): str(number) for number, place in enumerate(places)}
    claims = [
        replace(claim, holes={**claim.holes, "layer": numbers[claim.holes["layer"]]})
        if "layer" in claim.holes
        else claim
        for claim in inference.claims
        if claim.holes.get("layer", "") in numbers or "layer" not in claim.holes
    ]
    values = {**inference.architecture.values, "num_hidden_layers": len(places)}
    architecture = Architecture(
        family=inference.architecture.family, generation=inference.architecture.generation, values=values
    )
    kept = replace(inference, architecture=architecture, claims=tuple[Claim, ...](claims))
    names = set(output_paths(kept.family, kept.output_names, len(places)))

    def shorter(convention: Convention) -> Convention:
        outputs = {n: path for n, path in convention.outputs.items() if not n.startswith(f"{BLOCKS}_") or n in names}
        return replace(convention, outputs=outputs)

    submodels = {name: shorter(convention) for name, convention in kept.submodels.items()}
    return replace(kept, convention=shorter(kept.convention), submodels=submodels)
