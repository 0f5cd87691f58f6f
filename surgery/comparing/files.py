"""The asset files of two modules: vocabularies by lines, other files by their bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from surgery.explanation.tokenization import VOCABULARY
from surgery.formats.regular_files import check_regular
from surgery.formats.text_files import read_lines
from surgery.module import InspectedModule
from surgery.sources.common import fingerprint
from surgery.sources.files import inside

TEXT = ".txt"


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A line that stands elsewhere.

    Attributes:
        line: The line.
        a: Its number in A, from 0: of a vocabulary, the token's id.
        b: Its number in B.
    """

    line: str
    a: int
    b: int


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Two text files, line by line.

    Attributes:
        a: Lines of A.
        b: Lines of B.
        added: Lines that only B has, with their numbers in B, from 0.
        removed: Lines that only A has, with their numbers in A.
        moved: Lines of both that have another number.
    """

    a: int
    b: int
    added: tuple[tuple[int, str], ...]
    removed: tuple[tuple[int, str], ...]
    moved: tuple[Moved, ...]


@dataclass(frozen=True, kw_only=True)
class FileDifference:
    """An asset that differs.

    Attributes:
        name: The attribute under which the module has it, such as "vocab_file", or its path.
        a: Its path in A, relative to the folder; None where A has none.
        b: Its path in B; None where B has none.
        sizes: Its bytes in A and in B; None for a file that is missing.
        lines: A text file's lines that differ; None for other files, and where only one side has it.
        reason: Why it could not be read as lines.
    """

    name: str
    a: str | None
    b: str | None
    sizes: tuple[int | None, int | None]
    lines: Lines | None = None
    reason: str | None = None


def compare_assets(a: InspectedModule, b: InspectedModule) -> tuple[FileDifference, ...]:
    """The assets that differ, paired by the attribute under which the modules have them.

    Raises ModuleError for an asset that is no regular file, or lies outside of its module, and LimitError for a
    vocabulary that is too large.
    """
    found = []
    for name in dict.fromkeys([*a.assets, *b.assets]):
        names = (a.assets.get(name), b.assets.get(name))
        paths = [_path(module, file) for module, file in zip((a, b), names, strict=True)]
        sizes = (_size(paths[0]), _size(paths[1]))
        digests = [fingerprint(Path(one.folder), file or "") for one, file in zip((a, b), names, strict=True)]
        if None not in sizes and set(digests[0].values()) == set(digests[1].values()):
            continue
        lines, reason = None, None
        if name == VOCABULARY or any((file or "").endswith(TEXT) for file in names):
            try:
                texts = [None if path is None else read_lines(path) for path in paths]
                if texts[0] is not None and texts[1] is not None:
                    lines = compare_lines(texts[0], texts[1])
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or str(error)
        found.append(FileDifference(name=name, a=names[0], b=names[1], sizes=sizes, lines=lines, reason=reason))
    return tuple(found)


def vocabulary(module: InspectedModule) -> tuple[str, ...]:
    """The words of a module's WordPiece vocabulary by their ids; empty where there is none that can be read."""
    path = _path(module, module.assets.get(VOCABULARY))
    try:
        return () if path is None else tuple(read_lines(path))
    except (OSError, ValueError):
        return ()


def compare_lines(a: list[str], b: list[str]) -> Lines:
    """The lines that differ. The second one of two equal lines is compared with the second one there."""
    one, other = _numbered(a), _numbered(b)
    return Lines(
        a=len(a),
        b=len(b),
        added=tuple((number, key[0]) for key, number in other.items() if key not in one),
        removed=tuple((number, key[0]) for key, number in one.items() if key not in other),
        moved=tuple(
            Moved(line=key[0], a=number, b=other[key])
            for key, number in one.items()
            if key in other and other[key] != number
        ),
    )


def _numbered(lines: Iterable[str]) -> Mapping[tuple[str, int], int]:
    """The number of each line, by the line and how often it stood before."""
    seen: Counter[str] = Counter()
    found = {}
    for number, line in enumerate(lines):
        found[line, seen[line]] = number
        seen[line] += 1
    return found


def _path(module: InspectedModule, file: str | None) -> Path | None:
    if file is None:
        return None
    path = inside(Path(module.folder), file)
    check_regular(path)
    return path if path.exists() else None


def _size(path: Path | None) -> int | None:
    return None if path is None else path.stat().st_size
