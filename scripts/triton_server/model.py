"""The model as Triton's Python backend runs it: a signature of the SavedModel, as far as its outputs are asked for.

A request that the model refuses gets its error; those that shared its run get their answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
import triton_python_backend_utils as pb_utils

from surgery.tf.reasons import reason
from triton_server.batching import Arrays, Layout, group, join, rows_of, split
from triton_server.probing import learn_layout
from triton_server.repository import LAYOUT_FILE
from triton_server.signature import SignatureRunner

COUNTERS = {
    "surgery_runs": "Times that the SavedModel was run",
    "surgery_requests": "Requests that these runs answered",
    "surgery_rows": "Rows of these requests",
}


class TritonPythonModel:
    """What tritonserver calls: `initialize` once, `execute` for each batch that its scheduler has formed."""

    def initialize(self, args: Mapping[str, str]) -> None:
        config = json.loads(args["model_config"])
        given = {key: value["string_value"] for key, value in config["parameters"].items()}
        tags = given["tags"].split(",") if given["tags"] else []
        tf.config.threading.set_intra_op_parallelism_threads(int(given["threads"]))
        self._runner = SignatureRunner(given["saved_model"], tags, given["signature"])
        self._layout, sentence = Layout(alone=True), "each request runs alone: the signature has no batch axis"
        if given["batched"]:
            self._layout, sentence = learn_layout(self._runner.inputs, self._runner.outputs, self._runner.run)
        version = Path(args["model_repository"]) / args["model_version"]
        (version / LAYOUT_FILE).write_text(sentence, encoding="utf-8")
        labels = {"model": args["model_name"], "version": args["model_version"]}
        self._families = [
            pb_utils.MetricFamily(name=name, description=text, kind=pb_utils.MetricFamily.COUNTER)
            for name, text in COUNTERS.items()
        ]
        self._counters = [family.Metric(labels=labels) for family in self._families]

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        inputs = [
            {key: pb_utils.get_input_tensor_by_name(request, key).as_numpy() for key in self._runner.inputs}
            for request in requests
        ]
        wanted = [set(request.requested_output_names()) for request in requests]
        responses: list[Any] = [None] * len(requests)
        for numbers in group(inputs, self._layout):
            for number, response in zip(numbers, self._answer(numbers, inputs, wanted), strict=True):
                responses[number] = response
        return responses

    def _answer(self, numbers: Sequence[int], inputs: Sequence[Arrays], wanted: Sequence[set[str]]) -> list[Any]:
        try:
            answers = self._run([inputs[n] for n in numbers], set().union(*(wanted[n] for n in numbers)))
        except Exception as error:  # a server must outlive every request
            if len(numbers) == 1:
                return [_refusal(error)]
            return [self._answer([number], inputs, wanted)[0] for number in numbers]
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor(key, answer[key]) for key in sorted(wanted[number])])
            for number, answer in zip(numbers, answers, strict=True)
        ]

    def _run(self, requests: Sequence[Arrays], wanted: set[str]) -> list[dict[str, Any]]:
        needed = wanted | ({self._layout.mask_output} if self._layout.mask_output and len(requests) > 1 else set())
        outputs = self._runner.run(join(requests, self._layout), needed)
        answers = split(outputs, requests, self._layout)
        for counter, number in zip(self._counters, (1, len(requests), sum(map(_rows, requests))), strict=True):
            counter.increment(number)
        return answers


def _rows(request: Arrays) -> int:
    return rows_of(request) if next(iter(request.values())).ndim else 1


def _refusal(error: Exception) -> Any:
    """An answer that says what TensorFlow said, without the stack of its graph."""
    theirs = isinstance(error, (tf.errors.InvalidArgumentError, ValueError, TypeError))
    code = pb_utils.TritonError.INVALID_ARG if theirs else pb_utils.TritonError.INTERNAL
    return pb_utils.InferenceResponse(
        error=pb_utils.TritonError(f"the model refuses this request: {reason(error)}", code)
    )
