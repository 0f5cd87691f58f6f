"""What a signature is fed: the plain tensors that it takes, and the values that a caller gives for them."""
