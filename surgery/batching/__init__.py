"""Requests that share a run of a model: they are padded to one batch, and the outputs are cut apart again.

sharing       which requests share a run; padding their inputs and cutting their outputs
bounds        the most that a request may ask for, and the values that BERT's inputs may have
token_inputs  the forms in which people pass tokens to a model: `[ids, mask]`, `input_ids`, int64, without a mask
token_arrays  the same as numpy arrays of int32, of which no number may change
probing       how a signature behaves, found by running it: the axes that follow the sequence, whether padding is exact
texts         batches of texts of similar length

`token_inputs` knows no framework; everything else here is numpy. A model is a function from inputs to outputs. The
model handler of Beam, the Triton server and `surgery.load` run their batches with this package.
"""

WORD_IDS, TYPE_IDS = "input_word_ids", "input_type_ids"
"""Keys of the token ids and the token types, both [batch, seq]."""
MASK = "input_mask"
"""Key of the mask, [batch, seq], 1 for a token. As an input it allows padding; as an output it shows text lengths."""
TOKEN_INPUTS = (WORD_IDS, MASK, TYPE_IDS)
"""The inputs of a BERT by TF Hub's names, in the order of a list. RoBERTa's and DistilBERT's lack the types."""

BATCH_TOKENS = 2048
"""The most tokens of a batch of a corpus, padding included, unless the caller sets another number."""
