"""How a Model Garden encoder is put together: its class, the source of each argument, its layers. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Setting:
    """An attribute of a layer that takes a field's value where the constructor has no argument for it.

    `layer` is a path from the encoder, `_transformer_layers[]._output_dropout`: attributes, where `[]` means each of a
    list; `layer:NAME` is a functional model's layer of that name, `class:NAME` each of its layers of that class.
    Settings are made after the build; the graph that is exported is traced later.
    """

    layer: str
    attribute: str
    field: str


@dataclass(frozen=True, kw_only=True)
class Constant:
    """A constructor argument that is the same for all encoders of a family."""

    value: Any


@dataclass(frozen=True, kw_only=True)
class Activation:
    """A constructor argument that is the activation which a field names."""

    field: str


@dataclass(frozen=True, kw_only=True)
class LayerClass:
    """A constructor argument that is a class, as `module:Name`."""

    path: str


@dataclass(frozen=True, kw_only=True)
class BlockLayers:
    """A constructor argument that is a list with one layer a block, whose name may contain `{layer}`."""

    layer: LayerClass
    arguments: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class SubmodelRecipe:
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


@dataclass(frozen=True, kw_only=True)
class OptionalLayer:
    """A layer of the encoder that a module may lack: its path (see Setting), and the scope of its weights."""

    layer: str
    scope: str


@dataclass(frozen=True, kw_only=True)
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
    submodels: Mapping[str, SubmodelRecipe] = field(default_factory=dict)
    renames: tuple[tuple[str, str], ...] = ()
    optional: Mapping[str, OptionalLayer] = field(default_factory=dict)
