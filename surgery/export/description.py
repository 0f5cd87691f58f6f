"""What an export says about its call: weights, outputs and blocks, as a layer around the export has to know them.

A layer that is read back from a file has its weights and outputs before it has its graph. So the description is plain
data, and can be kept with the layer's configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from surgery.arguments import argument
from surgery.batching.token_inputs import SPELLINGS
from surgery.errors import ModuleError, UsageError
from surgery.explanation.outputs import BLOCKS, EncoderOutputs
from surgery.export.manifest import MANIFEST, read_manifest
from surgery.export.padding_id import padding_id
from surgery.families import FAMILIES
from surgery.module import InspectedModule, TensorInfo, Trace, VariableInfo
from surgery.plain import plain
from surgery.planning.requests import Layers, Tap, layers_text
from surgery.planning.taps import select_layers
from surgery.sources.files import SAVED_MODEL
from surgery.tables.family import Family
from surgery.tables.rules import fill

ALL_BLOCKS, POOLER, ADDED, REST = "all blocks", "pooler", "added", "rest"
"""Places of weights: in the one block that is run at every depth, in the pooler, in a layer that an edit has added, and
anywhere else."""
POOLED_AXIS = "pooled"
"""The axis of the pooled output in the rows of the families' tables, which only the pooler's weights have."""
Shape = tuple[int | None, ...]


@dataclass(frozen=True, kw_only=True)
class Weight:
    """A variable of an export.

    Attributes:
        name: Its name, such as `transformer/layer_0/self_attention/query/kernel`.
        path: Its path in the export's object graph, such as `variables/7`.
        shape: Its sizes.
        dtype: The name of its dtype.
        trainable: Whether the export's call uses it, and fine-tuning moves it.
        place: The number of its block, or one of ALL_BLOCKS, POOLER, ADDED and REST.
    """

    name: str
    path: str
    shape: tuple[int, ...]
    dtype: str
    trainable: bool
    place: int | str


@dataclass(frozen=True, kw_only=True)
class Description:
    """An export, as a layer around it has to know it.

    Attributes:
        graph: SHA-256 of its `saved_model.pb`.
        weights: Its variables. Those that its call does not use, such as those of `.mlm`, are not trainable.
        outputs: The shapes of the tensors that the call returns, by the key of its dict. A list has one per entry.
        lists: The blocks whose tensors a list holds, by the list's key. MobileBERT's `encoder_outputs` begin with the
            embedding, and are counted from there.
        blocks: The number of its blocks.
        features: The features that it was made with, in their short form.
        pad: The id of padding, see `padding_id`.
        inputs: The names of the tokens that the call takes.
    """

    graph: str
    weights: tuple[Weight, ...]
    outputs: Mapping[str, tuple[Shape, ...]]
    lists: Mapping[str, tuple[int, ...]]
    blocks: int
    features: tuple[str, ...]
    pad: int
    inputs: tuple[str, ...] = tuple(SPELLINGS)

    @property
    def names(self) -> EncoderOutputs:
        """The names of the call's outputs, as features refer to them."""
        before = len(self.outputs[BLOCKS]) - self.blocks
        return EncoderOutputs(names=tuple(self.outputs), lists={BLOCKS: before}, blocks=self.blocks)

    def trained(self, blocks: Layers | None) -> frozenset[str]:
        """The names of the weights that are trained: all that the module trains, or those of `blocks` and the pooler.

        Layers that an edit has added are trained in either case. Raises UsageError for blocks that are not there.
        """
        trainable = [weight for weight in self.weights if weight.trainable]
        if blocks is None:
            return frozenset(weight.name for weight in trainable)
        option = argument("train_blocks", blocks)
        chosen = select_layers(layers_text(blocks), self.blocks, option)
        if len(chosen) < self.blocks and any(weight.place == ALL_BLOCKS for weight in trainable):
            raise UsageError(
                f"{option}: all {self.blocks} blocks share one set of weights, so none of them is trained alone",
                hint=f"{argument('train_blocks', ':')} trains them, and not the embeddings",
            )
        places = {*chosen, ALL_BLOCKS, POOLER, ADDED}
        return frozenset(weight.name for weight in trainable if weight.place in places)

    def to_config(self) -> dict[str, Any]:
        """The description as JSON data, for `from_config`."""
        data: dict[str, Any] = plain(self)
        return data

    @classmethod
    def from_config(cls, data: Mapping[str, Any]) -> Description:
        """The description that `to_config` has written. Raises ModuleError for other data."""
        try:
            data = {"inputs": tuple(SPELLINGS), **data}  # layers that were saved without it took all three
            known = {field.name: data[field.name] for field in fields(cls)}
            weights = tuple(Weight(**{**weight, "shape": tuple(weight["shape"])}) for weight in data["weights"])
            outputs = {name: tuple(map(tuple, shapes)) for name, shapes in data["outputs"].items()}
            lists = {name: tuple(numbers) for name, numbers in data["lists"].items()}
            rebuilt = {"weights": weights, "outputs": outputs, "lists": lists}
            sequences = {name: tuple(data[name]) for name in ("features", "inputs")}
            return cls(**{**known, **rebuilt, **sequences})
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise ModuleError(
                f"reading the configuration of a layer: its description of an export is damaged ({error})",
                hint="make the layer anew, around the export's folder",
            ) from error


