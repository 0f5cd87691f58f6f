"""The only folder that imports TensorFlow. What must be set before TensorFlow loads is set here, and nothing else.

Model Garden's encoders are Keras 2 (`tf_keras`); TF_USE_LEGACY_KERAS keeps `tf.keras` and tensorflow_hub on the
same side. TF_CPP_MIN_LOG_LEVEL keeps TensorFlow's C++ chatter away from a reader of stderr.
"""

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
