"""Graphs: followed from tensor to tensor through calls, compared by fingerprints, and written out anew."""
