"""Taps in the graph of any SavedModel: which tensors there are, which are selected, what is checked."""
