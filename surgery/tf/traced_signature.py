"""A signature of a SavedModel as a tf.function that only computes the outputs asked for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers its operations, for exports that take texts

from surgery.batching.probing import Tensor
from surgery.batching.sharing import Arrays
from surgery.errors import UsageError
from surgery.scanning.gate import Cleared
from surgery.tf.loading import loaded_objects
from surgery.tf.token_types import token_types

SELECTIONS_KEPT = 64
"""The number of sets of outputs whose functions are cached. Making a function takes a tenth of a second."""


class TracedSignature:
    """A signature of a SavedModel, for requests that want different outputs.

    Raises whatever TensorFlow raises when the SavedModel cannot be loaded.

    Attributes:
        inputs: Dtype and shape of each input, by key.
        outputs: Dtype and shape of each output, by key.
        token_types: The number of token types of the model; None if it is not known.
    """

    def __init__(self, cleared: Cleared, tags: Sequence[str], signature: str) -> None:
        with loaded_objects(cleared, tags) as loaded:
            self._loaded = loaded  # kept: a signature does not own its variables
        self._signature = self._loaded.signatures[signature]
        self._specs = self._signature.structured_input_signature[1]
        self.inputs = {key: _tensor(spec) for key, spec in self._specs.items()}
        self.outputs = {key: _tensor(spec) for key, spec in self._signature.structured_outputs.items()}
        self.token_types = token_types(cleared.folder)
        self._select = lru_cache(SELECTIONS_KEPT)(self._trace)

    def run(self, inputs: Arrays, wanted: Collection[str] | None = None) -> dict[str, np.ndarray]:
        """The wanted outputs by key; None wants all. Raises tf.errors.OpError or ValueError for inputs it refuses."""
        function = self._select(frozenset(self.outputs if wanted is None else wanted))
        fed = {key: tf.constant(value, self._specs[key].dtype) for key, value in inputs.items()}
        return {key: value.numpy() for key, value in function(fed).items()}

    def _trace(self, wanted: frozenset[str]) -> Any:
        """A function that only returns the wanted outputs.

        TensorFlow inlines the signature into it, and drops the operations that the outputs do not need. A v1 Session
        does not: if one output of the signature is fetched by its own name, it computes all of them.
        """

        def selected(inputs: Mapping[str, Any]) -> dict[str, Any]:
            outputs = self._signature(**inputs)
            return {key: outputs[key] for key in sorted(wanted)}

        return tf.function(selected, input_signature=[dict(self._specs)], autograph=False)


def use_threads(count: int) -> None:
    """Sets the number of threads that compute one operation, 0 for one per core. Call it before TensorFlow runs."""
    tf.config.threading.set_intra_op_parallelism_threads(count)


def is_about_the_inputs(error: Exception) -> bool:
    """Whether an error of `TracedSignature.run` is the caller's fault: the signature refuses the inputs."""
    return isinstance(error, (tf.errors.InvalidArgumentError, UsageError, ValueError, TypeError))


def _tensor(spec: Any) -> Tensor:
    return Tensor(dtype=np.dtype(spec.dtype.as_numpy_dtype), shape=tuple(spec.shape.as_list()))
