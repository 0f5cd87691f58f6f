"""Load an exported module with plain TensorFlow, and list what `serving_default` returns."""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read by TensorFlow as it loads

import tensorflow as tf

exported = tf.saved_model.load(sys.argv[1])
serving_default = exported.signatures["serving_default"]

outputs = serving_default.structured_outputs
width = max(len(name) for name in outputs)
for name in sorted(outputs):
    print(f"{name:{width}}  {outputs[name].dtype.name}  {tuple(outputs[name].shape)}")
