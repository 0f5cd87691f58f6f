"""The outputs that a caller asks an export for: taps, features, depths and composed signatures.

Each has a short form, which the command line takes as well:

    attention_probs@-1              Tap("attention_probs", layers="-1")
    vector=mean@-4:/mean            Feature("vector", mix="mean", layers="-4:", pooling="mean")
    4                               a signature `depth_4`, which runs the first four blocks
    probe=query_0,pooled_output     {"probe": ["query_0", "pooled_output"]}
    hidden_states                   a signature that is ready-made: what Hugging Face's models call hidden_states

A request is made without an encoder. `surgery.planning.signatures.resolve` resolves it for one, and refuses outputs
that the encoder does not have. LAYERS are blocks as Python counts them: `0,3,-1`, `-4:`, `::2`. The embedding is no
block, but a layer that a feature can mix: `embedding,0,-1`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace

from surgery.arguments import OneOrMore, one_or_more

MIXES = ("none", "mean", "sum", "concat")
POOLINGS = ("none", "cls", "mean", "max", "mean_max", "mean_sqrt_len")
FUSED, MODEL_GARDEN = "fused", "model_garden"
GRAPHS = (FUSED, MODEL_GARDEN)
"""The forms of a graph for inference: the one that TensorFlow fuses, and the one that Model Garden's layers trace."""
FEATURE_FORM = "NAME=MIX@LAYERS/POOLING"
TAP_FORM = "NAME[@LAYERS]"
EMBEDDING_LAYER = "embedding"
"""What enters the first block, as a layer of a feature."""

Layers = str | int | Sequence[int | str]
"""Blocks: `"-4:"`, one number, or several. The layers of a feature may have "embedding" among them."""


@dataclass(frozen=True)
class Tap:
    """A sublayer of blocks as a further output: `Tap("query", layers="-4:")`, or "query@-4:" for short.

    Attributes:
        name: One of the names that `surgery taps` lists.
        layers: The blocks, by default all.
    """

    name: str
    _: KW_ONLY
    layers: Layers = ":"

    @property
    def short(self) -> str:
        """The short form."""
        return self.name if self.layers == ":" else f"{self.name}@{layers_text(self.layers)}"

    @classmethod
    def read(cls, short: str) -> Tap:
        """The tap of a short form. Whether an encoder has such a tap is not checked."""
        name, at, layers = short.partition("@")
        return cls(name, layers=layers if at else ":")


@dataclass(frozen=True)
class Feature:
    """A mix of layers' outputs, pooled over the tokens of each text; padding counts in no pooling.

    `Feature("vector", mix="mean", layers="-4:", pooling="mean")`, or "vector=mean@-4:/mean" for short. An output is
    float32 [batch, seq, hidden] without pooling, else [batch, hidden]; "concat" and "mean_max" widen the last axis.

    Attributes:
        name: The name of its signature and output.
        mix: "none", "mean", "sum", "concat", or one weight per layer; with "none" each layer is an output of its own,
            such as `vector_3` or `vector_embedding`.
        layers: Blocks and "embedding", in the order of their weights and of a concatenation; a layer counts as often as
            it is there. By default all blocks.
        pooling: "none", "cls", "mean", "max", "mean_max" or "mean_sqrt_len".
    """

    name: str
    _: KW_ONLY
    mix: str | Sequence[float]
    layers: Layers = ":"
    pooling: str = "none"

    @property
    def short(self) -> str:
        """The short form."""
        mix = self.mix if isinstance(self.mix, str) else ",".join(repr(float(weight)) for weight in self.mix)
        layers = "" if self.layers == ":" else f"@{layers_text(self.layers)}"
        return f"{self.name}={mix}{layers}" + ("" if self.pooling == "none" else f"/{self.pooling}")

    @classmethod
    def read(cls, short: str) -> Feature | None:
        """The feature of a short form; None for a text of another form. Whether it can be computed is not checked."""
        matched = re.fullmatch(r"([^=]*)=([^@/]*)(?:@([^/]+))?(?:/(.+))?", short)
        if matched is None:
            return None
        return cls(matched[1], mix=matched[2], layers=matched[3] or ":", pooling=matched[4] or "none")


@dataclass(frozen=True, kw_only=True)
class Request:
    """The outputs that a caller asks an export for.

    Attributes:
        taps: Taps, or their short forms.
        layers: The block outputs that `serving_default` keeps; None for all.
        features: Features, or their short forms.
        depths: Numbers of blocks, each a signature of an encoder that ends there.
        signatures: Composed signatures in their short form, and names of ready-made ones.
        graph: The form of the graphs for inference, one of GRAPHS.
        packed: True if signatures whose outputs show padding leave it out, too.
        keep_head: True for a further signature with the head of the model around the encoder. The head of a checkpoint
            is kept in any case, as its sub-models are.
    """

    taps: tuple[str | Tap, ...] = ()
    layers: str | None = None
    features: tuple[str | Feature, ...] = ()
    depths: tuple[int, ...] = ()
    signatures: tuple[str, ...] = ()
    graph: str = FUSED
    packed: bool = False
    keep_head: bool = False

    @classmethod
    def of(
        cls,
        *,
        taps: OneOrMore[str | Tap] = (),
        layers: Layers | None = None,
        features: OneOrMore[str | Feature] = (),
        depths: OneOrMore[int] = (),
        signatures: OneOrMore[str] | Mapping[str, OneOrMore[str]] = (),
        graph: str = FUSED,
        packed: bool = False,
        keep_head: bool = False,
    ) -> Request:
        """The request of a public function's arguments: one of a kind or several, `signatures` also as a mapping."""
        if isinstance(signatures, Mapping):
            signatures = [f"{name}={','.join(map(str, one_or_more(outputs)))}" for name, outputs in signatures.items()]
        return cls(
            taps=one_or_more(taps),
            layers=None if layers is None else layers_text(layers),
            features=one_or_more(features),
            depths=one_or_more(depths),
            signatures=one_or_more(signatures),
            graph=graph,
            packed=packed,
            keep_head=keep_head,
        )

    @property
    def form(self) -> Request:
        """A request for graphs of the same form, without any further output."""
        return Request(graph=self.graph, packed=self.packed)

    @property
    def short(self) -> Request:
        """The same request in short forms only, as a manifest stores it."""
        taps = tuple(tap.short if isinstance(tap, Tap) else tap for tap in self.taps)
        features = tuple(feature.short if isinstance(feature, Feature) else feature for feature in self.features)
        return replace(self, taps=taps, features=features)


def layers_text(layers: Layers) -> str:
    """Blocks as the command line takes them: `"0,3,-1"` for `[0, 3, -1]`."""
    return layers if isinstance(layers, str) else ",".join(map(str, one_or_more(layers)))
