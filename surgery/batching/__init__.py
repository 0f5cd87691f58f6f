"""Requests that share a run of a model: padded to one batch, and their answers cut apart again.

sharing     which requests share a run; padding their inputs and cutting their outputs
probing     how a signature behaves, found by running it: the axes that follow the sequence, whether padding is exact

All of it is numpy; a model is a function from inputs to outputs. The model handler of Beam and the Triton server both
run their batches through it.
"""

MASK = "input_mask"
"""[batch, seq], 1 for a token: as an input it allows padding; as an output it says how long each text is."""

BATCH_TOKENS = 2048
"""How many tokens, padding included, a batch of a corpus has at most, unless the caller chooses."""
