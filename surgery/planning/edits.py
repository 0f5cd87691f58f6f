"""Applies edits to a plan: each edit selects blocks, and the number of places that it hits is counted.

An edit that hits nothing, or blocks and heads that the encoder does not have, is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

from surgery.edits import DropBlocks, Edit, InsertLayer, KeepBlocks, PruneHeads, ReplaceBlock
from surgery.errors import UsageError
from surgery.explanation.architecture import Inference
from surgery.explanation.assignment import Dropped, map_weights
from surgery.explanation.claims import Claim
from surgery.explanation.convention import Convention
from surgery.explanation.outputs import EMBEDDING
from surgery.module import DEFAULT_SIGNATURE
from surgery.planning.edit_words import describe
from surgery.planning.plan import Plan
from surgery.planning.requests import Request
from surgery.planning.signatures import resolve, signature_outputs
from surgery.planning.taps import select_layers
from surgery.results import Brief

KERAS_3 = "keras."
"""What the modules of Keras 3 begin with; those of Keras 2 are in tf_keras."""


@dataclass(frozen=True, kw_only=True)
class EditedBlock:
    """A block of the edited encoder.

    Attributes:
        origin: The number of the block in the module.
        pruned: The numbers, in the module, of the attention heads that were removed.
        inserted: Keras layers that run after the block, in order.
        replaced: The Keras layer that runs instead of the block; None if the block itself runs.
    """

    origin: int
    pruned: tuple[int, ...] = ()
    inserted: tuple[Any, ...] = ()
    replaced: Any = None


@dataclass(frozen=True, kw_only=True, repr=False)
class EditedPlan(Brief):
    """An edited encoder, not written yet.

    Attributes:
        plan: The plan of the edited encoder.
        blocks: Its blocks, in order.
        hits: Each edit in words, with the number of blocks or heads that it hit.
    """

    plan: Plan
    blocks: tuple[EditedBlock, ...]
    hits: tuple[tuple[str, int], ...]

    @property
    def unchanged(self) -> int:
        """The number of blocks, counted from the first, whose output must be bit-equal to the unedited encoder's."""
        for number, block in enumerate(self.blocks):
            if block.origin != number or block.pruned or block.replaced is not None:
                return number
            if block.inserted:
                return number + 1
        return len(self.blocks)

    @property
    def unchanged_outputs(self) -> tuple[str, ...]:
        """The outputs of `serving_default` before the first effect of an edit."""
        served = self.plan.outputs.signatures[DEFAULT_SIGNATURE].outputs
        before = (EMBEDDING, *self.plan.inference.outputs.entries_after(self.unchanged))
        return tuple(name for name in before if name in served)

    @property
    def changed_outputs(self) -> tuple[str, ...]:
        """All other outputs, of every signature."""
        outputs = dict.fromkeys(name for names in self.plan.signatures.values() for name in names)
        return tuple(name for name in outputs if name not in self.unchanged_outputs)

    @property
    def has_unknown_layers(self) -> bool:
        """Whether a layer was inserted or put in a block's place: nothing but the caller's own code describes it."""
        return any(block.inserted or block.replaced is not None for block in self.blocks)

    @property
    def rebuilt(self) -> bool:
        """Whether the edited encoder is no longer a plain encoder of its family."""
        return any(block.pruned or block.inserted or block.replaced is not None for block in self.blocks)


def apply_edits(plan: Plan, edits: Sequence[Edit], request: Request | None = None) -> EditedPlan:
    """The plan of the edited encoder.

    Raises UsageError for an edit that hits nothing, for a block or head that the encoder does not have, and for what is
    no edit.
    """
    if not edits:
        raise UsageError(
            f"editing {plan.module.name}: no edit is given",
            hint="such as KeepBlocks('0:6') or PruneHeads((0, 3), '-1')",
        )
    blocks = tuple(EditedBlock(origin=number) for number in range(plan.inference.architecture.blocks))
    hits = []
    for edit in edits:
        _check_form(edit)
        blocks, count = _apply(edit, blocks, plan.inference)
        hits.append((describe(edit), count))
    inference = _renumbered(plan.inference, blocks)
    outputs = resolve(inference, request or Request())
    weights = map_weights(plan.module, inference, outputs.head)
    mapped = {assignment.variable.address for assignment in weights.assignments}
    dropped = {drop.variable.address for drop in (*plan.weights.dropped, *weights.dropped)}
    gone = tuple(
        Dropped(variable=assignment.variable, because="its block is dropped by an edit")
        for assignment in plan.weights.assignments
        if assignment.variable.address not in mapped | dropped
    )
    weights = replace(weights, dropped=(*weights.dropped, *gone))
    signatures = signature_outputs(inference, outputs)
    edited = replace(plan, inference=inference, weights=weights, outputs=outputs, signatures=signatures)
    return EditedPlan(plan=edited, blocks=blocks, hits=tuple(hits))


