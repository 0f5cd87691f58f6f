"""What `scripts/demo` shows last: the outputs of an export, loaded with plain TensorFlow."""
