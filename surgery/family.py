"""What a family's table consists of: weight rows, evidence rows, and how its Model Garden encoder is put together.

All of it is data. The TensorFlow side reads `EncoderRecipe` and never asks which family it builds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from surgery.evidence import GraphEvidence
from surgery.rules import Dialect


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

    `layer` is the attribute path from the encoder, `_transformer_layers[]._output_dropout`; `[]` means each of a
    list. `before_build` settings are made before the layer creates its own sublayers.
    """

    layer: str
    attribute: str
    field: str
    before_build: bool = False


@dataclass(frozen=True)
class HeadRecipe:
    """A sub-model on top of the encoder, such as the masked-LM head behind `.mlm`.

    `layer` is its class; `positions` the extra input, `logits` the output it adds. Its variables are named below
    `scope`.
    """

    layer: str
    scope: str
    positions: str
    logits: str
    activation: str
    settings: tuple[Setting, ...] = ()


@dataclass(frozen=True)
class EncoderRecipe:
    """The Model Garden encoder: its class, and where each constructor argument comes from.

    `arguments` maps arguments to architecture fields, `constants` to fixed values, `activations` names the arguments
    that take an activation. `outputs` maps the encoder's outputs to the names under which they are exported.
    """

    network: str
    arguments: Mapping[str, str]
    constants: Mapping[str, Any]
    activations: tuple[str, ...]
    outputs: Mapping[str, str]
    settings: tuple[Setting, ...] = ()
    heads: Mapping[str, HeadRecipe] = field(default_factory=dict)


@dataclass(frozen=True)
class InputAnchor:
    """An encoder input, known by the embedding table that its ids look up; None for the one that looks up nothing."""

    name: str
    table: str | None


@dataclass(frozen=True)
class BlockInput:
    """The weights of a block from which its input is found in any graph: its query kernel and its first norm."""

    query_kernel: str
    norm_gamma: str
    norm_beta: str


@dataclass(frozen=True)
class Family:
    """One family of encoders: everything that is particular to it.

    `sizes` maps the axes of its layouts to architecture fields. `equal_unless` are pairs of axes that are one size
    unless a target is present (embedding and hidden size, without a projection). `fixed` are fields whose evidence
    must have this value, because the Model Garden encoder has no other. `fields` are those of the architecture, in the
    order in which people read them.
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
