"""Edits of an encoder: which of its blocks stay, which heads they keep, and what stands between or instead of them.

An edit aims at places, counts them, and refuses a wrong aim. Blocks are counted as Python counts, in the encoder as the
edits before it left it. What an edit leaves away is dropped with the reason; blocks that stay are numbered anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class KeepBlocks:
    """Keeps these blocks, `0:6` or `-4:`, and drops the others."""

    blocks: str


@dataclass(frozen=True)
class DropBlocks:
    """Drops these blocks."""

    blocks: str


@dataclass(frozen=True)
class PruneHeads:
    """Removes attention heads by number from these blocks, and the weights that make and read them."""

    heads: Sequence[int]
    blocks: str = ":"


@dataclass(frozen=True)
class InsertLayer:
    """Puts a Keras layer (tf_keras) behind a block: [batch, seq, hidden] in and out. The block's own output stays."""

    after: int
    layer: Any


@dataclass(frozen=True)
class ReplaceBlock:
    """Puts a Keras layer (tf_keras) in a block's place: [batch, seq, hidden] in and out."""

    block: int
    layer: Any


Edit = KeepBlocks | DropBlocks | PruneHeads | InsertLayer | ReplaceBlock
