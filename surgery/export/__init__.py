"""Exports on their way to disk, without TensorFlow: weights with their hashes, the manifest, publishing by a rename."""
