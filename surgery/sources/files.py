"""A module's files on their way to a source."""

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
        folder: the folder with the module.
        name: name of the module.
        left_out: files that stayed in an archive because only the graph was asked for.
        checkpoint: prefix of the one checkpoint that is meant where a folder may hold several ("bert_model.ckpt"); None
            for any other module.
    """

    folder: Path
    name: str
    left_out: frozenset[str] = frozenset()
    checkpoint: str | None = None

    @cached_property
    def saved_model(self) -> Any | None:
        """The parsed `saved_model.pb`, None where there is none. Raises ModuleError when it is damaged."""
        from surgery.formats import saved_model as saved_model_pb

        path = self.folder / SAVED_MODEL
        return saved_model_pb.read(path) if path.is_file() else None

    def glob(self, *patterns: str) -> list[Path]:
        """The files of these names in the folder itself, sorted."""
        return sorted(path for pattern in patterns for path in self.folder.glob(pattern))
