"""Compares what a library computed with the numpy computation of the same folder, in double precision."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.tools.interop.cases import SHOWN_LOGITS
from surgery.jobs.checkpoint import Checkpoint
from surgery.planning.plan import make_plan
from surgery.planning.requests import Request
from surgery.proof.battery import Batch
from surgery.proof.float64 import record_float64
from surgery.sources import inspect_folder
from surgery.sources.files import Files

Arrays = Mapping[str, np.ndarray]
FLOAT32 = 1e-5
"""The largest absolute error of a hidden state or attention in float32."""
FLOAT64 = 1e-6
"""The largest error in double precision, as a part of the tensor's RMS."""


@dataclass(frozen=True, kw_only=True)
class Error:
    """The error of one tensor.

    Attributes:
        name: The library's name of it.
        in_double: The largest difference in double precision, divided by the RMS.
        in_float32: The largest absolute error of the library in float32.
    """

    name: str
    in_double: float
    in_float32: float

    @property
    def passed(self) -> bool:
        """Whether both are within their bounds."""
        return self.in_double <= FLOAT64 and self.in_float32 <= FLOAT32


def computed(folder: Path, inputs: Arrays) -> dict[str, np.ndarray]:
    """The tensors of a folder's encoder in float64, by transformers' names, on transformers' inputs."""
    module = inspect_folder(Files(folder=folder, name=folder.name))
    plan = make_plan(module, folder, request=Request.of(taps="attention_probs"))
    ids = inputs["input_ids"] % plan.architecture["vocab_size"]
    types = inputs.get("token_type_ids", np.zeros_like(ids)) % plan.architecture.values.get("type_vocab_size", 1)
    batch = Batch(
        label="transformers",
        inputs={
            "input_word_ids": ids,
            "input_mask": inputs["attention_mask"],
            "input_type_ids": types,
            "masked_lm_positions": np.tile(np.arange(SHOWN_LOGITS, dtype=np.int32), (len(ids), 1)),
        },
    )
    (outputs,) = record_float64(module, plan.inference, module.open_tensors(), [batch], plan.outputs.taps)
    blocks = plan.inference.outputs.block_outputs
    names = {"embedding_output": "hidden_states_0", "pooled_output": "pooler_output", "mlm.mlm_logits": "logits"}
    names |= {"classifier.logits": "logits"}
    names |= {name: f"hidden_states_{number + 1}" for number, name in enumerate(blocks)}
    names |= {f"attention_probs_{number}": f"attentions_{number}" for number in range(len(blocks))}
    return {names[name]: value for name, value in outputs.float64.items() if name in names}


def errors(answer: Arrays, expected: Arrays) -> Iterator[Error]:
    """The error of every tensor that the library returned; infinite for one of another shape."""
    for name in sorted(set(answer) & set(expected) | {"hidden_states_0"}):
        exact, rms = expected[name], np.sqrt(np.mean(np.square(expected[name])))
        yield Error(
            name=name,
            in_double=largest(answer[name], exact) / float(rms),
            in_float32=largest(answer[f"float32.{name}"], exact),
        )


def largest(found: np.ndarray, exact: np.ndarray) -> float:
    """The largest difference; infinite for two shapes, of which numpy would repeat the smaller one."""
    return float(np.max(np.abs(found - exact))) if found.shape == exact.shape else float("inf")


def lacking(answer: Arrays, expected: Arrays) -> list[str]:
    """Tensors that only one side has."""
    theirs = {name for name in answer if name in expected or name.startswith(("hidden", "attentions", "logits"))}
    return sorted(theirs ^ set(expected))


def missing_keys(answer: Arrays) -> list[str]:
    """Weights that the library did not find in the folder, and made up, by its class.

    A masked-LM model has no pooler: the library makes one where such a folder is loaded as a bare encoder.
    """
    loading = json.loads(str(answer["loading"]))
    masked_lm = any(name.endswith("ForMaskedLM") for name in loading)
    return [
        f"{name}: {key}"
        for name, found in loading.items()
        for key in found["missing_keys"]
        if not (masked_lm and key.startswith("pooler."))
    ]


def sentence_vectors(done: Checkpoint, answer: Arrays) -> np.ndarray:
    """What sentence-transformers must return of a folder for the tokens of `answer`, [texts, hidden]."""
    states = computed(done.destination, answer)
    last = max((name for name in states if name.startswith("hidden")), key=lambda name: int(name.split("_")[-1]))
    if done.planned.embedding is not None:
        return done.planned.embedding.encode(done.destination, states[last])
    return mean_pooled(states[last], answer["attention_mask"])


def mean_pooled(states: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The mean of the states of the tokens that are no padding, [batch, hidden]."""
    weights = mask[:, :, None].astype(np.float64)
    pooled: np.ndarray = (states * weights).sum(1) / weights.sum(1)
    return pooled
