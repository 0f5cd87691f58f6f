"""The last step of `scripts/demo`: the outputs of an export, loaded with plain TensorFlow."""
