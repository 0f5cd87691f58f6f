"""Report of a signature that was run: its outputs, as JSON all of them, for people as numpy prints them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from surgery.formats.npz import of_numpy
from surgery.plain import plain
from surgery.reports.page import Data, lines
from surgery.wording import Lines, shape_text

if TYPE_CHECKING:
    from surgery.jobs.run import Ran


def data(ran: Ran, *, abbreviated: bool = False, written: Path | None = None) -> Data:
    """Inputs and outputs with dtypes and shapes, and the values of the outputs as nested lists.

    NaN and infinities are None; a string that is no UTF-8 is `{"b64": ...}`, as TensorFlow Serving writes it; a complex
    number is a list of two. With `abbreviated`, the values are a text, in which numpy leaves out the middle of large
    arrays; those that were written to a file are left out.
    """
    outputs = [{**_described(key, array)} for key, array in ran.outputs.items()]
    if not abbreviated:
        values: list[Any] = [_nested(array) for array in ran.outputs.values()]
    elif written is not None:
        values = [None] * len(outputs)
    else:
        values = [Lines(_printed(array)) for array in ran.outputs.values()]
    return {
        "name": ran.name,
        "signature": ran.signature,
        "inputs": [_described(key, array) for key, array in ran.inputs.items()],
        "casts": list(ran.casts),
        "outputs": [{**output, "values": given} for output, given in zip(outputs, values, strict=True)],
        "written": None if written is None else str(written),
    }


def text(console: Console, data: Data) -> None:
    """Each output with its dtype and shape, and its values, or the file that has them."""
    lines(console, [f"Signature {data['signature']} of {data['name']}"])
    for output in data["outputs"]:
        lines(console, [f"{output['key']}  {output['dtype']} {shape_text(output['shape'])}"])
        if output["values"] is not None:
            lines(console, [output["values"]])
    if data["written"] is not None:
        lines(console, [f"wrote {data['written']}"])


def _described(key: str, array: np.ndarray) -> Data:
    dtype = "string" if array.dtype == object else array.dtype.name
    return {"key": key, "dtype": dtype, "shape": list(array.shape)}


def _nested(array: np.ndarray) -> Any:
    if array.dtype == object:
        return _texts(array.tolist())
    if array.dtype.kind == "c":
        array = np.stack([array.real, array.imag], axis=-1)
    return plain(of_numpy(array).tolist())


def _texts(value: Any) -> Any:
    if isinstance(value, list):
        return [_texts(item) for item in value]
    try:
        return value.decode()
    except UnicodeDecodeError:
        from base64 import b64encode

        return {"b64": b64encode(value).decode()}


def _printed(array: np.ndarray) -> str:
    if array.dtype != object:
        return np.array2string(of_numpy(array), separator=" ")
    texts = np.empty(array.shape, object)
    for index, value in np.ndenumerate(array):
        texts[index] = value.decode("utf-8", "backslashreplace")
    return np.array2string(texts, separator=" ")
