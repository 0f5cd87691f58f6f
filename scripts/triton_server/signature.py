"""A signature of a SavedModel, run as far as its outputs are asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers its operations, for exports that take texts

from triton_server.batching import Arrays
from triton_server.probing import Tensor

SELECTIONS_KEPT = 64
"""Sets of outputs whose functions are kept; making one takes a tenth of a second."""


class SignatureRunner:
    """A signature of a SavedModel. Raises what TensorFlow raises when it cannot be loaded."""

    def __init__(self, folder: str, tags: Sequence[str], signature: str) -> None:
        self._loaded = tf.saved_model.load(folder, list(tags))  # kept: a signature does not own its variables
        self._signature = self._loaded.signatures[signature]
        self._specs = self._signature.structured_input_signature[1]
        self.inputs = {key: _tensor(spec) for key, spec in self._specs.items()}
        self.outputs = {key: _tensor(spec) for key, spec in self._signature.structured_outputs.items()}
        self._select = lru_cache(SELECTIONS_KEPT)(self._trace)

    def run(self, inputs: Arrays, wanted: Collection[str] | None = None) -> dict[str, np.ndarray]:
        """The wanted outputs by key, all when None. Raises tf.errors.OpError or ValueError for inputs it refuses."""
        function = self._select(frozenset(self.outputs if wanted is None else wanted))
        fed = {key: tf.constant(value, self._specs[key].dtype) for key, value in inputs.items()}
        return {key: value.numpy() for key, value in function(fed).items()}

    def _trace(self, wanted: frozenset[str]) -> Any:
        """A function that returns these outputs only: TensorFlow inlines the signature, and drops what nobody needs.

        A v1 Session does not: for one output of the signature it computes them all.
        """

        def selected(inputs: Mapping[str, Any]) -> dict[str, Any]:
            outputs = self._signature(**inputs)
            return {key: outputs[key] for key in sorted(wanted)}

        return tf.function(selected, input_signature=[dict(self._specs)], autograph=False)


def _tensor(spec: Any) -> Tensor:
    return Tensor(np.dtype(spec.dtype.as_numpy_dtype), spec.shape.as_list())
