"""The only folder that imports TensorFlow. This file only prepares what TensorFlow reads while it loads.

Model Garden's encoders are Keras 2 (`tf_keras`); TF_USE_LEGACY_KERAS makes `tf.keras` and tensorflow_hub use Keras 2 as
well. A process that has imported Keras 3 goes on with it as `tf.keras`: surgery and Model Garden name tf_keras
themselves. TF_CPP_MIN_LOG_LEVEL keeps the messages of TensorFlow's C++ code off stderr; `messages` does that for
Python's.

A SavedModel is opened and run:

loading · operations · meta_graph         handed to TensorFlow after the gate, with its operations
session · merged                          in a v1 Session: its signatures, and merged graphs, also in float64
signature_runner · token_types            one signature, run on rows
traced_signature · tapped_signature       signatures as tf.functions, with fewer or more outputs
graph_tap · warmup · mixed_precision      jobs on one SavedModel: more outputs, warm-up records, bfloat16
recording                                 a module and its export, recorded on the battery

An encoder is built, filled and written:

building · encoder · layers               by a recipe, with the weights; its layers found and watched
activations · distilbert · roberta        what Model Garden lacks
edited_blocks · features                  edits of its blocks; block outputs mixed and pooled
fused · token_rows                        the same formulas in the operations that TensorFlow fuses
in_memory                                 run before they are written
export · text_export · flat_outputs       written as SavedModels, of tokens and of texts

keras_layer · keras_calls                 an export as a layer of Keras 3
keras_variables · kept_export             its weights and files
resolve                                   a handle, fetched by the library made for it
memory · messages · reasons · time_limit  what TensorFlow leaves behind, says, and takes too long for
"""

import os
import sys

import surgery.tf.messages  # noqa: F401

if "keras" not in sys.modules:
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
