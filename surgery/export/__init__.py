"""What leaves the house, without TensorFlow: weights with their hashes, the manifest, one rename."""
