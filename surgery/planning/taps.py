"""Taps: sublayers of a block whose tensors an export returns as further outputs, chosen by name and by block.

Each family's table lists its taps. This file says which of them an encoder offers, and at which blocks a caller wants
them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import groupby

from surgery.arguments import argument
from surgery.errors import UsageError
from surgery.explanation.architecture import Inference
from surgery.explanation.outputs import entry_name
from surgery.planning.requests import TAP_FORM, Tap, layers_text
from surgery.tables.family import Tap as TapRow
from surgery.tables.rules import fill
from surgery.wording import did_you_mean

POSITION = "seq"
"""The name of an axis that counts positions."""
BYTES_PER_VALUE = 4
"""Outputs are float32."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A tap that an encoder has.

    Attributes:
        row: The row of the family's table.
        name: The row's name with its numbers filled in, such as "ffn_1_output".
        holes: The text of each hole in the row's names, by hole.
    """

    row: TapRow
    name: str
    holes: tuple[tuple[str, str], ...]

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes of its tensors, such as ("batch", "heads", "seq", "seq")."""
        return tuple(self.row.axes.split())

    def shape(
        self, inference: Inference, batch: int | None = None, length: int | None = None
    ) -> tuple[int | None, ...]:
        """The shape of its tensor for one block, such as [batch, heads, seq, seq]; None for a free axis."""
        free = {"batch": batch, "seq": length}
        return tuple(free[axis] if axis in free else inference.sizes[axis] for axis in self.axes)

    def nbytes(self, inference: Inference, batch: int, length: int) -> int:
        """The size of one block's float32 tensor in bytes."""
        return math.prod(size or 1 for size in self.shape(inference, batch, length)) * BYTES_PER_VALUE


@dataclass(frozen=True, kw_only=True)
class TapAtBlock:
    """A tap at one block, whose tensor is one output of the signature `taps`.

    Attributes:
        offer: The tap, as the encoder offers it.
        block: The number of the block, from 0.
    """

    offer: Offer
    block: int

    @property
    def row(self) -> TapRow:
        """The row of the family's table."""
        return self.offer.row

    @property
    def name(self) -> str:
        """The name of the tap, and of its list in the call: "query"."""
        return self.offer.name

    @property
    def output(self) -> str:
        """The name in a signature: "query_3"."""
        return entry_name(self.name, self.block)

    @property
    def anchors(self) -> tuple[str, ...]:
        """Targets of the weights by which the tensor is found in a module's own graph."""
        holes = {**dict(self.offer.holes), "layer": str(self.block)}
        return tuple(fill(anchor, holes) for anchor in self.row.anchors)

    @property
    def layer_path(self) -> str:
        """The path of the layer below its block, see recipe.Setting."""
        return fill(self.row.layer, dict(self.offer.holes))


def offered(inference: Inference) -> dict[str, Offer]:
    """Every tap of an encoder by name, in the order of computation."""
    values = inference.architecture.values
    # A row may name the last of the sublayers that a block stacks, as `{last_ffn}`.
    counted = {hole: values[field] for hole, field in inference.family.counts.items() if hole != "layer"}
    last = {f"last_{hole}": str(count - 1) for hole, count in counted.items()}
    rows = [row for row in inference.family.taps if all(values.get(field) == value for field, value in row.when)]
    found = {}
    for hole, stacked in groupby(rows, key=lambda row: row.counted):
        together = list(stacked)
        for number in range(counted[hole]) if hole else (None,):
            holes = [*last.items()] if number is None else [*last.items(), (str(hole), str(number))]
            for row in together:
                name = fill(row.name, dict(holes))
                found[name] = Offer(row=row, name=name, holes=tuple(holes))
    return found


def resolve_taps(inference: Inference, asked: Iterable[str | Tap]) -> tuple[TapAtBlock, ...]:
    """The taps that the caller wants, each once, in the order of computation and then of blocks.

    Raises UsageError for a tap or a block that the encoder does not have.
    """
    offers, blocks = offered(inference), inference.architecture.blocks
    chosen: dict[tuple[str, int], TapAtBlock] = {}
    for item in asked:
        option = argument("taps", item)
        tap = Tap.read(item) if isinstance(item, str) else item
        if not isinstance(tap, Tap):
            raise UsageError(f"{option}: expected {TAP_FORM}")
        if tap.name not in offers:
            reason = inference.family.no_taps.get(tap.name)
            suggestion = did_you_mean(get_close_matches(tap.name, offers, n=3))
            raise UsageError(
                f"{option}: {inference.family.name} has no tap {tap.name}" + (f": {reason}" if reason else ""),
                hint=suggestion or "it has " + ", ".join(offers),
            )
        for block in select_layers(layers_text(tap.layers), blocks, option):
            chosen[tap.name, block] = TapAtBlock(offer=offers[tap.name], block=block)
    order = {name: position for position, name in enumerate(offers)}
    return tuple(chosen[key] for key in sorted(chosen, key=lambda key: (order[key[0]], key[1])))


def blocks_by_tap(taps: Iterable[TapAtBlock]) -> dict[str, tuple[int, ...]]:
    """The blocks that each tap's list in the call holds, by the tap's name."""
    found: dict[str, tuple[int, ...]] = {}
    for tap in taps:
        found[tap.name] = (*found.get(tap.name, ()), tap.block)
    return found


def select_layers(text: str, blocks: int, option: str) -> tuple[int, ...]:
    """The numbers of the blocks that a text selects, ascending and each once: numbers `0,3,-1` or slices `-4:`, `::2`.

    `option` is the argument that holds the text; it begins the message of an error.

    Raises:
        UsageError: The text is no such list, a number is out of range, or a slice selects no block.
    """
    return tuple(sorted({block for part in text.split(",") for block in blocks_of(part, blocks, option)}))


def blocks_of(part: str, blocks: int, option: str) -> Sequence[int]:
    """The numbers of the blocks that one part of a list selects, a number or a slice, in the order of the slice.

    Raises UsageError as `select_layers` does.
    """
    numbers = part.strip().split(":")
    if len(numbers) > 3 or not all(re.fullmatch(r"-?[0-9]+|", number) for number in numbers) or not part.strip():
        raise UsageError(f"{option}: cannot read '{part}' as blocks", hint="as Python counts: 0,3,-1 or -4: or ::2")
    if len(numbers) == 1:
        number = int(numbers[0])
        if not -blocks <= number < blocks:
            raise UsageError(f"{option}: there is no block {number}, there are {blocks}: 0 to {blocks - 1}")
        return [number % blocks]
    if numbers[2:] and numbers[2] and int(numbers[2]) == 0:
        raise UsageError(f"{option}: a slice's step cannot be 0")
    chosen = range(blocks)[slice(*(int(number) if number else None for number in numbers))]
    if not chosen:
        raise UsageError(f"{option}: selects none of the {blocks} blocks", hint=f"'{part.strip()}' is an empty slice")
    return chosen
