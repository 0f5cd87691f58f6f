"""A model handler for Beam's RunInference that runs a signature of any SavedModel by the names of its inputs.

Beam's own handler for TensorFlow loads with Keras and calls the model with one stacked array, so it accepts only
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

from surgery import limits
from surgery.paths import at_home

if TYPE_CHECKING:
    from surgery.tf.signature_runner import LoadedSignature

if base.resource is None:
    # Beam 2.77 loses it where torch is not installed (one `try` around both imports), and with it a model's bytes.
    base.resource = resource


class SavedModelHandler(ModelHandler[Any, PredictionResult, "LoadedSignature"]):  # type: ignore[misc]
    """Runs one signature of a SavedModel and returns the named outputs.

        texts | RunInference(SavedModelHandler("exported/bert_text/1", "text", ["pooled_output"]))

    An example is a mapping by input, or the value itself where the signature has one input: a string, or an array
    without batch axis, such as int32 [seq]. If the signature takes `input_mask`, examples of a batch may differ in
    length. They are padded where the mask hides padding, and run apart where the model sees it. The prediction's
    `inference` maps each output to an array without batch axis and without padding, such as float32 [seq, hidden].

    Args:
        saved_model: The SavedModel's folder, which every worker must be able to open.
        signature: The signature's name.
        outputs: The outputs to return; None for all. Other outputs are not computed.
        threads: Computing threads in a worker process. None takes every core, which is too many where several
            processes share a machine.
        trust: Runs a SavedModel that could do more than compute (see `surgery.scan`).
        **batching: Options of every ModelHandler: `min_batch_size`, `max_batch_size`, `max_batch_weight` with
            `element_size_fn`, `batch_length_fn`, `large_model`, ...

    Raises (in the worker):
        ModuleError: The path cannot be opened, or is no SavedModel.
        UsageError: The signature or an output does not exist, or an output has no row for each example.
        UntrustedError: The SavedModel could do more than compute, and `trust` is False.
    """

    def __init__(
        self,
        saved_model: str | PathLike[str],
        signature: str = "serving_default",
        outputs: Sequence[str] | None = None,
        *,
        threads: int | None = None,
        trust: bool = False,
        **batching: Any,
    ) -> None:
        super().__init__(**batching)
        self._saved_model = fspath(at_home(saved_model))
        self._signature = signature
        self._outputs = None if outputs is None else tuple(outputs)
        self._threads = threads
        self._trust = trust
        self._limits = dict(limits.changed())  # a worker is another process

    def load_model(self) -> LoadedSignature:
        """The signature, ready to run. Beam calls this once per worker process."""
        from surgery.tf.memory import importing

        with importing():
            from surgery.tf.signature_runner import LoadedSignature

        with limits.raised(self._limits):
            return LoadedSignature(
                self._saved_model, self._signature, self._outputs, threads=self._threads, trust=self._trust
            )

    def run_inference(
        self, batch: Sequence[Any], model: LoadedSignature, inference_args: Mapping[str, Any] | None = None
    ) -> Iterable[PredictionResult]:
        """One PredictionResult per example, in the order of the examples."""
        with limits.raised(self._limits):
            found = model.run(list(batch))
        return [
            PredictionResult(example, inference, self._saved_model)
            for example, inference in zip(batch, found, strict=True)
        ]

    def validate_inference_args(self, inference_args: Mapping[str, Any] | None) -> None:
        """Raises ValueError for any argument: a signature takes its inputs and nothing else."""
        if inference_args:
            raise ValueError(f"a signature takes no arguments beside its inputs, got {', '.join(inference_args)}")

    def get_num_bytes(self, batch: Sequence[Any]) -> int:
        """Bytes of the values of a batch; strings count in UTF-8."""
        values = (value for row in batch for value in (row.values() if isinstance(row, Mapping) else (row,)))
        return sum(_nbytes(value) for value in values)

    def get_metrics_namespace(self) -> str:
        """The namespace of RunInference's metrics."""
        return "BeamML_SavedModel"

    def update_model_path(self, model_path: str | None = None) -> None:
        """Follows Beam's automatic model refresh."""
        self._saved_model = model_path or self._saved_model


def _nbytes(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogatepass"))
    return len(value) if isinstance(value, bytes) else int(np.asarray(value).nbytes)
