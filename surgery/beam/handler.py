"""A model handler for Beam's RunInference that serves a SavedModel by the names of its signature.

Beam's own handler for TensorFlow loads with Keras and calls the model with one stacked array, so it takes none but
SavedModels that Keras wrote (apache_beam/ml/inference/tensorflow_inference.py).
"""

from __future__ import annotations

import resource
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

import numpy as np
from apache_beam.ml.inference import base
from apache_beam.ml.inference.base import ModelHandler, PredictionResult

if TYPE_CHECKING:
    from surgery.tf.signature_runner import LoadedSignature

if base.resource is None:
    # Beam 2.77 loses it where torch is not installed (one `try` around both imports), and with it a model's bytes.
    base.resource = resource


class SavedModelHandler(ModelHandler[Any, PredictionResult, "LoadedSignature"]):  # type: ignore[misc]
    """Runs one signature of a SavedModel, and returns the outputs that are named.

        texts | RunInference(SavedModelHandler("exported/bert_text/1", "text", ["pooled_output"]))

    An example is a mapping by input, or the value itself where the signature has one input: a string, or an array
    without batch axis, such as int32 [seq]. Where the signature takes `input_mask`, examples of a batch may differ in
    length; they are padded with what the mask hides, or run apart where the model sees padding. The prediction's
    `inference` is a mapping by output to arrays without batch axis and without padding, such as float32 [seq, hidden].

    `outputs` None is all of them; the others are not computed. `threads` is how many compute in a worker process (None:
    all cores, which is too many where several processes share a machine). `batching` is what every ModelHandler takes:
    `min_batch_size`, `max_batch_size`, `max_batch_weight` with `element_size_fn`, `batch_length_fn`, `large_model`, ...

    A path that workers cannot open, a signature or output that is not there, raise in the worker what
    surgery.tf.signature_runner says of it.
    """

    def __init__(
        self,
        saved_model: str | PathLike[str],
        signature: str = "serving_default",
        outputs: Sequence[str] | None = None,
        *,
        threads: int | None = None,
        **batching: Any,
    ) -> None:
        super().__init__(**batching)
        self._saved_model = fspath(saved_model)
        self._signature = signature
        self._outputs = None if outputs is None else tuple(outputs)
        self._threads = threads

    def load_model(self) -> LoadedSignature:
        """The signature, ready to run; called once a worker process."""
        from surgery.tf.memory import importing

        with importing():
            from surgery.tf.signature_runner import LoadedSignature

        return LoadedSignature(self._saved_model, self._signature, self._outputs, threads=self._threads)

    def run_inference(
        self, batch: Sequence[Any], model: LoadedSignature, inference_args: Mapping[str, Any] | None = None
    ) -> Iterable[PredictionResult]:
        """One PredictionResult an example, in their order."""
        return [
            PredictionResult(example, inference, self._saved_model)
            for example, inference in zip(batch, model.run(list(batch)), strict=True)
        ]

    def validate_inference_args(self, inference_args: Mapping[str, Any] | None) -> None:
        """A signature takes its inputs and nothing else. Raises ValueError."""
        if inference_args:
            raise ValueError(f"a signature takes no arguments beside its inputs, got {', '.join(inference_args)}")

    def get_num_bytes(self, batch: Sequence[Any]) -> int:
        """Bytes of the values of a batch: UTF-8 of strings, what arrays hold."""
        values = (value for row in batch for value in (row.values() if isinstance(row, Mapping) else (row,)))
        return sum(_nbytes(value) for value in values)

    def get_metrics_namespace(self) -> str:
        """Where RunInference's metrics are found."""
        return "BeamML_SavedModel"

    def update_model_path(self, model_path: str | None = None) -> None:
        """Follows Beam's automatic model refresh."""
        self._saved_model = model_path or self._saved_model


def _nbytes(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogatepass"))
    return len(value) if isinstance(value, bytes) else int(np.asarray(value).nbytes)
