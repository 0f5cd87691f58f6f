"""Two modules side by side: what is equal, what is different, and where. Nothing of them is run.

`sides` describes one of the two, `pairing` says which variables belong together, `values` compares a pair in blocks of
rows, and `blocks` sums up. The other files compare one part each: signatures and calls, architecture, operations,
files.
"""
