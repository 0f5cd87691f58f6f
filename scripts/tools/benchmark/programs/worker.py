"""A model in a process of its own, which runs it when it is asked to: requests and answers are lines of JSON.

    {"do": "time", "signature": "serving_default", "case": [8, 128, "full"], "calls": 1}
    {"do": "record", "case": [8, 128, "full"], "file": "reference.npz"}
    {"do": "check", "signature": "serving_default", "case": [8, 128, "full"], "file": "reference.npz"}
    {"do": "memory"}

The first line is written without a request, once the model is loaded. This file needs only numpy.
"""

import functools
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TextIO

import numpy as np

from scripts.tools.benchmark.programs.inputs import Case, make_inputs

MEAN = "mean"
"""The mean of the last block's tokens in a reference: no output of the source, but that of a feature."""
Arrays = Mapping[str, np.ndarray]
Call = Callable[[], Any]
TOLERANCE = 1e-4
"""The largest absolute error of a value, times (1 + RMS of the output). It is a hundredth of an error of bfloat16."""


class Signature(NamedTuple):
    """A function of a model.

    Attributes:
        prepare: Returns, for a request, a function without arguments that runs it. Only that function is timed.
        arrays: Returns a result of that function as arrays by the source's names of outputs.
        outputs: The outputs that are compared; None for all of the source.
    """

    prepare: Callable[[Arrays], Call]
    arrays: Callable[[Any], Arrays]
    outputs: tuple[str, ...] | None = None


class Model(NamedTuple):
    """A loaded model.

    Attributes:
        version: Name and version of the runtime.
        load: Seconds that loading the model took, without the import of the runtime.
        vocabulary: The number of word ids.
        signatures: Its functions by name.
        record: Returns all outputs of the source for a request; None in every other model.
    """

    version: str
    load: float
    vocabulary: int
    signatures: Mapping[str, Signature]
    record: Callable[[Arrays], Arrays] | None = None


def serve(load: Callable[[], Model]) -> None:
    """Load a model and answer the requests on stdin until it is closed. What libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    answer(load(), sys.stdin, answers)


def answer(
    model: Model, requests: Iterable[str], answers: TextIO, clock: Callable[[], float] = time.perf_counter
) -> None:
    """Answer requests, one line each. An exception ends the process, and its parent shows the last lines."""

    def say(**line: Any) -> None:
        print(json.dumps(line), file=answers)

    @functools.cache
    def prepared(name: str, case: Case) -> Call:
        return model.signatures[name].prepare(make_inputs(case, model.vocabulary))

    say(version=model.version, load=model.load)
    for line in requests:
        request = json.loads(line)
        case = Case(*request["case"]) if "case" in request else None
        if request["do"] == "memory":
            say(peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024))
        elif request["do"] == "record":
            assert case is not None
            assert model.record is not None
            np.savez(request["file"], **model.record(make_inputs(case, model.vocabulary)))  # type: ignore[arg-type]
            say(recorded=request["file"])
        elif request["do"] == "check":
            assert case is not None
            signature = model.signatures[request["signature"]]
            found = signature.arrays(prepared(request["signature"], case)())
            with np.load(request["file"]) as reference:
                wanted = {name: reference[name] for name in signature.outputs or set(reference.files) - {MEAN}}
            say(problem=difference(wanted, found, make_inputs(case, model.vocabulary)["input_mask"]))
        else:
            assert case is not None
            call = prepared(request["signature"], case)
            milliseconds = []
            for _ in range(request["calls"]):
                started = clock()
                call()
                milliseconds.append((clock() - started) * 1000)
            say(milliseconds=milliseconds)


def difference(wanted: Arrays, found: Arrays, mask: np.ndarray) -> str:
    """Return what is wrong with outputs, or "". Positions of padding are not compared: some runtimes leave them out."""
    for name, right in wanted.items():
        if name not in found:
            return f"{name} is missing; found {', '.join(sorted(found))}"
        left = np.asarray(found[name])
        if left.shape != right.shape:
            return f"{name} has the shape {list(left.shape)}, expected {list(right.shape)}"
        if right.ndim == 3:
            left, right = left[mask == 1], right[mask == 1]
        allowed = TOLERANCE * (1 + float(np.sqrt(np.mean(np.square(right, dtype=np.float64)))))
        worst = float(np.max(np.abs(left.astype(np.float64) - right)))
        if not worst <= allowed:
            return f"{name} is off by {worst:.2g}, allowed {allowed:.2g}"
    return ""
