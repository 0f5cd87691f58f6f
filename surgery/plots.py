"""What `surgery.load` returns to be looked at: attention maps with their tokens, and how alike the blocks are.

The drawings need matplotlib, the extra `plot`. They are Figure objects that draw themselves in a notebook; pyplot, its
backends and its list of open figures are never touched.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from surgery.arguments import OneOrMore, argument, one_or_more
from surgery.errors import UsageError
from surgery.results import Brief
from surgery.wording import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROW = 4
"""Maps in a row."""
FEW = 40
"""The most tokens whose names stand at the axes of a map."""


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Attention(Brief):
    """The attention maps of a text.

    Attributes:
        tokens: The tokens, with [CLS] and [SEP].
        blocks: The numbers of the blocks that the export has the maps of.
        probabilities: float32 [blocks, heads, seq, seq]: how much each token (axis 2) looks at each other (axis 3).
    """

    tokens: tuple[str, ...]
    blocks: tuple[int, ...]
    probabilities: np.ndarray

    def block(self, number: int) -> np.ndarray:
        """The maps of a block, float32 [heads, seq, seq]. -1 is the last of `blocks`.

        Raises UsageError for a block without maps.
        """
        return np.asarray(self.probabilities[self.blocks.index(self._number(number))])

    def plot(self, *, block: int = -1, heads: OneOrMore[int] | None = None) -> Figure:
        """Draws the maps of a block, one per head, with the tokens at their axes.

        Args:
            block: The number of the block; -1 is the last.
            heads: The heads to draw; None for all.

        Returns:
            A figure of matplotlib: a notebook shows it, and `.savefig("attention.png")` writes it. All maps share one
            scale from 0 to the largest value that is drawn.

        Raises:
            UsageError: There is no such block or head, or matplotlib is not installed.
        """
        number, maps = self._number(block), self.block(block)
        count = len(maps)
        chosen = tuple(range(count)) if heads is None else one_or_more(heads)
        if not chosen or not all(-count <= head < count for head in chosen):
            raise UsageError(f"{argument('heads', list(chosen))}: expected heads from 0 to {count - 1}")
        columns = min(len(chosen), ROW)
        rows = -(-len(chosen) // columns)
        side = 1.6 + 0.16 * min(len(self.tokens), FEW)
        figure = new_figure(columns * side, rows * side)
        most = max(float(maps[head].max()) for head in chosen)
        axes: list[Any] = list(figure.subplots(rows, columns, squeeze=False).flat)
        for place, head in zip(axes, chosen, strict=False):
            image = _heat(place, maps[head], self.tokens, self.tokens, most=most)
            place.set_title(f"block {number}, head {head % count}", fontsize=9)
        for place in axes[len(chosen) :]:
            place.set_axis_off()
        figure.colorbar(image, ax=axes, shrink=0.6)
        return figure

    def _number(self, block: int) -> int:
        if block < 0 and -block <= len(self.blocks):
            return self.blocks[block]
        if block not in self.blocks:
            raise UsageError(
                f"{argument('block', block)}: there are no maps of it",
                hint="there are maps of the blocks " + ", ".join(map(str, self.blocks)),
            )
        return block


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Similarity(Brief):
    """How alike the outputs of the blocks are.

    Attributes:
        names: The outputs that were compared, in the order of computation.
        cosines: float64 [outputs, outputs]: the cosine between a token's vectors in two outputs, mean over all tokens.
        texts: The number of texts.
        tokens: The number of their tokens.
    """

    names: tuple[str, ...]
    cosines: np.ndarray
    texts: int
    tokens: int

    def plot(self) -> Figure:
        """Draws the cosines as a map, output by output.

        Returns:
            A figure of matplotlib, as for `Attention.plot`. Its scale goes from the smallest cosine to 1.

        Raises:
            UsageError: matplotlib is not installed.
        """
        figure = new_figure(*[2.5 + 0.3 * len(self.names)] * 2)
        place = figure.subplots()
        image = _heat(place, self.cosines, self.names, self.names, least=float(self.cosines.min()), most=1)
        place.set_title(f"mean cosine of {self.tokens:,} tokens", fontsize=9)
        figure.colorbar(image, ax=place, shrink=0.6)
        return figure


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches. Raises UsageError if matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            "drawing a plot: matplotlib is not installed", hint="pip install 'hub-surgery[plot]'"
        ) from error

    class Drawing(Figure):
        """A figure that a notebook shows without pyplot."""

        def _repr_png_(self) -> bytes:
            written = io.BytesIO()
            self.savefig(written, format="png")
            return written.getvalue()

    return Drawing(figsize=(width, height), layout="constrained")


def _heat(
    place: Any, values: np.ndarray, rows: Sequence[str], columns: Sequence[str], *, least: float = 0, most: float
) -> Any:
    """Draws a matrix. Names come from strangers: nothing in them is a formula or a control character."""
    image = place.imshow(values, vmin=least, vmax=most, cmap="viridis", interpolation="nearest")
    if len(rows) <= FEW:
        plain = {"fontsize": 7, "parse_math": False}
        place.set_xticks(range(len(columns)), [shown(name) for name in columns], rotation=90, **plain)
        place.set_yticks(range(len(rows)), [shown(name) for name in rows], **plain)
    return image
