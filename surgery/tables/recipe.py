"""How a Model Garden encoder is put together: its class, its constructor arguments, its layers. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Activation:
    """A constructor argument that is an activation function.

    Attributes:
        field: The architecture field that names the activation.
    """

    field: str


@dataclass(frozen=True, kw_only=True)
class Setting:
    """An attribute of a layer that gets a field's value after the build, where the constructor has no argument for it.

    The exported graph is traced later, so that the setting takes effect in it.

    Attributes:
        layer: Path of the layer from the encoder, such as `_transformer_layers[]._output_dropout`: attributes, where
            `[]` means each of a list. `layer:NAME` is a functional model's layer of that name, `class:NAME` each of its
            layers of that class.
        attribute: Name of the layer's attribute, such as "epsilon".
        field: The architecture field that is the value, or names it.
    """

    layer: str
    attribute: str
    field: str | Activation


@dataclass(frozen=True, kw_only=True)
class Constant:
    """A constructor argument that is the same for all encoders of a family.

    Attributes:
        value: The argument.
    """

    value: Any


@dataclass(frozen=True, kw_only=True)
class LayerClass:
    """A constructor argument that is a class.

    Attributes:
        path: Import path of the class, as `module:Name`.
    """

    path: str


@dataclass(frozen=True, kw_only=True)
class BlockLayers:
    """A constructor argument that is a list of layers, one per block.

    Attributes:
        layer: Class of the layers.
        arguments: Constructor arguments of each, of the same kinds as EncoderRecipe.arguments; the `name` may contain
            `{layer}`.
    """

    layer: LayerClass
    arguments: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class SubmodelRecipe:
    """A sub-model on top of the encoder, such as the masked-LM head behind `.mlm`.

    Attributes:
        layer: Its Keras class, as `module:Name`.
        scope: Scope of its variables.
        positions: Name of its extra input, int32 [batch, positions].
        logits: Name of the output that it adds, float32 [batch, positions, vocab].
        activation: The architecture field that names its activation.
        settings: Attributes of its layers that get a field's value.
        also_called: Names that older modules give to the extra input.
    """

    layer: str
    scope: str
    positions: str
    logits: str
    activation: str
    settings: tuple[Setting, ...] = ()
    also_called: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OptionalLayer:
    """A layer of the encoder that a module may lack.

    Attributes:
        layer: Path of the layer, see Setting.
        scope: Scope of its weights.
    """

    layer: str
    scope: str


@dataclass(frozen=True, kw_only=True)
class EncoderRecipe:
    """How to build the Model Garden encoder of a family.

    Attributes:
        network: The encoder's class, as `module:Name`.
        arguments: Constructor arguments: an architecture field by name, one of the kinds above, or a mapping of more
            arguments.
        outputs: Export name by name of the encoder's output; the input of the first block is exported besides them, as
            `embedding_output`.
        blocks: Path of the layers that are its blocks, or of the one layer that is called for each (see Setting).
        block_returns: How many values a block returns; its output is the first.
        attention: Path from a block to a Keras attention whose heads can be taken out; None where the heads are mixed.
        settings: Attributes of its layers that get a field's value.
        submodels: Sub-models on top of it, by the name of their callable.
        renames: Patterns and replacements for variable names that Keras numbers anew in each process.
        optional: Layers that a module may lack, by the export name of the output that then is missing.
        writes: Values that the encoder's code writes into every graph, whatever the module has, by architecture field.
            An output may show them only in rows that are nothing but padding.
    """

    network: str
    arguments: Mapping[str, Any]
    outputs: Mapping[str, str]
    blocks: str
    block_returns: int = 1
    attention: str | None = None
    settings: tuple[Setting, ...] = ()
    submodels: Mapping[str, SubmodelRecipe] = field(default_factory=dict)
    renames: tuple[tuple[str, str], ...] = ()
    optional: Mapping[str, OptionalLayer] = field(default_factory=dict)
    writes: Mapping[str, Any] = field(default_factory=dict)
