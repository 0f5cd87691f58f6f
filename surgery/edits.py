"""Edits of an encoder: they keep or drop blocks, remove heads, put layers of tf_keras after or in place of blocks.

An edit selects blocks as Python counts them, in the encoder that the edits before it have left. The number of places
that it hits is counted. An edit that hits nothing, or a block or head that does not exist, is refused. The manifest
lists the variables that an edit drops, with the reason. The blocks that stay are numbered anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class KeepBlocks:
    """Keeps some blocks and drops the others.

    Attributes:
        blocks: The blocks to keep, such as `"0:6"`, `"-4:"` or `"0,3,-1"`.
    """

    blocks: str


@dataclass(frozen=True)
class DropBlocks:
    """Drops some blocks and keeps the others.

    Attributes:
        blocks: The blocks to drop, such as `"-2:"` or `"1,3"`.
    """

    blocks: str


@dataclass(frozen=True)
class PruneHeads:
    """Removes attention heads, together with the weights that compute them and the weights that read them.

    Attributes:
        heads: The numbers of the heads, from 0; negative ones count from the last.
        blocks: The blocks that lose these heads; by default all.
    """

    heads: Sequence[int]
    blocks: str = ":"


@dataclass(frozen=True)
class InsertLayer:
    """Runs a Keras layer after a block. The block's own output stays as it is.

    Attributes:
        after: The number of the block.
        layer: A layer of tf_keras (Keras 2) that takes and returns float32 [batch, seq, hidden].
    """

    after: int
    layer: Any


@dataclass(frozen=True)
class ReplaceBlock:
    """Runs a Keras layer instead of a block.

    Attributes:
        block: The number of the block.
        layer: A layer of tf_keras (Keras 2) that takes and returns float32 [batch, seq, hidden].
    """

    block: int
    layer: Any


Edit = KeepBlocks | DropBlocks | PruneHeads | InsertLayer | ReplaceBlock
