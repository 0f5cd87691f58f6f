"""Recordings come in, a verdict goes out. numpy only: nothing here runs a model."""
