"""File formats: from bytes to plain data, without policy and without TensorFlow."""
