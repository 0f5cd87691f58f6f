"""The parts of two modules that are compared, and the exit code for two that differ."""

from __future__ import annotations

PARTS = (
    *("format", "signatures", "calls", "architecture", "constants", "operations", "assets", "manifest", "variables"),
)
"""What is compared, in the order of the report."""

NUMBERS = "numbers"
"""The part that is compared only if it is asked for, because it runs both modules."""

DIFFERENT = 8
"""The exit code of `surgery diff` for two modules that differ, which is no error; see surgery.errors for the others."""
