"""Report of mixed precision: errors by output, times by signature, or why this machine cannot tell."""

from __future__ import annotations

import statistics

from rich.console import Console
from rich.text import Text

from surgery.reports.page import Data, table_of, title
from surgery.tfserving.mixed_precision import FLAG, PRECISION, MixedPrecision, SignatureCost
from surgery.wording import number


def data(measured: MixedPrecision | None) -> Data | None:
    """Errors and times by signature; None where nothing was asked for. `unknown` says why nothing was measured."""
    if measured is None:
        return None
    return {
        "precision": PRECISION,
        "processor": measured.processor.name,
        "instructions": list(measured.processor.bfloat16),
        "unknown": measured.unknown or None,
        "signatures": {cost.signature: _cost(cost) for cost in measured.signatures},
    }


def text(console: Console, data: Data, request: str) -> None:
    """A table of errors for each signature, and a sentence on its time. `request` is the size of the requests."""
    title(console, f"Mixed precision, {FLAG}")
    if data["unknown"]:
        console.print(Text(data["unknown"]))
        return
    console.print(
        Text(
            f"measured on {data['processor'] or 'this processor'} ({', '.join(data['instructions'])}) with requests of "
            f"{request} tokens. The largest errors are against float64. This is another function than the module's: no "
            "parity is claimed for it"
        )
    )
    for name, cost in data["signatures"].items():
        title(console, f"signature {name}, in {PRECISION}")
        rows = [
            (row["output"], number(row["rms"]), number(row["float32"]), number(row["bfloat16"]), _factor(row))
            for row in cost["outputs"]
        ]
        table_of(console, ("output", "RMS", "error in float32", f"error in {PRECISION}", "times as large"), rows)
        for output, why in cost["unknown"].items():
            console.print(Text(f"{output}: {why}"))
        console.print(Text(_time(cost)))


def _cost(cost: SignatureCost) -> Data:
    return {
        "outputs": [
            {"output": e.output, "rms": e.rms, "float32": e.float32, "bfloat16": e.bfloat16} for e in cost.errors
        ],
        "unknown": dict(cost.unknown),
        "matrix_products": {"all": cost.products, PRECISION: cost.products_in_bfloat16},
        "milliseconds": {
            "float32": statistics.median(cost.milliseconds),
            "float32_again": statistics.median(cost.milliseconds_again),
            "bfloat16": statistics.median(cost.milliseconds_bfloat16),
        },
        "ratio": cost.ratio,
        "noise_floor": cost.noise,
        "turns": len(cost.milliseconds),
    }


def _time(cost: Data) -> str:
    times, products = cost["milliseconds"], cost["matrix_products"]
    if not products[PRECISION]:
        return f"TensorFlow left all {products['all']} matrix products in float32, so there is nothing to gain"
    return (
        f"{products[PRECISION]} of {products['all']} matrix products are in {PRECISION}. A request takes "
        f"{times['bfloat16']:.3g} ms, {cost['ratio']:.2f} x the {times['float32']:.3g} ms in float32 (noise floor: "
        f"{cost['noise_floor']:.2f} x; medians of {cost['turns']} turns)"
    )


def _factor(row: Data) -> str:
    return f"{row['bfloat16'] / row['float32']:.0f}" if row["float32"] else ""
