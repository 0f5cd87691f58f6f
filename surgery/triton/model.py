"""The model as Triton's Python backend runs it: a signature of the SavedModel, and of it only the outputs asked for.

A request that the model refuses gets the error as its answer. The other requests of its run get their own answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from surgery.batching.bounds import Bounds, check_size, check_values, within
from surgery.batching.probing import learn_layout
from surgery.batching.sharing import Arrays, Layout, group, join, rows_of, split
from surgery.scanning.gate import clear_folder
from surgery.tf.reasons import reason
from surgery.tf.traced_signature import TracedSignature, is_about_the_inputs, use_threads
from surgery.triton.repository import LAYOUT_FILE

COUNTERS = {
    "surgery_runs": "Times that the SavedModel was run",
    "surgery_requests": "Requests that these runs answered",
    "surgery_rows": "Rows of these requests",
}


class TritonPythonModel:
    """The class that tritonserver calls: `initialize` once, `execute` for each batch that its scheduler forms."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Loads the signature and learns which requests may share a run. Raises what the gate or TensorFlow raises."""
        import triton_python_backend_utils  # exists only in Triton's own processes

        self._triton = triton_python_backend_utils
        config = json.loads(args["model_config"])
        parameters = {key: value["string_value"] for key, value in config["parameters"].items()}
        tags = json.loads(parameters["tags"])
        permission = clear_folder(Path(parameters["saved_model"]), trust=bool(parameters["trust"]))
        use_threads(int(parameters["threads"]))
        self._signature = TracedSignature(permission, tags, parameters["signature"])
        self._layout, sentence = Layout(alone=True), "each request runs alone: the signature has no batch axis"
        if parameters["batched"]:
            self._layout, sentence = learn_layout(self._signature.inputs, self._signature.outputs, self._signature.run)
        self._shapes = {key: tensor.shape for key, tensor in self._signature.inputs.items()}
        self._bounds = Bounds(**json.loads(parameters["bounds"]))
        version = Path(args["model_repository"]) / args["model_version"]
        (version / LAYOUT_FILE).write_text(sentence, encoding="utf-8")
        labels = {"model": args["model_name"], "version": args["model_version"]}
        metric = self._triton.MetricFamily
        self._families = [metric(name=name, description=text, kind=metric.COUNTER) for name, text in COUNTERS.items()]
        self._counters = [family.Metric(labels=labels) for family in self._families]

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """The responses to Triton's requests, in the order of the requests. An error is a response as well."""
        responses: list[Any] = [None] * len(requests)
        inputs: dict[int, Arrays] = {}
        for number, request in enumerate(requests):
            try:
                inputs[number] = self._read(request)
            except Exception as error:  # also MemoryError: it is this request's, and the others get their answers
                responses[number] = self._refusal(error)
        sound, arrays = list(inputs), list(inputs.values())
        wanted = [set(requests[number].requested_output_names()) for number in sound]
        for together in group(arrays, self._layout):
            for run in within(together, arrays, self._shapes, self._bounds.tokens):
                for position, response in zip(run, self._answer(run, arrays, wanted), strict=True):
                    responses[sound[position]] = response
        return responses

    def _read(self, request: Any) -> Arrays:
        """The inputs of a request. Raises UsageError for one that is too large, or has values that mean nothing."""
        get = self._triton.get_input_tensor_by_name
        inputs = {key: get(request, key).as_numpy() for key in self._signature.inputs}
        check_size(inputs, self._shapes, self._bounds)
        check_values(inputs, self._signature.token_types)
        return inputs

    def _answer(self, numbers: Sequence[int], inputs: Sequence[Arrays], wanted: Sequence[set[str]]) -> list[Any]:
        try:
            answers = self._run([inputs[n] for n in numbers], set().union(*(wanted[n] for n in numbers)))
        except Exception as error:  # a server must outlive every request
            if len(numbers) == 1:
                return [self._refusal(error)]
            return [self._answer([number], inputs, wanted)[0] for number in numbers]
        return [
            self._triton.InferenceResponse([self._triton.Tensor(key, answer[key]) for key in sorted(wanted[number])])
            for number, answer in zip(numbers, answers, strict=True)
        ]

    def _run(self, requests: Sequence[Arrays], wanted: set[str]) -> list[dict[str, Any]]:
        needed = wanted | ({self._layout.mask_output} if self._layout.mask_output and len(requests) > 1 else set())
        outputs = self._signature.run(join(requests, self._layout), needed)
        answers = split(outputs, requests, self._layout)
        for counter, number in zip(self._counters, (1, len(requests), sum(map(_rows, requests))), strict=True):
            counter.increment(number)
        return answers

    def _refusal(self, error: Exception) -> Any:
        """An error response with TensorFlow's reason, without the stack trace of its graph."""
        codes = self._triton.TritonError
        code = codes.INVALID_ARG if is_about_the_inputs(error) else codes.INTERNAL
        return self._triton.InferenceResponse(error=codes(f"the model refuses this request: {reason(error)}", code))


def _rows(request: Arrays) -> int:
    return rows_of(request) if next(iter(request.values())).ndim else 1
