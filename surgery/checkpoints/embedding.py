"""The module's pooled output as sentence-transformers' modules: the pooler as `2_Dense`, its length as `3_Normalize`.

transformers' BertModel has the pooler, and nothing behind it. A pooled output that is normalised, as LaBSE's, is
therefore what `SentenceTransformer(folder).encode` returns. transformers' `pooler_output` is the same vector before it
is normalised.

Normalize divides x by max(|x|, 1e-12), and tf.math.l2_normalize by sqrt(max(|x|², epsilon)). Both are |x| for every
vector that is at least `shortest` long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np

from surgery.arguments import argument
from surgery.checkpoints.kept import pooler_scope
from surgery.checkpoints.naming import Form, StoredTensor
from surgery.checkpoints.pooling import MODULES, sentence_files
from surgery.checkpoints.safetensors_file import write_safetensors
from surgery.errors import UsageError
from surgery.explanation.architecture import Inference
from surgery.export.weights import sha256
from surgery.proof.comparison import Arrays
from surgery.tables.family import POOLED, POOLED_L2_NORM_EPS, POOLER

SENTENCE_EMBEDDING = "sentence_embedding"
"""The name that sentence-transformers gives to what its last module returns."""
MODE = "pooler"
"""The pooling that is the module's own pooled output."""
DENSE = "2_Dense"
NORMALIZE = "3_Normalize"
WEIGHTS = f"{DENSE}/model.safetensors"
PACKAGE = "sentence_transformers.models"
TORCH_EPSILON = 1e-12
"""Epsilon of torch.nn.functional.normalize, which Normalize calls."""


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """The modules behind the pooling of the first token.

    Attributes:
        tensors: The pooler's weights, under the names that Dense gives them.
        normalized: Whether the pooled output is normalised.
        shortest: The length down to which Normalize computes what the module computes.
    """

    tensors: tuple[StoredTensor, ...]
    normalized: bool
    shortest: float

    def files(self, width: int, length: int) -> Mapping[str, Any]:
        """The JSON files by name, for vectors of this width and texts of at most `length` tokens."""
        found = dict(sentence_files("cls", width, length))
        behind = [DENSE, *([NORMALIZE] if self.normalized else [])]
        first = len(found[MODULES])
        found[MODULES] = found[MODULES] + [
            {"idx": number, "name": str(number), "path": name, "type": f"{PACKAGE}.{name.partition('_')[2]}"}
            for number, name in enumerate(behind, start=first)
        ]
        found[f"{DENSE}/config.json"] = {
            "in_features": width,
            "out_features": width,
            "bias": True,
            "activation_function": "torch.nn.modules.activation.Tanh",
        }
        return found

    def write(self, folder: Path, value: Callable[[str], np.ndarray], sizes: Mapping[str, int]) -> None:
        """Writes the weights of Dense; `value` gives a weight of the encoder by target. Raises OSError."""
        (folder / DENSE).mkdir(exist_ok=True)
        by_name = {tensor.name: tensor for tensor in self.tensors}
        shapes = {name: tensor.shape for name, tensor in by_name.items()}
        write_safetensors(
            folder / WEIGHTS, shapes, lambda name: by_name[name].layout.apply(value(by_name[name].target), sizes)
        )

    def problems(self, folder: Path, hashes: Mapping[str, str], sizes: Mapping[str, int]) -> Iterator[str]:
        """Reads the weights of Dense back: yields a line for each that is not the module's, by its SHA-256."""
        found = _read(folder)
        for tensor in self.tensors:
            laid_out = tensor.layout.inverse().apply(found[tensor.name], sizes)
            if sha256(laid_out) != hashes[tensor.target]:
                yield f"{WEIGHTS}: the bits of {tensor.name} differ from those of {tensor.target} in the module"

    def encode(self, folder: Path, sequence_output: np.ndarray) -> np.ndarray:
        """What sentence-transformers computes of the last block's output [batch, seq, hidden], in its precision."""
        weights = {name: value.astype(sequence_output.dtype) for name, value in _read(folder).items()}
        pooled: np.ndarray = np.tanh(sequence_output[:, 0] @ weights["linear.weight"].T + weights["linear.bias"])
        length = np.linalg.norm(pooled, axis=-1, keepdims=True)
        return pooled / np.maximum(length, TORCH_EPSILON) if self.normalized else pooled


def find_embedding(inference: Inference, form: Form, pooling: str | None) -> Embedding | None:
    """The modules for a checkpoint of this form: where they are asked for, or the pooled output is normalised.

    Raises UsageError where they are asked for, and the checkpoint has no pooler.
    """
    scope, epsilon = pooler_scope(inference.family), inference.architecture.values.get(POOLED_L2_NORM_EPS)
    pooler = [tensor for tensor in form.tensors if scope is not None and tensor.target.startswith(scope)]
    if pooling == MODE and not pooler:
        raise UsageError(f"{argument('pooling', MODE)}: the checkpoint has no pooler", hint="mean and cls need none")
    if not pooler or pooling not in (MODE, None) or (pooling is None and epsilon is None):
        return None
    return Embedding(
        tensors=tuple(replace(tensor, name=f"linear.{tensor.name.rpartition('.')[2]}") for tensor in pooler),
        normalized=epsilon is not None,
        shortest=max(TORCH_EPSILON, sqrt(epsilon or 0.0)),
    )


def as_the_checkpoint_names_them(outputs: Arrays) -> Arrays:
    """The outputs of a module: its pooled output as SENTENCE_EMBEDDING, too, the pooler's own as transformers' one."""
    named = dict(outputs)
    if POOLED in named:
        named[SENTENCE_EMBEDDING] = named[POOLED]
    if POOLER in named:
        named[POOLED] = named.pop(POOLER)
    return named


def _read(folder: Path) -> Mapping[str, np.ndarray]:
    from safetensors.numpy import load_file

    found: Mapping[str, np.ndarray] = load_file(folder / WEIGHTS)
    return found
