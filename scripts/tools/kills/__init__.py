"""`scripts/kills`: conversions that are killed at random times.

scenarios   what is converted to where, and the state of a destination: absent, old, new, or neither
trial       one conversion in a process of its own, which a signal ends
"""
