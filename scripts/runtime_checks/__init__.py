"""The parts of scripts/runtimes.py, and `programs`, which it starts, each in a runtime's own environment."""
