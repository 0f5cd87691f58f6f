"""The files of a module, as `sources.location` hands them to a source."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

SAVED_MODEL = "saved_model.pb"


@dataclass(frozen=True, kw_only=True)
class Files:
    """The files of a module.

    Attributes:
        folder: The folder with the module.
        name: The module's name.
        left_out: Files that stayed in an archive because the weights were not asked for.
        checkpoint: Prefix of the checkpoint that was named, such as "bert_model.ckpt": a folder may hold several. None
            where none was named.
    """

    folder: Path
    name: str
    left_out: frozenset[str] = frozenset()
    checkpoint: str | None = None

    @cached_property
    def saved_model(self) -> Any | None:
        """The parsed `saved_model.pb`; None where there is none. Raises ModuleError when it is damaged."""
        from surgery.formats import saved_model as saved_model_pb

        path = self.folder / SAVED_MODEL
        return saved_model_pb.read(path) if path.is_file() else None

    def glob(self, *patterns: str) -> list[Path]:
        """Paths in the folder itself that match any of the patterns, sorted."""
        return sorted(path for pattern in patterns for path in self.folder.glob(pattern))
