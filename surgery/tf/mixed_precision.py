"""`python -m surgery.tf.mixed_precision`: what TensorFlow Serving's `--mixed_precision=bfloat16` does to an export.

A process of its own, because oneDNN is switched on by a variable that TensorFlow reads as it is imported. It reads a
request as JSON from stdin (see `surgery.jobs.mixed_precision`), and writes lines of JSON to stdout: progress, and at
the end the costs by signature or an error.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from surgery import limits
from surgery.boundary import boundary
from surgery.errors import SurgeryError
from surgery.graphs.merging import Input, Part
from surgery.module import SERVE, InspectedModule, SignatureInfo
from surgery.progress import Progress
from surgery.proof.arrays import equal_nonfinite, max_error, root_mean_square
from surgery.proof.compared import signature_graph
from surgery.scanning.gate import cleared, let_through
from surgery.sources import inspect_folder
from surgery.sources.files import Files
from surgery.tfserving.mixed_precision import OutputErrors, SignatureCost
from surgery.tfserving.random_inputs import random_inputs, vocabulary_of

WARM_UP = 2
LEAST_TURNS, MOST_TURNS = 5, 25
SECONDS = 15.0
"""A signature is timed for so long, within these numbers of turns."""
PRODUCTS = ("MatMul", "Einsum")
"""Parts of the names of operations that multiply matrices, fused ones included."""

Run = Callable[[], Any]


def measure(
    folder: Path, names: Iterable[str], *, batch: int, length: int, trust: bool, progress: Progress
) -> list[SignatureCost]:
    """The cost of mixed precision for the named signatures of an export, on requests of `batch` x `length` tokens.

    Raises SurgeryError where the export cannot be loaded or run.
    """
    export = let_through(inspect_folder(Files(folder=folder, name=folder.name)), trust=trust)
    signatures = [export.signatures[name] for name in names]
    progress("start TensorFlow", 0, 0)
    from surgery.tf.session import SavedModelSession

    if any(tensor.dtype == "string" for signature in signatures for tensor in signature.inputs):
        import tensorflow_text  # registers the operations  # noqa: F401

    vocabulary = vocabulary_of(folder)
    costs = []
    with (
        SavedModelSession(cleared(export), SERVE) as plain,
        SavedModelSession(cleared(export), SERVE, bfloat16=True) as mixed,
    ):
        for number, signature in enumerate(signatures):
            progress("measure bfloat16", number, len(signatures))
            inputs = random_inputs(signature, batch, length, vocabulary)
            exact, unknown = _float64(plain, export, signature, inputs)
            run, run_mixed = plain.signature(signature.name), mixed.signature(signature.name)
            errors, unlike = _errors(exact, run(inputs), run_mixed(inputs))
            precisions = _products(mixed.optimised(signature.name, inputs))
            times = by_turns([partial(run, inputs), partial(run_mixed, inputs)])
            costs.append(
                SignatureCost(
                    signature=signature.name,
                    errors=errors,
                    unknown={**unknown, **unlike},
                    products=len(precisions),
                    products_in_bfloat16=precisions.count("bfloat16"),
                    milliseconds=times[0],
                    milliseconds_bfloat16=times[1],
                    milliseconds_again=times[2],
                )
            )
    progress("measure bfloat16", len(signatures), len(signatures))
    return costs


def by_turns(sides: list[Run], clock: Callable[[], float] = time.perf_counter) -> list[tuple[float, ...]]:
    """The milliseconds of each side, and of the first side once more, which shows the noise.

    Each turn runs all three. The one that begins changes from turn to turn.
    """
    order = [*sides, sides[0]]
    for _ in range(WARM_UP):
        for run in order:
            run()
    times: list[list[float]] = [[] for _ in order]
    started, turn = clock(), 0
    while turn < LEAST_TURNS or (turn < MOST_TURNS and clock() - started < SECONDS):
        for step in range(len(order)):
            side = (turn + step) % len(order)
            before = clock()
            order[side]()
            times[side].append((clock() - before) * 1000)
        turn += 1
    return [tuple(side) for side in times]


def _float64(
    session: Any, export: InspectedModule, signature: SignatureInfo, inputs: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The outputs in double precision, and why there are none, by output."""
    from surgery.tf.merged import new_merging

    keys = export.inference_graph.signature_def[signature.name]
    dtypes = {tensor.key: tensor.dtype for tensor in signature.inputs}
    floats = [tensor.key for tensor in signature.outputs if tensor.dtype == "float32"]
    try:
        graph, variables = signature_graph(export, signature.name)
        merging = new_merging()
        merging.add(
            Part(
                graph=graph,
                inputs={n: Input(name=k, dtype=dtypes[k]) for n, k in zip(graph.inputs, keys.inputs, strict=True)},
                variables=variables,
                outputs={k: t for k, t in zip(keys.outputs, graph.outputs, strict=True) if k in floats},
            )
        )
        double = session.graph(merging.result(), double=True)
        found = double.run(inputs, floats)
    except (SurgeryError, ValueError, LookupError) as error:
        reason = error.message if isinstance(error, SurgeryError) else str(error)
        return {}, dict.fromkeys(floats, f"it cannot be computed in double precision: {reason}")
    lacking = {name: f"no double kernel: {', '.join(kinds)}" for name, kinds in double.lacking.items()}
    return {name: value for name, value in found.items() if name not in lacking}, lacking


def _errors(
    exact: dict[str, np.ndarray], plain: dict[str, np.ndarray], mixed: dict[str, np.ndarray]
) -> tuple[tuple[OutputErrors, ...], dict[str, str]]:
    """The errors of each output, and why there are none, by output."""
    errors, unknown = [], {}
    for name, value in exact.items():
        if not all(equal_nonfinite(value, side[name]) for side in (plain, mixed)):
            unknown[name] = "it is NaN or infinite in one precision, and a number in another"
            continue
        float32, bfloat16 = (max_error(value, side[name].astype(np.float64)) for side in (plain, mixed))
        rms = root_mean_square(value[np.isfinite(value)])
        errors.append(OutputErrors(output=name, rms=rms, float32=float32, bfloat16=bfloat16))
    return tuple(errors), unknown


def _products(graphs: Iterable[Any]) -> list[str]:
    """The dtype of each operation that multiplies matrices, in the graphs that TensorFlow runs."""
    import tensorflow as tf

    nodes = [node for graph in graphs for node in graph.node]
    return [
        tf.as_dtype(node.attr["T"].type).name
        for node in nodes
        if "T" in node.attr and any(kind in node.op for kind in PRODUCTS)
    ]


def main() -> None:
    """Answers the request on stdin. What libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)

    def say(**line: Any) -> None:
        print(json.dumps(line), file=answers)

    request = json.loads(sys.stdin.read())
    folder = Path(request["folder"])
    try:
        with limits.raised(request["limits"]), boundary(f"measuring bfloat16 of {folder}"):
            costs = measure(
                folder,
                request["signatures"],
                batch=request["batch"],
                length=request["length"],
                trust=request["trust"],
                progress=lambda step, done, total: say(progress=[step, done, total]),
            )
    except SurgeryError as error:
        say(error={"kind": type(error).__name__, "message": error.message, "hint": error.hint})
        return
    say(costs=[asdict(cost) for cost in costs])


if __name__ == "__main__":
    main()
