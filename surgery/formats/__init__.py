"""File formats: from bytes to plain data, without TensorFlow. What the data mean is decided elsewhere."""
