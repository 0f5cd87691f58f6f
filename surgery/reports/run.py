"""Report of a signature that was run: its outputs, as JSON all of them, for people as numpy prints them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from surgery.formats.npz import of_numpy
from surgery.plain import plain
from surgery.reports.page import Data, lines
from surgery.wording import Lines, shape_text

if TYPE_CHECKING:
    from surgery.jobs.run import Ran

SCHEMA = 1


def data(ran: Ran, *, abbreviated: bool = False) -> Data:
    """The outputs with dtypes, shapes, and all their values as nested lists.

    NaN and infinities are None, bytes that are no UTF-8 are `{"b64": …}`, as in TensorFlow Serving's REST, and a
    complex number is a list of two. With `abbreviated`, the values are a text, in which numpy leaves out the middle of
    large arrays; those that were written to a file are left out.
    """
    return {
        "name": ran.name,
        "signature": ran.signature,
        "inputs": {key: _described(array) for key, array in ran.inputs.items()},
        "casts": list(ran.casts),
        "outputs": {
            key: {**_described(array), "values": _abbreviated(ran, array) if abbreviated else _nested(array)}
            for key, array in ran.outputs.items()
        },
        "destination": None if ran.destination is None else str(ran.destination),
    }


def text(console: Console, data: Data) -> None:
    """Each output with its dtype, shape and values; or the file to which they were written."""
    lines(console, [f"Signature {data['signature']} of {data['name']}"])
    for key, output in data["outputs"].items():
        lines(console, [f"{key}  {output['dtype']} {shape_text(output['shape'])}"], style="bold")
        if data["destination"] is None:
            values = output["values"]
            lines(console, (values if isinstance(values, str) else _rebuilt(output)).splitlines())
    if data["destination"] is not None:
        lines(console, [f"wrote {data['destination']}"])


def _described(array: np.ndarray) -> Data:
    return {"dtype": "string" if array.dtype == object else array.dtype.name, "shape": list(array.shape)}


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


def _abbreviated(ran: Ran, array: np.ndarray) -> Lines:
    """What numpy prints; nothing for values that were written to a file."""
    if ran.destination is not None:
        return Lines("")
    if array.dtype != object:
        return Lines(of_numpy(array))
    texts = np.empty(array.shape, object)
    for index, value in np.ndenumerate(array):
        texts[index] = value.decode("utf-8", "backslashreplace")
    return Lines(texts)


def _rebuilt(output: Data) -> str:
    """What numpy prints of nested lists. NaN and infinities are None there."""
    if output["dtype"] == "string" or output["dtype"].startswith("complex"):
        return str(np.array(output["values"], object))
    return str(np.array(output["values"], "float64" if "float" in output["dtype"] else None).reshape(output["shape"]))
