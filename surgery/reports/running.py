"""Report of a run of a signature: its outputs."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from rich.console import Console

from surgery.plain import plain
from surgery.reports.page import Data, lines
from surgery.wording import Lines

if TYPE_CHECKING:
    from surgery.jobs.run import SignatureRun


def data(run: SignatureRun) -> Data:
    """The outputs with all their values. Bytes that are no UTF-8 are `{"b64": …}`, as in TensorFlow Serving's REST."""
    return {
        "name": run.name,
        "signature": run.signature,
        "casts": list(run.casts),
        "destination": None if run.destination is None else str(run.destination),
        "outputs": {
            key: {
                "dtype": "string" if array.dtype == object else str(array.dtype),
                "shape": list(array.shape),
                "values": _values(array.tolist()),
            }
            for key, array in run.outputs.items()
        },
    }


def screen(run: SignatureRun) -> Data:
    """The same facts, with the values as numpy prints them: long arrays in part."""
    facts = {key: {"dtype": str(array.dtype), "shape": list(array.shape)} for key, array in run.outputs.items()}
    shown = {key: fact | {"values": Lines(run.outputs[key])} for key, fact in facts.items()}
    destination = None if run.destination is None else str(run.destination)
    return {"casts": list(run.casts), "destination": destination, "outputs": shown}


def text(console: Console, data: Data) -> None:
    """Each output with its dtype, shape and values; or the file to which they were written."""
    for cast in data["casts"]:
        lines(console, [f"note: {cast}"])
    for key, output in data["outputs"].items():
        dtype = "string" if output["dtype"] == "object" else output["dtype"]
        lines(console, [f"{key}  {dtype} {output['shape']}"], style="bold")
        if data["destination"] is None:
            lines(console, output["values"].splitlines())
    if data["destination"] is not None:
        lines(console, [f"wrote {data['destination']}"])


def _values(value: Any) -> Any:
    if isinstance(value, list):
        return [_values(item) for item in value]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"b64": base64.b64encode(value).decode()}
    return [value.real, value.imag] if isinstance(value, complex) else plain(value)