def describe(module: InspectedModule) -> Description:
    """Describes an export, which need not have its values of variables.

    Raises ModuleError for a folder that is no export of this tool with a call of tokens, or is damaged.
    """
    manifest, trace = _manifest(module), _call(module)
    try:
        family = next(family for family in FAMILIES if family.name == manifest["architecture"]["family"])
        request = manifest["request"]
        taps, features = [str(tap) for tap in request["taps"]], tuple(map(str, request["features"]))
        outputs = {name: _shapes(output) for name, output in trace.outputs.items()}
        blocks = len(outputs[BLOCKS]) - family.lists[BLOCKS]
        used = frozenset(path for path in trace.captures if path is not None)
        names = [variable.name for variable in module.variables]
        if double := next((name for name in names if names.count(name) > 1), None):
            raise ModuleError(
                f"opening {module.name}: it has two variables {double}, and a layer has one of each name",
                hint="edits that add several layers need a name of its own for each",
            )
        return Description(
            graph=module.fingerprint[SAVED_MODEL],
            weights=tuple(_weight(variable, family, used) for variable in module.variables),
            outputs=outputs,
            lists={
                name: _entries(name, len(outputs[name]), taps, blocks)
                for name, output in trace.outputs.items()
                if isinstance(output, list | tuple)
            },
            blocks=blocks,
            features=features,
            pad=padding_id(module),
            inputs=tuple(trace.inputs),
        )
    except (LookupError, TypeError, AttributeError, StopIteration) as error:
        raise ModuleError(
            f"opening {module.name}: its manifest {MANIFEST} does not fit its graph ({type(error).__name__}: {error})",
            hint="the export is damaged: write it again with surgery convert",
        ) from error


def _manifest(module: InspectedModule) -> Any:
    try:
        return read_manifest(Path(module.folder))
    except (OSError, ValueError) as error:
        raise ModuleError(
            f"opening {module.name}: expected an export, with the file {MANIFEST}, "
            f"{getattr(error, 'strerror', None) or error}",
            hint="write one with surgery convert",
        ) from error


def _call(module: InspectedModule) -> Trace:
    """The inference trace of the call that takes a dict of tokens. A training trace must stand beside it."""
    calls = [trace for trace in module.traces if trace.callable == "__call__" and isinstance(trace.inputs, dict)]
    found = {trace.training: trace for trace in calls}
    if set(found) != {True, False}:
        texts = any(tensor.dtype == "string" for s in module.signatures.values() for tensor in s.inputs)
        raise ModuleError(
            f"opening {module.name}: it has no call of tokens, with and without training, {', '.join(module.callables)}"
            if not texts
            else f"opening {module.name}: it takes texts, and has no call that can be trained",
            hint="give the export beside it, which takes tokens, and make them with what surgery preprocess writes"
            if texts
            else "write an export with surgery convert",
        )
    return found[False]


def _weight(variable: VariableInfo, family: Family, used: frozenset[str]) -> Weight:
    return Weight(
        name=variable.name,
        path=str(variable.path),
        shape=tuple(variable.shape),
        dtype=variable.dtype,
        trainable=variable.trainable and variable.path in used,
        place=_place(variable.name, family) if variable.path in used else REST,
    )


def _place(name: str, family: Family) -> int | str:
    """The place of a weight, by the row of the family's table that claims the encoder's own name for it."""
    if family.repeated is not None and name.startswith(family.repeated):
        return ALL_BLOCKS
    for rule in (rule for dialect in family.dialects for rule in dialect.rules):
        holes = rule.match(name)
        if holes is not None and rule.layout is not None and fill(str(rule.target), holes) == name:
            if POOLED_AXIS in rule.layout.axes:
                return POOLER
            return int(holes["layer"]) if holes.get("layer", "").isdigit() else REST
    return ADDED


def _shapes(output: Any) -> tuple[Shape, ...]:
    """The shapes of an output's tensors: one, or one per entry of a list."""
    tensors = output if isinstance(output, list | tuple) else [output]
    if not all(isinstance(tensor, TensorInfo) and tensor.shape is not None for tensor in tensors):
        raise TypeError("an output of the call is no tensor of a known rank")
    return tuple(tuple(tensor.shape or ()) for tensor in tensors)


def _entries(name: str, count: int, taps: list[str], blocks: int) -> tuple[int, ...]:
    """The numbers in the names of a list's entries: those of the blocks at which a tap was asked for, or all."""
    asked = [tap for tap in map(Tap.read, taps) if tap.name == name]
    numbers = {n for tap in asked for n in select_layers(layers_text(tap.layers), blocks, argument("taps", tap.short))}
    found = tuple(sorted(numbers)) if asked else tuple(range(count))
    if len(found) != count:
        raise LookupError(f"{name} has {count} entries, expected {len(found)}")
    return found
