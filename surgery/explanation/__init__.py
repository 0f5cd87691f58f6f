"""Explains a module: its family, its hyperparameters with the evidence for each, and the way of every weight."""
