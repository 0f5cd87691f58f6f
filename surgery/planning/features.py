"""Features resolved for an encoder: which layers a feature mixes, with which weights, and how it pools the tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from surgery.arguments import argument
from surgery.errors import UsageError
from surgery.explanation.outputs import EMBEDDING, EncoderOutputs, entry_name
from surgery.planning.requests import EMBEDDING_LAYER, FEATURE_FORM, MIXES, POOLINGS, Feature, layers_text
from surgery.planning.taps import blocks_of

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
"""The form of the name of a feature or of a signature."""


READY_MADE = {"hidden_states": Feature("hidden_states", mix="none", layers=f"{EMBEDDING_LAYER},:")}
"""Signatures that only have to be named. `hidden_states` has the outputs of Hugging Face's tuple of that name, numbered
as it is: `hidden_states_0` is what enters the first block, `hidden_states_1` what the first block returns."""


@dataclass(frozen=True, kw_only=True)
class ResolvedFeature:
    """A feature of one encoder, see `requests.Feature`.

    Attributes:
        name: The name of its signature.
        states: The encoder's outputs that it mixes, one per layer, in the order of its weights. One may be there twice.
        outputs: The names of its outputs: one, or one per layer for the mix "none".
        mix: One of MIXES, or "weights".
        weights: One number per layer for the mix "weights", else none.
        pooling: One of POOLINGS.
        depth: The number of blocks that have to run for it.
    """

    name: str
    states: tuple[str, ...]
    outputs: tuple[str, ...]
    mix: str
    weights: tuple[float, ...]
    pooling: str
    depth: int


def resolve_features(
    asked: Sequence[str | Feature], ready_made: Sequence[str], names: EncoderOutputs
) -> dict[str, ResolvedFeature]:
    """The features by name, the ready-made ones first, for an encoder with these outputs.

    Raises UsageError for a feature that cannot be read, a name that is taken, or layers that the encoder does not have.
    """
    found = {name: _ready_made(name, names) for name in ready_made}
    for item in asked:
        option = argument("features", item)
        feature = Feature.read(item) if isinstance(item, str) else item
        if not isinstance(feature, Feature):
            raise UsageError(f"{option}: expected {FEATURE_FORM}, such as vector=mean@-4:/mean")
        if not NAME.fullmatch(str(feature.name)):
            raise UsageError(f"{option}: '{feature.name}' is no name for an output; use letters, digits and _")
        if feature.name in found:
            raise UsageError(f"{option}: there is a feature {feature.name} already")
        found[feature.name] = _resolved(feature, names, option)
    return found


def _ready_made(name: str, names: EncoderOutputs) -> ResolvedFeature:
    feature = _resolved(READY_MADE[name], names, argument("signatures", name))
    return replace(feature, outputs=tuple(entry_name(name, number) for number in range(len(feature.states))))


def _resolved(feature: Feature, names: EncoderOutputs, option: str) -> ResolvedFeature:
    layers = _layers(layers_text(feature.layers), names.blocks, option)
    weights = _weights(feature.mix, len(layers), option)
    if feature.pooling not in POOLINGS:
        hint = "poolings: " + ", ".join(POOLINGS)
        raise UsageError(f"{option}: there is no pooling '{feature.pooling}'", hint=hint)
    outputs = tuple(entry_name(feature.name, layer) for layer in layers) if feature.mix == "none" else (feature.name,)
    if double := next((output for output in outputs if outputs.count(output) > 1), None):
        raise UsageError(
            f"{option}: a layer is there twice, and both would be the output {double}",
            hint="name each layer once, or mix them: concat, mean, sum and weights count each time",
        )
    return ResolvedFeature(
        name=feature.name,
        states=tuple(EMBEDDING if isinstance(layer, str) else names.block_output(layer) for layer in layers),
        outputs=outputs,
        mix="weights" if weights else str(feature.mix),
        weights=weights,
        pooling=feature.pooling,
        depth=max(1 if isinstance(layer, str) else layer + 1 for layer in layers),
    )


def _layers(text: str, blocks: int, option: str) -> tuple[int | str, ...]:
    """The layers in the order in which they are written, each as often as it is there.

    A layer is the number of a block, or EMBEDDING_LAYER. Weights and a concatenation follow this order.
    """
    found: list[int | str] = []
    for part in text.split(","):
        word = part.strip()
        if word == EMBEDDING_LAYER:
            found.append(word)
        elif word.isidentifier():
            hint = f"layers: {EMBEDDING_LAYER}, or blocks as Python counts: 0,3,-1 or -4: or ::2"
            raise UsageError(f"{option}: there is no layer '{word}'", hint=hint)
        else:
            found += blocks_of(part, blocks, option)
    return tuple(found)


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
