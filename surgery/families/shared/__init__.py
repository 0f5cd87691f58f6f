"""Rows and taps that several families share."""
