"""The outputs of an export as one value: taps, features, and signatures. `signatures.resolve` makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from surgery.explanation.heads import DenseHead
from surgery.module import DEFAULT_SIGNATURE
from surgery.planning.features import ResolvedFeature
from surgery.planning.requests import Request
from surgery.planning.taps import TapAtBlock, blocks_by_tap
from surgery.results import Brief

TAPS = "taps"
"""The signature of all taps."""
DEPTH = "depth_"
"""What the signatures of depths begin with; the number of blocks follows."""


@dataclass(frozen=True, kw_only=True)
class Signature:
    """A signature of the export.

    Attributes:
        outputs: Its outputs by name.
        depth: How many blocks it runs; None for all.
        packed: True if it leaves padding out.
    """

    outputs: tuple[str, ...]
    depth: int | None = None
    packed: bool = False


@dataclass(frozen=True, kw_only=True, repr=False)
class ExportOutputs(Brief):
    """The outputs and signatures of an export, except those of the module's sub-models.

    Attributes:
        request: The caller's request.
        taps: The taps at their blocks, in the order of computation.
        features: The features by name.
        signatures: The signatures by name, `serving_default` first.
        head: The head that the signature `classifier` runs; None where none is kept.
    """

    request: Request
    taps: tuple[TapAtBlock, ...] = ()
    features: Mapping[str, ResolvedFeature] = field(default_factory=dict)
    signatures: Mapping[str, Signature] = field(default_factory=dict)
    head: DenseHead | None = None

    @property
    def head_outputs(self) -> frozenset[str]:
        """The outputs of the head, each [batch, labels]."""
        return frozenset() if self.head is None else frozenset(self.head.outputs)

    @property
    def tap_names(self) -> frozenset[str]:
        """The outputs that are taps."""
        return frozenset(tap.output for tap in self.taps)

    @property
    def tapped_blocks(self) -> dict[str, tuple[int, ...]]:
        """The blocks that each tap's list in the call holds, by the tap's name."""
        return blocks_by_tap(self.taps)

    @property
    def extra(self) -> dict[str, Signature]:
        """The signatures beside `serving_default`."""
        return {name: signature for name, signature in self.signatures.items() if name != DEFAULT_SIGNATURE}

    def feature_of(self, output: str) -> ResolvedFeature | None:
        """The feature to which an output belongs, or None."""
        return next((feature for feature in self.features.values() if output in feature.outputs), None)
