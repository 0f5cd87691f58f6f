"""A family's table: weight rows, evidence rows, taps, and how its Model Garden encoder is put together.

All of it is data. The TensorFlow side reads `EncoderRecipe` and never asks which family it builds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from surgery.graphs.flat import Tensor
from surgery.results import Brief
from surgery.tables.evidence import GraphEvidence
from surgery.tables.fields import Field
from surgery.tables.recipe import EncoderRecipe
from surgery.tables.rules import Dialect

POOLED, POOLER = "pooled_output", "pooler_output"
"""The pooled output of a module, and the pooler's own output where the pooled one is made of it, as LaBSE's is."""
POOLED_L2_NORM_EPS = "pooled_l2_norm_eps"
"""The field of a module that normalises its pooled output: the epsilon of tf.math.l2_normalize."""


@dataclass(frozen=True, kw_only=True)
class Tap:
    """A tensor inside a block that can be an output: its place in the rebuilt encoder and in a module's own graph.

    Attributes:
        name: Name of the tap, as `--tap` takes it; holes such as `{ffn}` are filled in.
        axes: Axes of the tensor: "batch", "seq" and axes of the weights, such as "batch heads seq seq".
        meaning: One line for people.
        layer: Path of the Keras layer from its block, see recipe.Setting.
        side: "output" for the layer's output, "input" for the first input of its call.
        finder: Function of a graph and the anchors that finds the tensor in a module's own graph, see sublayers.
        anchors: Targets of the weights that anchor the tensor there.
        when: Fields and values of the encoders that have this tap; all encoders of the family when empty.
        counted: The numbered hole, such as "ffn", for each number of which there is one tap; None for a single tap.
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
    """An encoder input, and how to recognise it in a graph.

    Attributes:
        name: Name of the input, such as "input_word_ids".
        table: Target of the embedding table whose rows its ids select; None for the one input that selects none.
        choice: Axis of the table's rows, if an export shall not ask for the input where the table has one row only; ""
            for an input that every export asks for.
    """

    name: str
    table: str | None
    choice: str = ""


@dataclass(frozen=True, kw_only=True)
class BlockInput:
    """The weights of a block from which the block's input is found in a graph.

    Attributes:
        kernel: Target of the first kernel that the input is multiplied with.
        norm_gamma: Target of gamma of the norm that stands before it in a pre-norm block; None where there is none.
        norm_beta: Target of that norm's beta.
    """

    kernel: str
    norm_gamma: str | None = None
    norm_beta: str | None = None


@dataclass(frozen=True, kw_only=True)
class EndAnchors:
    """The weights from which the ends of a post-norm encoder are found in the graph of a larger model.

    Attributes:
        sequence: Target of beta of the norm that gives a block's output.
        pooled: Target of the bias of the dense layer whose activation is the pooled output; None where there is none.
        attention: Target of a weight whose attention adds the mask, see anchors.Anchors.mask_added; None where the
            encoder is only found if it has a call of its own.
    """

    sequence: str
    pooled: str | None = None
    attention: str | None = None


@dataclass(frozen=True, kw_only=True, repr=False)
class Family(Brief):
    """One family of encoders: everything that is particular to it.

    Attributes:
        name: Name of the family, as reports and manifests show it.
        dialects: The weight tables of its exporters and publishers.
        sizes: Architecture field by axis of the layouts.
        fields: The architecture fields, in the order in which people read them.
        evidence: Rows that say where a graph shows each field.
        inputs: The encoder's inputs; see `asked_for`.
        block_input: The weights from which a block's input is found in a graph.
        encoder: How the Model Garden encoder is built.
        equal_unless: Two axes of equal size, and the target whose presence lets them differ ("" for none).
        allowed: Fields with the only values that the Model Garden encoder can have; other evidence is refused.
        counts: Architecture field by numbered hole of the rows.
        lists: Outputs that are a list with one entry per block, and the number of entries before the first block.
            MobileBERT's `encoder_outputs` begin with the embedding.
        axes: Axes of an output by name, where they are not those of the block outputs, "batch seq hidden".
        ends: The weights from which its ends are found in the graph of a larger model; None where none is read.
        repeated: Scope of the targets that all blocks share; None where every block has its own.
        depth: Where the number of blocks is read when all blocks share their weights.
        right_context: How many positions after its last token influence a text's outputs even when masked (MobileBERT's
            trigram embedding: 1). Batches are padded by that many extra positions; otherwise a text's result would
            depend on its neighbours.
        taps: Tensors inside a block that can be outputs, in the order of computation.
        no_taps: Taps of other families that this one cannot have, with the reason.
        no_library: The reason why no publisher's library has such a model; "" where one has.
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
    allowed: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    counts: Mapping[str, str] = field(default_factory=lambda: {"layer": "num_hidden_layers"})
    lists: Mapping[str, int] = field(default_factory=lambda: {"encoder_outputs": 0})
    axes: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys((POOLED, POOLER), "batch hidden"))
    ends: EndAnchors | None = None
    repeated: str | None = None
    depth: GraphEvidence | None = None
    right_context: int = 0
    taps: tuple[Tap, ...] = ()
    no_taps: Mapping[str, str] = field(default_factory=dict)
    no_library: str = ""

    def asked_for(self, sizes: Mapping[str, int]) -> tuple[InputAnchor, ...]:
        """The inputs that an export of an encoder of these sizes, by axis, asks for."""
        return tuple(anchor for anchor in self.inputs if not anchor.choice or sizes[anchor.choice] > 1)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Outputs of an export of this family, a list as one name."""
        return (*self.encoder.outputs.values(), "embedding_output")

    def output_axes(self, output: str) -> tuple[str, ...]:
        """The axes of an output, or of each entry of a list: ("batch", "seq", "hidden")."""
        return tuple(self.axes.get(output, "batch seq hidden").split())
