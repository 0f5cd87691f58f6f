"""The arguments of a call of a layer of Keras 3, and the errors that come out of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from surgery.batching.token_inputs import named
from surgery.errors import SurgeryError, UsageError


def given_tokens(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs by TF Hub's names, from the arguments of the layer's call."""
    keywords = {name: value for name, value in arguments.items() if name not in ("self", "inputs", "training")}
    if any(type(value).__module__.startswith("tf_keras.") for value in tf.nest.flatten([*arguments.values()])):
        raise UsageError(
            "the inputs are of tf_keras, which is Keras 2, and the layer is one of Keras 3",
            hint="make them with `import keras`: where TF_USE_LEGACY_KERAS=1 is set, tf.keras is tf_keras, and "
            "hub.KerasLayer is the layer for it",
        )
    return named(arguments.get("inputs"), keywords)


def int32_of(value: Any, dtype: str) -> tf.Tensor:
    """The value as int32. A number that int32 does not have becomes its nearest, which no embedding table has."""
    value = tf.convert_to_tensor(value)
    return tf.cast(value, dtype) if value.dtype == tf.bool else tf.saturate_cast(value, dtype)


@contextmanager
def errors_as_they_are() -> Iterator[None]:
    """Keras puts the arguments of a call into each error, and loses the hint of ours, unless they say it is done."""
    try:
        yield
    except SurgeryError as error:
        error._keras_call_info_injected = True  # type: ignore[attr-defined]  # keras/src/utils/traceback_utils.py
        raise
