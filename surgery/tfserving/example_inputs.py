"""Example inputs of a signature for people to send: small, valid for any encoder, and with a padded row to look at."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from surgery import limits
from surgery.arguments import argument
from surgery.errors import ModuleError
from surgery.formats.tensors import Shape
from surgery.module import SignatureInfo, TensorInfo

TEXTS = ("the quick brown fox", "hello, world")
WORD_IDS = ("word_ids", "input_ids", "token_ids")
TYPES = ("type", "segment")
Index = tuple[int, ...]


def sizes(shape: Shape | None, batch: int, length: int) -> tuple[int, ...] | None:
    """A shape with its free axes filled: the first is the batch, the others are tokens. None for an unknown rank."""
    if shape is None:
        return None
    return tuple((batch if axis == 0 else length) if size is None else size for axis, size in enumerate(shape))


def example_inputs(
    signature: SignatureInfo, batch: int, length: int, *, whole: bool = False
) -> dict[str, tuple[str, Any]]:
    """Dtype and nested lists of values, by input. The last of several rows ends in padding.

    With `whole` a text has `length` words; else it is a short sentence.
    Raises ModuleError for an input of a kind that cannot be made up, and LimitError for inputs that are too large.
    """
    found, elements = {}, 0
    for tensor in signature.inputs:
        shape = sizes(tensor.shape, batch, length)
        value = _value(tensor, batch, length, whole)
        if value is None or tensor.name is None:
            raise ModuleError(
                f"making example inputs for the signature {signature.name}: {tensor.key} is {tensor.dtype}, "
                "which cannot be made up",
                hint=f"choose other signatures with {argument('signatures', 'NAME')}",
            )
        elements += math.prod(shape or ())
        limits.check("example_elements", elements, f"making example inputs for the signature {signature.name}")
        found[tensor.key] = (tensor.dtype, _nested(() if shape is None else shape, value))
    return found


def _value(tensor: TensorInfo, batch: int, length: int, whole: bool) -> Callable[[Index], Any] | None:
    """The value at each index of an input; None for a dtype without an obvious example."""
    if tensor.dtype == "string":
        return lambda index: "word " * (length - 1) + "word" if whole else TEXTS[(index or (0,))[0] % len(TEXTS)]
    if tensor.dtype == "bool":
        return lambda index: True
    if tensor.dtype.startswith(("float", "bfloat")):
        return lambda index: 0.5
    if not tensor.dtype.startswith(("int", "uint")):
        return None
    key = tensor.key.lower()
    if "mask" in key and "masked" not in key:
        return lambda index: 0 if _is_padding(index, batch, length) else 1
    if any(part in key for part in TYPES):
        return lambda index: 0
    if key.endswith(WORD_IDS):
        return lambda index: 0 if _is_padding(index, batch, length) else _word(index, length)
    return lambda index: (index or (0,))[-1] % 2  # such as positions: valid in rows of two tokens


def _is_padding(index: Index, batch: int, length: int) -> bool:
    return len(index) == 2 and batch > 1 and length > 2 and index == (batch - 1, length - 1)


def _word(index: Index, length: int) -> int:
    """Small ids, which every vocabulary has: one at the start, some words, one at the end."""
    place = (index or (0,))[-1]
    return 2 if place == 0 else 3 if place == length - 1 else 5 + place % 3


def _nested(shape: tuple[int, ...], value: Callable[[Index], Any], index: Index = ()) -> Any:
    if len(index) == len(shape):
        return value(index)
    return [_nested(shape, value, (*index, place)) for place in range(shape[len(index)])]
