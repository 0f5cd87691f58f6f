"""`scripts/runtimes`, and the `programs` that it starts, each in the environment of its runtime."""
