"""What an export gives: taps, features and shallower encoders, asked for in words and resolved into signatures.

--tap attention_probs@-1               the last block's attention maps
--feature text=mean@-4:/mean           the mean of the last four blocks' outputs, averaged over the tokens
--depth 4                              a signature that runs the first four blocks
--signature probe=query_0,pooled_output
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from surgery.errors import UsageError
from surgery.explanation.architecture import Inference
from surgery.explanation.convention import EMBEDDING, output_paths
from surgery.planning.taps import Tapped, resolve_taps, select_layers

SERVING = "serving_default"
TAPS = "taps"
BLOCKS = "encoder_outputs"
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
MIXES = ("none", "mean", "sum", "concat")
POOLINGS = ("none", "cls", "mean", "max", "mean_max", "mean_sqrt_len")
FEATURE = "expected NAME=MIX@LAYERS/POOLING, such as text=mean@-4:/mean"


@dataclass(frozen=True)
class Request:
    """What to add to an export, as a person typed it; see `resolve` for the spellings."""

    taps: tuple[str, ...] = ()
    layers: str | None = None
    features: tuple[str, ...] = ()
    depths: tuple[int, ...] = ()
    signatures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Feature:
    """A mix of block outputs, pooled over the tokens of each row; padding counts in no pooling.

    `mix` is one of MIXES, or "weights" with one number a layer; with the mix "none" there is one output a layer.
    Without pooling an output is [batch, seq, width], else [batch, width]; "concat" and "mean_max" widen it.
    """

    name: str
    layers: tuple[int, ...]
    mix: str
    weights: tuple[float, ...]
    pooling: str

    @property
    def outputs(self) -> tuple[str, ...]:
        return tuple(f"{self.name}_{layer}" for layer in self.layers) if self.mix == "none" else (self.name,)


@dataclass(frozen=True)
class Signature:
    """A signature of the export: its outputs by name, and how many blocks it runs (None: all)."""

    outputs: tuple[str, ...]
    depth: int | None = None


@dataclass(frozen=True)
class Outputs:
    """All that an export gives beside its source's sub-models. `signatures` has `serving_default` first."""

    request: Request
    taps: tuple[Tapped, ...] = ()
    features: Mapping[str, Feature] = field(default_factory=dict)
    signatures: Mapping[str, Signature] = field(default_factory=dict)

    @property
    def tap_names(self) -> frozenset[str]:
        return frozenset(tap.output for tap in self.taps)

    @property
    def tapped_blocks(self) -> dict[str, tuple[int, ...]]:
        """The blocks that each tap's list in the call holds, by the tap's name."""
        found: dict[str, tuple[int, ...]] = {}
        for tap in self.taps:
            found[tap.name] = (*found.get(tap.name, ()), tap.layer)
        return found

    @property
    def extra(self) -> dict[str, Signature]:
        """The signatures beside `serving_default`."""
        return {name: signature for name, signature in self.signatures.items() if name != SERVING}

    def feature_of(self, output: str) -> Feature | None:
        return next((feature for feature in self.features.values() if output in feature.outputs), None)


def resolve(inference: Inference, request: Request) -> Outputs:
    """Reads a request against an encoder; everything wrong in it is found before anything slow begins.

    `layers` restricts the block outputs of `serving_default`. Raises UsageError, naming the option.
    """
    blocks = inference.architecture["num_hidden_layers"]
    base = tuple(output_paths(inference.family, inference.output_names, blocks))
    taps = resolve_taps(inference, request.taps)
    features = _features(request.features, blocks)
    offset = inference.family.lists[BLOCKS]
    kept = None if request.layers is None else select_layers(request.layers, blocks, f"--layers {request.layers}")
    shown = {f"{BLOCKS}_{number + offset}" for number in kept} if kept is not None else set(base)
    serving = tuple(name for name in base if name in shown or not re.fullmatch(rf"{BLOCKS}_[0-9]+", name))
    signatures = {SERVING: Signature(serving)}
    if taps:
        signatures[TAPS] = Signature(tuple(tap.output for tap in taps))
    for feature in features.values():
        signatures[feature.name] = Signature(feature.outputs, _depth(max(feature.layers) + 1, blocks))
    for depth in dict.fromkeys(request.depths):
        if isinstance(depth, bool) or not isinstance(depth, int) or not 1 <= depth <= blocks:
            raise UsageError(f"--depth {depth}: the encoder has {blocks} blocks, expected 1 to {blocks}")
        signatures[f"depth_{depth}"] = Signature(_shallow(base, depth, offset), _depth(depth, blocks))
    known = [*base, *(tap.output for tap in taps), *(name for f in features.values() for name in f.outputs)]
    taken = {*signatures, *inference.submodels, TAPS, "__call__"}
    for spelled in request.signatures:
        name, outputs = _composed(spelled, known, taken)
        signatures[name] = Signature(outputs, _needed(outputs, taps, features, offset, blocks))
        taken.add(name)
    _refuse_collisions(features, {*base, *(tap.output for tap in taps)}, {*inference.submodels, SERVING, TAPS})
    return Outputs(request, taps, features, signatures)


