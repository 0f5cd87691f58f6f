"""Graphs that can be asked (what feeds this tensor?), compared by fingerprints, and written out anew."""
