"""A layer of Keras 3 around an export: `surgery.keras.Encoder`. It is fine-tuned, saved and exported as any layer is.

It needs Keras 3 (the extra `keras`) on its TensorFlow backend, and no tf_keras. Importing this module imports both
TensorFlow and Keras. `tf.keras` stays what it is in the process: Keras 3, unless TF_USE_LEGACY_KERAS says otherwise.
"""

from __future__ import annotations

try:
    # Keras 3 comes first: what is imported after it leaves `tf.keras` alone (see surgery.tf).
    import keras
except ImportError as error:
    raise ImportError(
        f"surgery.keras needs Keras 3 and the package of its backend ({error}): pip install 'hub-surgery[keras]', "
        "and set KERAS_BACKEND=tensorflow"
    ) from error
if not hasattr(keras, "ops"):
    raise ImportError(f"surgery.keras needs Keras 3, found Keras {keras.__version__}: pip install 'hub-surgery[keras]'")
from surgery.tf.keras_layer import Encoder

__all__ = ["Encoder"]
