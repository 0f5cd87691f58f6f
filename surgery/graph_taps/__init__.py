"""Taps in the graph of any SavedModel: its tensors are listed, selected by name, and checked once they are outputs."""
