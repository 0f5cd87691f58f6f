"""Writes the generated page of docs/: the commands and their help texts."""
