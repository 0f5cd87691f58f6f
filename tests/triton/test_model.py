"""The model of Triton's Python backend with a stand-in for Triton: each request gets its answer or its error."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from surgery.batching.bounds import Bounds
from surgery.batching.sharing import Layout


class Error:
    INVALID_ARG, INTERNAL = "invalid argument", "internal"

    def __init__(self, message, code):
        self.message, self.code = message, code


@pytest.fixture
def execute():
    """`execute(*inputs)`: for each request its output, or the code and message of its error."""
    from surgery.triton.model import TritonPythonModel

    ran = []

    def run(inputs, wanted):
        ran.append(inputs["input_mask"].shape)
        if inputs["input_mask"].shape[1] == 7:
            raise MemoryError("cannot allocate 4 TiB")
        return {"sum": inputs["input_mask"].sum(1)}

    model = TritonPythonModel()
    model._triton = SimpleNamespace(
        get_input_tensor_by_name=lambda request, key: SimpleNamespace(as_numpy=lambda: request.inputs[key]),
        InferenceResponse=lambda tensors=None, error=None: SimpleNamespace(tensors=tensors, error=error),
        Tensor=lambda key, value: value,
        TritonError=Error,
    )
    model._shapes = {"input_mask": (None, None)}
    model._signature = SimpleNamespace(inputs=model._shapes, token_types=2, run=run)
    model._layout = Layout(padded=frozenset(model._shapes))
    model._bounds = Bounds(rows=4, tokens=40, text_bytes=10)
    model._counters = [SimpleNamespace(increment=lambda number: None)] * 3

    def call(*arrays):
        requests = [
            SimpleNamespace(inputs={"input_mask": array}, requested_output_names=lambda: ["sum"]) for array in arrays
        ]
        return [
            (response.error.code, response.error.message) if response.error else response.tensors[0].tolist()
            for response in model.execute(requests)
        ], ran

    return call


def ones(rows, length):
    return np.ones((rows, length), np.int32)


def test_a_request_that_is_too_large_or_means_nothing_gets_an_error_and_the_others_their_answers(execute):
    answers, ran = execute(ones(1, 3), ones(1, 41), 2 * ones(1, 4), ones(2, 6))
    assert [answers[0], answers[3]] == [[3], [6, 6]]
    assert answers[1][0] == answers[2][0] == Error.INVALID_ARG
    assert "41 tokens, and the most is 40" in answers[1][1]
    assert "input input_mask, row 0, position 0: expected 0 (padding) or 1 (a token), found 2" in answers[2][1]
    assert ran == [(3, 6)]


def test_a_lack_of_memory_is_the_error_of_the_request_that_needs_it(execute):
    answers, ran = execute(ones(1, 3), ones(1, 7))
    assert answers[0] == [3]
    assert answers[1][0] == Error.INTERNAL
    assert "cannot allocate 4 TiB" in answers[1][1]
    assert ran == [(2, 7), (1, 3), (1, 7)]


def test_requests_that_together_exceed_the_tokens_of_a_run_do_not_share_one(execute):
    answers, ran = execute(ones(2, 12), ones(1, 15), ones(1, 3))
    assert answers == [[12, 12], [15], [3]]
    assert ran == [(2, 12), (2, 15)]
