"""Which signatures leave padding out, and where their outputs would show it.

A signature leaves padding out if none of its outputs shows padding, or if the request says so. The rows of padding in
its other outputs are then zeros.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from surgery.arguments import argument
from surgery.errors import UsageError
from surgery.explanation.architecture import Inference
from surgery.explanation.outputs import split_entry
from surgery.module import DEFAULT_SIGNATURE
from surgery.planning.features import ResolvedFeature
from surgery.planning.outputs import TAPS, ExportOutputs, Signature
from surgery.planning.requests import FUSED, GRAPHS, Request
from surgery.planning.taps import POSITION, TapAtBlock


def check_graph(request: Request) -> None:
    """Raises UsageError for a form of the graph that does not exist, or that cannot leave padding out."""
    if request.graph not in GRAPHS:
        raise UsageError(f"{argument('graph', request.graph)}: expected one of {', '.join(GRAPHS)}")
    if request.packed and request.graph != FUSED:
        option = f"{argument('packed', True)} with {argument('graph', request.graph)}"
        hint = f"leave out {argument('packed', True)}, or take {argument('graph', FUSED)}"
        raise UsageError(f"{option}: only the {FUSED} graph can leave padding out", hint=hint)


def packed_where_hidden(
    inference: Inference, outputs: ExportOutputs, signatures: Mapping[str, Signature]
) -> dict[str, Signature]:
    """The signatures, each with the word on whether it leaves padding out."""
    request = outputs.request
    return {
        name: replace(
            signature,
            packed=request.graph == FUSED
            and (request.packed or not any(position_axes(inference, outputs, output) for output in signature.outputs)),
        )
        for name, signature in signatures.items()
    }


def position_axes(inference: Inference, outputs: ExportOutputs, output: str) -> tuple[int, ...]:
    """The axes of an output that count positions; none for an output that has one vector for a text."""
    return tuple(number for number, axis in enumerate(_axes(inference, outputs, output)) if axis == POSITION)


def zeroed(inference: Inference, outputs: ExportOutputs, signature: str) -> tuple[str, ...]:
    """The outputs of a signature whose rows of padding are zeros."""
    found = outputs.signatures[signature]
    return tuple(output for output in found.outputs if found.packed and position_axes(inference, outputs, output))


def called_only(inference: Inference, outputs: ExportOutputs) -> dict[str, str]:
    """The outputs that `__call__` returns and no signature in the same way, as paths in the call by export name."""
    served = set(outputs.signatures[DEFAULT_SIGNATURE].outputs) - set(zeroed(inference, outputs, DEFAULT_SIGNATURE))
    tapped = set(outputs.tap_names) if TAPS in outputs.signatures and zeroed(inference, outputs, TAPS) else set()
    paths = {name: path for name, path in inference.outputs.paths.items() if name not in served}
    return {**paths, **{name: name for name in tapped}}


def _axes(inference: Inference, outputs: ExportOutputs, output: str) -> tuple[str, ...]:
    by_tap: Mapping[str, TapAtBlock] = {tap.output: tap for tap in outputs.taps}
    feature: ResolvedFeature | None = outputs.feature_of(output)
    if output in by_tap:
        return by_tap[output].offer.axes
    if output in outputs.head_outputs:
        return ("batch", "labels")
    if feature is not None:
        return ("batch", POSITION, "hidden") if feature.pooling == "none" else ("batch", "hidden")
    entry = split_entry(output)
    return inference.family.output_axes(entry[0] if entry else output)
