"""The plain tensors that a signature takes and returns, and how a caller names them.

A ragged or sparse tensor is several plain ones. TensorFlow 1 keeps it as one input, whose parts have no keys of their
own: a caller names them `x.indices`, `x.values` and `x.dense_shape`, or `x.values` and `x.row_splits`. In a signature
of TensorFlow 2 the parts are inputs with the keys `x`, `x_1` and `x_2`. Both names are understood there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from surgery.formats.tensors import Shape
from surgery.module import InspectedModule, SignatureInfo, TensorInfo, leaves
from surgery.sources.output_names import name_outputs
from surgery.wording import shape_text

COMPONENTS = {"sparse": "{key}_{part}", "ragged": "{key}_component_{number}"}
"""The names that tf.saved_model.load gives to the parts of a TensorFlow 1 signature's input, by its kind."""


@dataclass(frozen=True, kw_only=True)
class Composite:
    """A ragged or sparse tensor.

    Attributes:
        key: The key of the input; in TensorFlow 2 that of its first part.
        kind: "ragged" or "sparse".
        parts: The number of its parts.
    """

    key: str
    kind: str
    parts: int


@dataclass(frozen=True, kw_only=True)
class Feed:
    """A plain tensor that a signature takes or returns.

    Attributes:
        key: The name under which it is given or returned.
        dtype: Its dtype by TensorFlow's name.
        shape: Its shape, with None for an axis of any size; None for an unknown rank.
        tensor: Its name in the graph; None where the format gives none.
        argument: The name under which the signature that tf.saved_model.load makes takes it.
        alias: Another name for it; "" for none.
        part_of: The ragged or sparse tensor of which it is a part, or None.
    """

    key: str
    dtype: str
    shape: Shape | None
    tensor: str | None
    argument: str
    alias: str = ""
    part_of: Composite | None = None

    @property
    def whole(self) -> str:
        """The key of the input of which it is a part, or its own."""
        return self.part_of.key if self.part_of else self.key

    @property
    def type(self) -> str:
        """Dtype and shape for people, and of which tensor it is a part."""
        part = f", {self.alias}" if self.alias else ""
        whole = f" ({self.part_of.kind} {self.part_of.key}{part})" if self.part_of else ""
        return f"{self.dtype} {shape_text(self.shape)}{whole}"


Named = Mapping[str, tuple[str, Composite]]
"""For each input that is a part of a ragged or sparse argument: its other name, and the argument."""


def taken(signature: SignatureInfo, named: Named) -> tuple[Feed, ...]:
    """The plain tensors that a signature takes, the parts of a ragged or sparse one in TensorFlow's order."""
    found: list[Feed] = []
    for tensor in signature.inputs:
        if tensor.parts:
            found += _parts(tensor)
        elif tensor.key in named:
            alias, whole = named[tensor.key]
            found.append(_plain(tensor, alias=alias, part_of=whole))
        else:
            found.append(_plain(tensor))
    places = {key: place for place, key in enumerate(named)}
    return tuple(sorted(found, key=lambda feed: (feed.whole, places.get(feed.key, 0))))


def returned(signature: SignatureInfo) -> tuple[Feed, ...]:
    """The plain tensors that a signature returns."""
    found = ((_parts(tensor) if tensor.parts else [_plain(tensor)]) for tensor in signature.outputs)
    return tuple(feed for feeds in found for feed in feeds)


def names_of_parts(module: InspectedModule, signature: str) -> dict[str, tuple[str, Composite]]:
    """The other names of a TensorFlow 2 signature's inputs, from the call that it belongs to.

    Only a call with a ragged or sparse argument is looked for: most modules have none.
    """
    if not any(leaf.parts for trace in module.traces for leaf in _tensors(trace.inputs)):
        return {}
    rows = [name for name in name_outputs(module).input_names if name.signature == signature]
    keys = {path: name.key for name in rows for path in name.paths}
    found: dict[str, tuple[str, Composite]] = {}
    for trace in module.traces:
        if trace.callable not in {name.callable for name in rows}:
            continue
        for path, leaf in leaves(trace.inputs):
            if not isinstance(leaf, TensorInfo) or not leaf.parts:
                continue
            own = [keys.get(f"{path}.{part.key}") for part in leaf.parts]
            if first := own[0] if None not in own else None:
                whole = Composite(key=first, kind=leaf.kind, parts=len(own))
                pairs = zip(own, leaf.parts, strict=True)
                found |= {str(key): (f"{first}.{part.key}", whole) for key, part in pairs}
    return found


def _tensors(structure: object) -> Iterator[TensorInfo]:
    return (leaf for _, leaf in leaves(structure) if isinstance(leaf, TensorInfo))


def _plain(tensor: TensorInfo, *, alias: str = "", part_of: Composite | None = None) -> Feed:
    return Feed(
        key=tensor.key,
        dtype=tensor.dtype,
        shape=tensor.shape,
        tensor=tensor.name,
        argument=tensor.key,
        alias=alias,
        part_of=part_of,
    )


def _parts(tensor: TensorInfo) -> list[Feed]:
    whole = Composite(key=tensor.key, kind=tensor.kind, parts=len(tensor.parts))
    return [
        Feed(
            key=f"{tensor.key}.{part.key}",
            dtype=part.dtype,
            shape=part.shape,
            tensor=part.name,
            argument=COMPONENTS[tensor.kind].format(key=tensor.key, part=part.key, number=number),
            part_of=whole,
        )
        for number, part in enumerate(tensor.parts)
    ]
