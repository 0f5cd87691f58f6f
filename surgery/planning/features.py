"""Features resolved for an encoder: which blocks a feature mixes, with which weights, and how it pools the tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from surgery.arguments import argument
from surgery.errors import UsageError
from surgery.explanation.outputs import entry_name
from surgery.planning.requests import FEATURE_FORM, MIXES, POOLINGS, Feature, layers_text
from surgery.planning.taps import select_layers

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
"""The form of the name of a feature or of a signature."""


@dataclass(frozen=True, kw_only=True)
class ResolvedFeature:
    """A feature of one encoder, see `requests.Feature`.

    Attributes:
        name: The name of its signature and output.
        layers: The numbers of its blocks, in the order of its weights.
        mix: One of MIXES, or "weights".
        weights: One number per block for the mix "weights", else none.
        pooling: One of POOLINGS.
    """

    name: str
    layers: tuple[int, ...]
    mix: str
    weights: tuple[float, ...]
    pooling: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of its outputs: one, or one per block for the mix "none"."""
        return tuple(entry_name(self.name, layer) for layer in self.layers) if self.mix == "none" else (self.name,)

    @property
    def depth(self) -> int:
        """The number of blocks that have to run for it."""
        return max(self.layers) + 1


def resolve_features(asked: Sequence[str | Feature], blocks: int) -> dict[str, ResolvedFeature]:
    """The features by name, for an encoder of so many blocks.

    Raises UsageError for a feature that cannot be read, a name that is taken, or blocks that the encoder does not have.
    """
    found: dict[str, ResolvedFeature] = {}
    for item in asked:
        option = argument("features", item)
        feature = Feature.read(item) if isinstance(item, str) else item
        if not isinstance(feature, Feature):
            raise UsageError(f"{option}: expected {FEATURE_FORM}, such as text=mean@-4:/mean")
        if not NAME.fullmatch(str(feature.name)):
            raise UsageError(f"{option}: '{feature.name}' is no name for an output; use letters, digits and _")
        if feature.name in found:
            raise UsageError(f"{option}: there is a feature {feature.name} already")
        # The blocks keep the caller's order, because the weights and a concatenation follow it.
        layers = select_layers(layers_text(feature.layers), blocks, option, as_typed=True)
        weights = _weights(feature.mix, len(layers), option)
        if feature.pooling not in POOLINGS:
            hint = "poolings: " + ", ".join(POOLINGS)
            raise UsageError(f"{option}: there is no pooling '{feature.pooling}'", hint=hint)
        mix = "weights" if weights else str(feature.mix)
        found[feature.name] = ResolvedFeature(
            name=feature.name, layers=layers, mix=mix, weights=weights, pooling=feature.pooling
        )
    return found


def _weights(mix: str | Sequence[float], layers: int, option: str) -> tuple[float, ...]:
    """The weights of a mix that is a list of weights; none for a mix that is a name."""
    if isinstance(mix, str) and mix in MIXES:
        return ()
    try:
        weights = tuple(float(number) for number in (mix.split(",") if isinstance(mix, str) else mix))
    except (TypeError, ValueError):
        raise UsageError(
            f"{option}: there is no mix '{mix}'",
            hint=f"mixes: {', '.join(MIXES)}, or a weight for each layer: 0.2,0.3,0.5",
        ) from None
    if len(weights) != layers:
        raise UsageError(f"{option}: expected {layers} weights, one for each layer, found {len(weights)}")
    if not all(abs(weight) < float("inf") for weight in weights):
        raise UsageError(f"{option}: a weight is not finite")
    return weights
