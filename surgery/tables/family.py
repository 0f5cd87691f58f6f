"""What a family's table consists of: weight rows, evidence rows, and how its Model Garden encoder is put together.

All of it is data. The TensorFlow side reads `EncoderRecipe` and never asks which family it builds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from surgery.graphs.flat import Tensor
from surgery.tables.readers import GraphEvidence
from surgery.tables.rules import Dialect


@dataclass(frozen=True)
class Field:
    """A hyperparameter: what it means, and what values it may have, by kind.

    "size" is a whole number from 1, "rate" a fraction from 0 below 1, "epsilon" a small positive number, "flag" true or
    false, "activation" a name, "number" any number.
    """

    meaning: str
    kind: str


@dataclass(frozen=True)
class Setting:
    """An attribute of a layer that takes a field's value where the constructor has no argument for it.

    `layer` is a path from the encoder, `_transformer_layers[]._output_dropout`: attributes, where `[]` means each of a
    list; `layer:NAME` is a functional model's layer of that name, `class:NAME` each of its layers of that class.
    Settings are made after the build; the graph that is exported is traced later.
    """

    layer: str
    attribute: str
    field: str


@dataclass(frozen=True)
class Constant:
    """A constructor argument that is the same for all encoders of a family."""

    value: Any


@dataclass(frozen=True)
class Activation:
    """A constructor argument that is the activation which a field names."""

    field: str


@dataclass(frozen=True)
class LayerClass:
    """A constructor argument that is a class, as `module:Name`."""

    place: str


@dataclass(frozen=True)
class BlockLayers:
    """A constructor argument that is a list with one layer a block, whose name may contain `{layer}`."""

    layer: LayerClass
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class HeadRecipe:
    """A sub-model on top of the encoder, such as the masked-LM head behind `.mlm`.

    `layer` is its class; `positions` the extra input (`also_called` by older modules), `logits` the output it adds. Its
    variables are named below `scope`.
    """

    layer: str
    scope: str
    positions: str
    logits: str
    activation: str
    settings: tuple[Setting, ...] = ()
    also_called: tuple[str, ...] = ()


@dataclass(frozen=True)
class OptionalLayer:
    """A layer of the encoder that a module may lack: its path (see Setting), and the scope of its weights."""

    layer: str
    scope: str


@dataclass(frozen=True)
class EncoderRecipe:
    """The Model Garden encoder: its class, and where each constructor argument comes from.

    `arguments` are architecture fields by name, or one of the kinds above, or a mapping of more arguments. `outputs`
    maps the encoder's outputs to the names under which they are exported; `blocks` is the path of the layers that are
    its blocks, or of the one that is called for each; what enters the first is exported as `embedding_output`. A block
    returns its output, or `block_returns` values of which it is the first. `attention` is the path from a block to a
    Keras attention whose heads can be taken out, None where they are mixed. `optional` are layers that a module may
    lack, by the export name of the output that then is not there. `renames` are patterns and replacements for variable
    names that Keras numbers anew in each process.
    """

    network: str
    arguments: Mapping[str, Any]
    outputs: Mapping[str, str]
    blocks: str
    block_returns: int = 1
    attention: str | None = None
    settings: tuple[Setting, ...] = ()
    heads: Mapping[str, HeadRecipe] = field(default_factory=dict)
    renames: tuple[tuple[str, str], ...] = ()
    optional: Mapping[str, OptionalLayer] = field(default_factory=dict)


@dataclass(frozen=True)
class Tap:
    """A sublayer whose tensor can be an output: where it is in the rebuilt encoder, and where in a module's own graph.

    `layer` is a path from a block (see Setting), and the tensor its call's first input or its output (`side`). `axes`
    are its axes, "batch", "seq" or axes of the weights. `source` finds it in a graph by the weights `anchors`.
    `counted` names a numbered hole, such as "ffn", of which there is one tap each; `when` are fields and values of the
    encoders that have it.
    """

    name: str
    axes: str
    meaning: str
    layer: str
    side: str
    source: Callable[..., Tensor | None]
    anchors: tuple[str, ...]
    when: tuple[tuple[str, Any], ...] = ()
    counted: str | None = None


@dataclass(frozen=True)
class InputAnchor:
    """An encoder input, known by the embedding table that its ids look up; None for the one that looks up nothing."""

    name: str
    table: str | None


@dataclass(frozen=True)
class BlockInput:
    """The weights of a block from which its input is found in any graph: its first kernel, and the norm that may stand
    before it in a pre-norm block."""

    kernel: str
    norm_gamma: str | None = None
    norm_beta: str | None = None


@dataclass(frozen=True)
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
