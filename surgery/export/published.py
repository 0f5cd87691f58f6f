"""What this process has published. It stands apart, so that a command that publishes nothing imports little."""

from __future__ import annotations

from pathlib import Path

PUBLISHED: list[Path] = []
"""What this process has put into place, in this order. An interrupted command says so with it."""