def _features(spelled: Sequence[str], blocks: int) -> dict[str, Feature]:
    found: dict[str, Feature] = {}
    for text in spelled:
        option = f"--feature {text}"
        matched = re.fullmatch(r"([^=]*)=([^@/]*)(?:@([^/]+))?(?:/(.+))?", text)
        if matched is None:
            raise UsageError(f"{option}: {FEATURE}")
        name, mix, layers, pooling = matched[1], matched[2], matched[3], matched[4] or "none"
        if not NAME.fullmatch(name):
            raise UsageError(f"{option}: '{name}' is no name for an output; use letters, digits and _")
        if name in found:
            raise UsageError(f"{option}: there is a feature {name} already")
        # In the order in which they are typed: weights and concatenation go by it.
        chosen = select_layers(layers or ":", blocks, option, as_typed=True)
        weights = _weights(mix, len(chosen), option)
        if pooling not in POOLINGS:
            raise UsageError(f"{option}: there is no pooling '{pooling}'", hint="poolings: " + ", ".join(POOLINGS))
        found[name] = Feature(name, chosen, "weights" if weights else mix, weights, pooling)
    return found


def _weights(mix: str, layers: int, option: str) -> tuple[float, ...]:
    """The numbers of a fixed mix, empty for a named one."""
    if mix in MIXES:
        return ()
    try:
        weights = tuple(float(number) for number in mix.split(","))
    except ValueError:
        raise UsageError(
            f"{option}: there is no mix '{mix}'",
            hint=f"mixes: {', '.join(MIXES)}, or a weight for each layer: 0.2,0.3,0.5",
        ) from None
    if len(weights) != layers:
        raise UsageError(f"{option}: expected {layers} weights, one for each layer, found {len(weights)}")
    if not all(abs(weight) < float("inf") for weight in weights):
        raise UsageError(f"{option}: a weight is not finite")
    return weights


def _composed(spelled: str, known: Sequence[str], taken: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    option = f"--signature {spelled}"
    name, equals, listed = spelled.partition("=")
    outputs = tuple(dict.fromkeys(output.strip() for output in listed.split(",") if output.strip()))
    if not equals or not NAME.fullmatch(name) or not outputs:
        raise UsageError(f"{option}: expected NAME=OUTPUT,OUTPUT, with a name of letters, digits and _")
    if name in taken:
        raise UsageError(f"{option}: there is a signature {name} already")
    unknown = [output for output in outputs if output not in known]
    if unknown:
        nearest = difflib.get_close_matches(unknown[0], known, n=3, cutoff=0.5)
        raise UsageError(
            f"{option}: there is no output {unknown[0]}",
            hint=("did you mean " + " or ".join(nearest) + "? " if nearest else "")
            + "taps have to be asked for with --tap, features with --feature",
        )
    return name, outputs


def _refuse_collisions(features: Mapping[str, Feature], outputs: set[str], signatures: set[str]) -> None:
    outputs = set(outputs)
    for feature in features.values():
        if feature.name in signatures or re.fullmatch(r"depth_[0-9]+", feature.name):
            raise UsageError(f"--feature {feature.name}=…: there is a signature {feature.name} already")
        if double := [name for name in feature.outputs if name in outputs]:
            raise UsageError(f"--feature {feature.name}=…: there is an output {double[0]} already")
        outputs.update(feature.outputs)


def _needed(
    outputs: Sequence[str], taps: Sequence[Tapped], features: Mapping[str, Feature], offset: int, blocks: int
) -> int | None:
    """How many blocks have to run for these outputs; None for all."""
    depths = {tap.output: tap.layer + 1 for tap in taps} | {EMBEDDING: 1}
    depths |= {f"{BLOCKS}_{number + offset}": number + 1 for number in range(-offset, blocks)}
    depths |= {name: max(f.layers) + 1 for f in features.values() for name in f.outputs}
    return _depth(max(1, *(depths.get(name, blocks) for name in outputs)), blocks)


def _shallow(base: Sequence[str], depth: int, offset: int) -> tuple[str, ...]:
    """What the first blocks give: what enters them, and their outputs, of which the last is the sequence output."""
    blocks = [f"{BLOCKS}_{number}" for number in range(depth + offset)]
    return ("sequence_output", *(name for name in base if name in blocks), EMBEDDING)


def _depth(depth: int, blocks: int) -> int | None:
    return None if depth == blocks else depth
