"""Processes: how children are started and end, what signals do, and the scratch folders that a run removes."""
