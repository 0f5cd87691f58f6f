"""Report of a run of a signature: its outputs."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from rich.console import Console

from surgery.plain import plain
from surgery.reports.page import Data, lines

if TYPE_CHECKING:
    from surgery.jobs.run import SignatureRun

SCHEMA = 1


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


def text(console: Console, data: Data) -> None:
    """Each output with its dtype, shape and values; or the file to which they were written."""
    for cast in data["casts"]:
        lines(console, [f"note: {cast}"])
    for key, output in data["outputs"].items():
        lines(console, [f"{key}  {output['dtype']} {output['shape']}"], style="bold")
        if data["destination"] is None:
            lines(console, _printed(output).splitlines())
    if data["destination"] is not None:
        lines(console, [f"wrote {data['destination']}"])


def _printed(output: Data) -> str:
    """The values as numpy prints them: long arrays in part."""
    import numpy as np

    if output["dtype"] == "string" or output["dtype"].startswith("complex"):
        return str(np.array(output["values"], object))
    # JSON has no NaN and no infinities: they are None.
    kind = "float64" if "float" in output["dtype"] else output["dtype"]
    return str(np.array(output["values"], kind).reshape(output["shape"]))


def _values(value: Any) -> Any:
    if isinstance(value, list):
        return [_values(item) for item in value]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"b64": base64.b64encode(value).decode()}
    return [value.real, value.imag] if isinstance(value, complex) else plain(value)
