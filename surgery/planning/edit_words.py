"""Edits in words, one line each, for reports and the manifest; and the edits that such words say."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from surgery.edits import DropBlocks, Edit, InsertLayer, KeepBlocks, PruneHeads, ReplaceBlock

ALL = ":"
"""The selection of all blocks, as Python slices."""


@dataclass(frozen=True, kw_only=True)
class NamedLayer:
    """A layer that an edit has used, of which only class and name are known. It cannot be run.

    Attributes:
        kind: The name of its class.
        name: Its own name.
    """

    kind: str
    name: str

    def __call__(self, *_: Any, **__: Any) -> Any:
        """Raises TypeError: only `apply_edits` takes such a layer, for the plan of an edited export."""
        raise TypeError(f"{self.kind} '{self.name}' is only known by its name")


def describe(edit: Edit) -> str:
    """An edit in words, on one line."""
    match edit:
        case KeepBlocks(blocks):
            return f"keep {_blocks(blocks)}"
        case DropBlocks(blocks):
            return f"drop {_blocks(blocks)}"
        case PruneHeads(heads, blocks):
            named = "head" if len(heads) == 1 else "heads"
            return f"prune {named} {', '.join(map(str, heads))} of {_blocks(blocks)}"
        case InsertLayer(after, layer):
            return f"insert {_layer_name(layer)} after block {after}"
        case ReplaceBlock(block, layer):
            return f"replace block {block} by {_layer_name(layer)}"


def read_edit(words: str) -> Edit:
    """The edit that `describe` has put in words. A layer comes back as a NamedLayer.

    Earlier versions wrote "blocks :" for all blocks, and "heads" and "blocks" also where there is one. Raises
    ValueError for words that describe no edit.
    """
    numbers, layer = r"-?[0-9]+", r"(?P<kind>\w+) '(?P<name>[^']*)'"
    blocks = r"(?:all blocks|blocks? (?P<blocks>.+))"
    forms: dict[str, Callable[[re.Match[str]], Edit]] = {
        rf"keep {blocks}": lambda found: KeepBlocks(found["blocks"] or ALL),
        rf"drop {blocks}": lambda found: DropBlocks(found["blocks"] or ALL),
        rf"prune heads? (?P<heads>{numbers}(?:, {numbers})*) of {blocks}": lambda found: PruneHeads(
            tuple(map(int, found["heads"].split(", "))), found["blocks"] or ALL
        ),
        rf"insert {layer} after block (?P<block>{numbers})": lambda found: InsertLayer(
            int(found["block"]), NamedLayer(kind=found["kind"], name=found["name"])
        ),
        rf"replace block (?P<block>{numbers}) by {layer}": lambda found: ReplaceBlock(
            int(found["block"]), NamedLayer(kind=found["kind"], name=found["name"])
        ),
    }
    for form, edit in forms.items():
        if found := re.fullmatch(form, words):
            return edit(found)
    raise ValueError(f"{words!r} describes no edit")


def _blocks(selection: str) -> str:
    """The selection of an edit in words: "all blocks", "block -1" or "blocks 0:6"."""
    text = str(selection).strip()
    if text in (ALL, f"{ALL}:"):
        return "all blocks"
    return f"block {text}" if re.fullmatch("-?[0-9]+", text) else f"blocks {text}"


def _layer_name(layer: Any) -> str:
    if isinstance(layer, NamedLayer):
        return f"{layer.kind} '{layer.name}'"
    return f"{type(layer).__name__} '{getattr(layer, 'name', '?')}'"
