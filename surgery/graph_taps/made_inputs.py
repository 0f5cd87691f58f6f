"""Makes inputs for a signature of which only dtypes and shapes are known.

Integers are 0 and 1, which every vocabulary has. Strings are words, or empty: an empty string is a serialized
`tf.Example` without features. Free axes at the same position get the same length in all inputs, because they usually
are the rows of a batch and the tokens of a text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from surgery import limits
from surgery.arguments import argument
from surgery.errors import ModuleError
from surgery.formats.tensors import Shape
from surgery.module import SignatureInfo, TensorInfo

SIZES = ((1, 1), (3, 7), (2, 32), (1, 224))
"""Lengths of the first free axis and of the other free axes, in the order of trial. Some graphs need long axes."""
WORDS = ("the quick brown fox", "hello, world", "a", "an unaffable word", "Zürich 42")
NUMBERS = ("int", "uint", "float", "bfloat", "complex")


@dataclass(frozen=True, kw_only=True)
class MadeBatch:
    """One set of inputs for a signature.

    Attributes:
        label: The shape of each input, for messages.
        arrays: The inputs by key.
    """

    label: str
    arrays: Mapping[str, np.ndarray]


def made_batches(signature: SignatureInfo) -> Iterator[MadeBatch]:
    """Batches to try, the likeliest first. They are the same in every run. The graph may refuse each of them.

    Batches with too many elements are left out. Raises ModuleError if the signature has an input that is no plain
    tensor, or whose dtype cannot be made up, and LimitError if even its smallest inputs are too large.
    """
    for tensor in signature.inputs:
        if tensor.name is None or not (tensor.dtype in ("bool", "string") or tensor.dtype.startswith(NUMBERS)):
            raise ModuleError(
                f"making inputs for the signature {signature.name}: {tensor.key} is "
                + (f"{tensor.dtype}, which cannot be made up" if tensor.name else "no plain tensor"),
                hint=f"give inputs for it: {argument('inputs')} takes each by its key"
                if tensor.parts
                else "choose another signature, or save the model again with plain inputs",
            )
    texts = (WORDS, ("",)) if any(tensor.dtype == "string" for tensor in signature.inputs) else (WORDS,)
    for words in texts:
        for number, (rows, length) in enumerate(SIZES):
            random = np.random.default_rng(number)
            shaped = [(tensor, _sizes(tensor.shape, rows, length)) for tensor in signature.inputs]
            elements = sum(math.prod(shape) for _, shape in shaped)
            if (rows, length) == SIZES[0]:
                limits.check("input_elements", elements, f"making inputs for the signature {signature.name}")
            elif elements > limits.limit("input_elements"):
                continue  # five free axes of 224 are more than any memory
            arrays = {tensor.key: _array(tensor, shape, words, random) for tensor, shape in shaped}
            shapes = ", ".join(f"{key} {list(array.shape)}" for key, array in arrays.items())
            yield MadeBatch(label=shapes or "no inputs", arrays=arrays)


def _sizes(shape: Shape | None, rows: int, length: int) -> tuple[int, ...]:
    if shape is None:
        return (rows,)
    free = [rows, *[length] * len(shape)]
    return tuple(free[axis] if size is None else size for axis, size in enumerate(shape))


def _array(
    tensor: TensorInfo, shape: tuple[int, ...], words: tuple[str, ...], random: np.random.Generator
) -> np.ndarray:
    if tensor.dtype == "string":
        chosen = [words[index % len(words)].encode() for index in range(int(np.prod(shape)))]
        return np.array(chosen, object).reshape(shape)
    if tensor.dtype == "bool":
        return random.integers(0, 2, shape).astype(bool)
    if "int" in tensor.dtype:
        return random.integers(0, 2, shape).astype(tensor.dtype)
    # The caller casts these to the signature's dtype, which numpy may not know (bfloat16).
    return random.normal(size=shape).astype("complex64" if tensor.dtype.startswith("complex") else "float32")
