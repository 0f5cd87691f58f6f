"""The conversions that are killed, and the states of their destinations."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import surgery
from surgery.errors import SurgeryError

ABSENT, OLD, NEW = "absent", "old", "new"
MARK = "assets/old.txt"
"""A file that only an old export has."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A conversion that is repeated.

    Attributes:
        name: Its name in the table.
        archive: True if the module is an archive, which is unpacked into a scratch folder; False for a folder.
        options: Options of `surgery convert`.
    """

    name: str
    archive: bool
    options: tuple[str, ...] = ()

    @property
    def overwrites(self) -> bool:
        """True if the destination has an old export before each conversion."""
        return "--overwrite" in self.options

    @property
    def exports(self) -> tuple[str, ...]:
        """The folders that it publishes, from the folder in which it runs."""
        return ("out/bert/1", "out/bert_text/1") if "--text" in self.options else ("out/bert/1",)

    def command(self, module: Path, archive: Path) -> list[str]:
        """The arguments of `surgery`."""
        return ["convert", str(archive if self.archive else module), self.exports[0], *self.options]


SCENARIOS = (
    Scenario(name="folder", archive=False),
    Scenario(name="archive", archive=True),
    Scenario(name="archive --overwrite", archive=True, options=("--overwrite",)),
    Scenario(name="folder --text", archive=False, options=("--text",)),
    Scenario(name="archive --text --overwrite", archive=True, options=("--text", "--overwrite")),
)


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file, by its path in the folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def state(folder: Path, whole: dict[str, str]) -> str:
    """ABSENT, OLD or NEW for an export that is whole; otherwise what is wrong with it.

    `whole` are the digests of the same export after a conversion that nobody killed. The weights of a new one must have
    the same bytes, and its graph and manifest, which may differ from run to run, must be readable.
    """
    if not folder.exists():
        return ABSENT
    found = digests(folder)
    old = found.pop(MARK, None) is not None
    if found.keys() != whole.keys():
        return f"files {sorted(found.keys() ^ whole.keys())}"
    differing = [name for name in found if found[name] != whole[name] and not name.endswith((".pb", ".json", ".index"))]
    if differing or (old and found != whole):
        return f"other bytes in {differing or 'an old export'}"
    try:
        problems = surgery.inspect(folder).module.problems
    except SurgeryError as error:
        return str(error)
    return "; ".join(problems) or (OLD if old else NEW)
