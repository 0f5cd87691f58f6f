"""The only folder that imports TensorFlow. This file only prepares what TensorFlow reads while it loads.

Model Garden's encoders are Keras 2 (`tf_keras`); TF_USE_LEGACY_KERAS makes `tf.keras` and tensorflow_hub use Keras 2 as
well. A process that has imported Keras 3 goes on with it as `tf.keras`: surgery and Model Garden name tf_keras
themselves. TF_CPP_MIN_LOG_LEVEL keeps the messages of TensorFlow's C++ code off stderr; `messages` does that for
Python's.
"""

import os
import sys

import surgery.tf.messages  # noqa: F401

if "keras" not in sys.modules:
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
