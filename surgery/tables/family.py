"""What a family's table consists of: weight rows, evidence rows, and how its Model Garden encoder is put together.

All of it is data. The TensorFlow side reads `EncoderRecipe` and never asks which family it builds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from surgery.graphs.flat import Tensor
from surgery.tables.evidence import GraphEvidence
from surgery.tables.fields import Field
from surgery.tables.recipe import EncoderRecipe
from surgery.tables.rules import Dialect


@dataclass(frozen=True, kw_only=True)
class Tap:
    """A sublayer whose tensor can be an output: where it is in the rebuilt encoder, and where in a module's own graph.

    `layer` is a path from a block (see Setting), and the tensor its call's first input or its output (`side`). `axes`
    are its axes, "batch", "seq" or axes of the weights. `finder` finds it in a graph by the weights `anchors`.
    `counted` names a numbered hole, such as "ffn", of which there is one tap each; `when` are fields and values of the
    encoders that have it.
    """

    name: str
    axes: str
    meaning: str
    layer: str
    side: str = "output"
    finder: Callable[..., Tensor | None]
    anchors: tuple[str, ...]
    when: tuple[tuple[str, Any], ...] = ()
    counted: str | None = None


@dataclass(frozen=True, kw_only=True)
class InputAnchor:
    """An encoder input, known by the embedding table that its ids look up; None for the one that looks up nothing."""

    name: str
    table: str | None


@dataclass(frozen=True, kw_only=True)
class BlockInput:
    """The weights of a block from which its input is found in any graph: its first kernel, and the norm that may stand
    before it in a pre-norm block."""

    kernel: str
    norm_gamma: str | None = None
    norm_beta: str | None = None


@dataclass(frozen=True, kw_only=True)
class Family:
    """One family of encoders: everything that is particular to it.

    `sizes` maps the axes of its layouts to architecture fields. `equal_unless` are pairs of axes that are one size
    unless a target is present (embedding and hidden size, without a projection). `fixed` are fields whose evidence
    must have this value, because the Model Garden encoder has no other. `counts` maps the numbered holes of its rows to
    fields. `lists` are outputs with an entry a block, and how many more: MobileBERT's `encoder_outputs` begin with the
    embedding. `repeated` is the scope of targets that every
    block shares, and `depth` then says where the number of blocks is read. `fields` are those of the architecture,
    in the order in which people read them. `right_context` is how many tokens after a text's last one change its
    outputs, masked or not: texts are padded by as many beyond the longest, or each would hang on what it is batched
    with. `taps` are its sublayers in the order of computation, `no_taps` names of
    other families' that it cannot have, with the reason.
    """

    name: str
    dialects: tuple[Dialect, ...]
    sizes: Mapping[str, str]
    fields: Mapping[str, Field]
    evidence: tuple[GraphEvidence, ...]
    inputs: tuple[InputAnchor, ...]
    block_input: BlockInput
    encoder: EncoderRecipe
    equal_unless: tuple[tuple[str, str, str], ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, str] = field(default_factory=lambda: {"layer": "num_hidden_layers"})
    lists: Mapping[str, int] = field(default_factory=lambda: {"encoder_outputs": 0})
    repeated: str | None = None
    depth: GraphEvidence | None = None
    right_context: int = 0
    taps: tuple[Tap, ...] = ()
    no_taps: Mapping[str, str] = field(default_factory=dict)

    @property
    def output_names(self) -> tuple[str, ...]:
        """What an export of this family returns, lists as one name."""
        return (*self.encoder.outputs.values(), "embedding_output")
