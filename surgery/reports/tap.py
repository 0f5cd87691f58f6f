"""Report of a SavedModel with further outputs: its taps, and the comparison of the source's own outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from surgery.plain import plain
from surgery.reports.graph import sizes
from surgery.reports.page import Data, aligned, lines
from surgery.wording import shape_text

if TYPE_CHECKING:
    from surgery.jobs.tap import Tapping

SCHEMA = 1


def data(tapping: Tapping) -> Data:
    """The published SavedModel, its taps, and the comparison of each of the source's outputs."""
    taps = {tap.output: tap.tensor for tap in tapping.taps}
    checks = {check.output: check for check in tapping.checks}
    return {
        "name": tapping.listing.files.name,
        "destination": str(tapping.destination),
        "signature": tapping.listing.signature.name,
        "taps": [
            {
                "output": key,
                "tensor": t.name,
                "op": t.op,
                "dtype": t.dtype,
                "shape": sizes(t.shape),
                "compared": plain(checks.get(key)),
            }
            for key, t in taps.items()
        ],
        "batches": list(tapping.batches),
        "given": tapping.given,
        "outputs": [plain(check) for key, check in checks.items() if key not in taps],
        "variables": tapping.variables,
        "left_out": list(tapping.left_out),
    }


def text(console: Console, data: Data) -> None:
    """Each tap, then each of the source's outputs with its verdict."""
    heads: tuple[str, ...] = ("new output", "tensor", "dtype", "shape")
    taps: list[tuple[str, ...]] = [
        (tap["output"], tap["tensor"], tap["dtype"], shape_text(tap["shape"])) for tap in data["taps"]
    ]
    if any(tap["compared"] for tap in data["taps"]):  # a graph of TensorFlow 1 can be asked for them as it is
        heads = (*heads, "in the source's graph")
        verdicts = [_verdict(tap["compared"]) if tap["compared"] else "" for tap in data["taps"]]
        taps = [(*row, verdict) for row, verdict in zip(taps, verdicts, strict=True)]
    outputs = [(check["output"], _verdict(check)) for check in data["outputs"]]
    left_out = [
        f"left out: the signature {name}, whose inputs have names that TensorFlow 2 cannot write"
        for name in data["left_out"]
    ]
    lines(
        console,
        [
            f"Signature {data['signature']} of {data['name']}",
            *aligned([heads, *taps]),
            f"Outputs of the source, on {len(data['batches'])} batch{'' if len(data['batches']) == 1 else 'es'} "
            + ("that were given" if data["given"] else "made from the signature"),
            *aligned([("output", "verdict"), *outputs]),
            f"variables: {data['variables']}, each once and with the source's bits",
            *left_out,
            f"wrote {data['destination']}",
        ],
    )


def _verdict(check: Data) -> str:
    if check["random"]:
        return "random: the source does not repeat it either"
    return "bit-equal" if check["bit_equal"] else f"equal except in its last bits: max abs error {check['max_abs']:.2g}"
