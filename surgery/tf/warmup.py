"""Writes TensorFlow Serving's warm-up records, reads them back and runs them, both as the server does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from surgery.arguments import argument
from surgery.errors import ModuleError, WriteError
from surgery.module import SERVE
from surgery.progress import Progress
from surgery.scanning.gate import Cleared
from surgery.tf.reasons import reason
from surgery.tf.session import SavedModelSession
from surgery.tfserving.requests import WarmupRequest


def prediction_log(model: str, request: WarmupRequest) -> Any:
    """A request as the PredictionLog that the server would write for it."""
    log = prediction_log_pb2.PredictionLog()
    predict = log.predict_log.request
    predict.model_spec.name = model
    predict.model_spec.signature_name = request.signature
    for key, (dtype, value) in request.inputs.items():
        predict.inputs[key].CopyFrom(tf.make_tensor_proto(value, dtype=dtype))
    return log


def write_logs(logs: Sequence[Any], path: Path) -> None:
    """Writes an uncompressed TFRecord file. Raises WriteError when it cannot be written."""
    try:
        with tf.io.TFRecordWriter(str(path)) as writer:
            for log in logs:
                writer.write(log.SerializeToString())
    except (tf.errors.OpError, OSError) as error:
        raise WriteError(
            f"writing the warm-up requests {path.name}: {reason(error)}", hint="check free space and permissions"
        ) from error


def read_logs(path: Path, expected: Sequence[Any]) -> list[Any]:
    """The records of a file. Raises WriteError when they cannot be read or are not the expected ones."""
    try:
        records = list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())
        found = [prediction_log_pb2.PredictionLog.FromString(record) for record in records]
    except (tf.errors.OpError, ValueError) as error:
        raise WriteError(f"reading the warm-up requests {path.name} back: {reason(error)}") from error
    if found != list(expected):
        raise WriteError(
            f"reading the warm-up requests {path.name} back: expected {len(expected)} records as they were written, "
            f"found {len(found)} that differ",
            hint="check the destination's disk",
        )
    return found


def replay_logs(
    cleared: Cleared,
    requests: Sequence[WarmupRequest],
    logs: Sequence[Any],
    progress: Progress,
    *,
    with_text: bool,
) -> None:
    """Runs each record on the SavedModel in a session, with every output of its signature, as the server does.

    `with_text` registers the operations of TensorFlow Text. Raises ModuleError for the first record that cannot be run.
    """
    if with_text:
        import tensorflow_text  # registers the operations  # noqa: F401
    progress("replay the warm-up", 0, len(logs))
    with SavedModelSession(cleared, SERVE) as session:
        for number, (request, log) in enumerate(zip(requests, logs, strict=True), 1):
            asked = log.predict_log.request
            try:
                run = session.signature(asked.model_spec.signature_name)
                run({key: tf.make_ndarray(tensor) for key, tensor in asked.inputs.items()})
            except (ModuleError, ValueError, TypeError, KeyError) as error:
                raise ModuleError(
                    f"replaying the warm-up request {number} of {len(logs)} (signature {request.signature}, "
                    f"{request.label}): {error.message if isinstance(error, ModuleError) else reason(error)}",
                    hint="the server would refuse this version: leave the signature out with "
                    + argument("signatures", "NAME"),
                ) from error
            progress("replay the warm-up", number, len(logs))