def _check_form(edit: Any) -> None:
    """Raises UsageError for what is no edit, and for an edit whose blocks or heads are of another type."""
    given: Any
    match edit:
        case KeepBlocks(blocks) | DropBlocks(blocks):
            given, fits, expected = blocks, isinstance(blocks, str), 'blocks as a text, such as "0:6"'
        case PruneHeads(heads, blocks):
            listed = isinstance(heads, Collection) and not isinstance(heads, str | bytes)
            fits = listed and all(map(_is_integer, heads)) and isinstance(blocks, str)
            given, expected = (
                (heads, blocks),
                'the numbers of heads, such as (0, 3), and blocks as a text, such as "-1"',
            )
        case InsertLayer(number, _) | ReplaceBlock(number, _):
            given, fits, expected = number, _is_integer(number), "the number of a block"
        case _:
            given, fits, expected = edit, False, "one of the edits in surgery.edits, such as KeepBlocks('0:6')"
    if not fits:
        raise UsageError(f"{type(edit).__name__}: expected {expected}, found {given!r}")


def _is_integer(number: Any) -> bool:
    return isinstance(number, Integral) and not isinstance(number, bool)


def _apply(edit: Edit, blocks: tuple[EditedBlock, ...], inference: Inference) -> tuple[tuple[EditedBlock, ...], int]:
    """The blocks after an edit, and the number of blocks or heads that it hit."""
    doing = describe(edit)
    match edit:
        case KeepBlocks(layers) | DropBlocks(layers):
            chosen = set(select_layers(layers, len(blocks), doing))
            keeps = isinstance(edit, KeepBlocks)
            left = tuple(block for number, block in enumerate(blocks) if (number in chosen) == keeps)
            if not left or len(left) == len(blocks):
                raise UsageError(f"{doing}: leaves {len(left)} of {len(blocks)} blocks, there is nothing to edit")
            return left, len(chosen)
        case PruneHeads(heads, layers):
            chosen = set(select_layers(layers, len(blocks), doing))
            pruned = _heads(heads, inference, doing)
            aimed = [blocks[number] for number in sorted(chosen)]
            if inference.family.repeated is not None and len(chosen) != len(blocks):
                raise UsageError(f"{doing}: all blocks of {inference.family.name} share one attention: prune all alike")
            if any(block.replaced is not None or set(pruned) & set(block.pruned) for block in aimed):
                raise UsageError(f"{doing}: a block among them is replaced, or has lost one of these heads before")
            if any(len(block.pruned) + len(pruned) >= _head_count(inference) for block in aimed):
                raise UsageError(f"{doing}: leaves a block without a head, it has {_head_count(inference)}")
            changed = tuple(
                replace(block, pruned=(*block.pruned, *pruned)) if number in chosen else block
                for number, block in enumerate(blocks)
            )
            return changed, len(pruned) * len(chosen)
        case InsertLayer(number, layer) | ReplaceBlock(number, layer):
            (index,) = select_layers(str(number), len(blocks), doing)
            _check_layer(layer, doing)
            before = blocks[index]
            if isinstance(edit, InsertLayer):
                after = replace(before, inserted=(*before.inserted, layer))
            else:
                after = replace(before, replaced=layer, pruned=())
            return (*blocks[:index], after, *blocks[index + 1 :]), 1


def _check_layer(layer: Any, doing: str) -> None:
    """Refuses what cannot be run between blocks: no layer, and a layer of Keras 3, which neither has the variables of
    tf_keras nor follows its `training`."""
    if not callable(layer):
        raise UsageError(f"{doing}: expected a layer of tf_keras, found a {type(layer).__name__}")
    if any(base.__module__.startswith(KERAS_3) for base in type(layer).__mro__):
        raise UsageError(
            f"{doing}: expected a layer of tf_keras, which is Keras 2, found one of Keras 3",
            hint="make it with `import tf_keras`, as in tf_keras.layers.Dense(768). `keras`, and `tf.keras` in most "
            "programs, is Keras 3",
        )


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


def _renumbered(inference: Inference, blocks: Sequence[EditedBlock]) -> Inference:
    """The inference, reduced to these blocks, which are numbered anew from 0."""
    numbers = {str(block.origin): str(number) for number, block in enumerate(blocks)}
    claims = [
        replace(claim, holes={**claim.holes, "layer": numbers[claim.holes["layer"]]})
        if "layer" in claim.holes
        else claim
        for claim in inference.claims
        if claim.holes.get("layer", "") in numbers or "layer" not in claim.holes
    ]
    architecture = inference.architecture.with_blocks(len(blocks))
    kept = replace(inference, architecture=architecture, claims=tuple[Claim, ...](claims))
    gone = inference.outputs.paths.keys() - kept.outputs.paths.keys()

    def shorter(convention: Convention) -> Convention:
        outputs = {name: path for name, path in convention.outputs.items() if name not in gone}
        return replace(convention, outputs=outputs)

    submodels = {name: shorter(convention) for name, convention in kept.submodels.items()}
    return replace(kept, convention=shorter(kept.convention), submodels=submodels)
