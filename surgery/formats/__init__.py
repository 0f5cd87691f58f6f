"""Bytes to plain data, without policy and without TensorFlow."""
