"""Writes a page in one step: the file is whole and new, or as it was before."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from surgery.arguments import argument
from surgery.errors import UsageError, WriteError
from surgery.export.publish import check_apart, check_parents, publish_file, staging

SUFFIXES = (".html", ".htm")


def check_page(page: Path, read: Iterable[str | Path | None], *, overwrite: bool) -> None:
    """Checks that a page can be written, before anything slow. `read` are the modules that it is about.

    Raises UsageError for a file that is there already, unless `overwrite` is given, that lies inside a module, or whose
    name is not that of a page; WriteError below a file.
    """
    check_parents(page)
    check_apart([page], read)
    if page.suffix.lower() not in SUFFIXES:
        raise UsageError(f"writing to {page}: expected the name of an .html file", hint=f"write to {page}.html")
    if page.is_dir():
        raise UsageError(f"writing to {page}: it is a folder", hint="choose another file")
    if page.exists() and not overwrite:
        raise UsageError(
            f"writing to {page}: it exists already",
            hint=f"choose another file, or give {argument('overwrite', True)}",
        )


def write_page(html: str, page: Path) -> None:
    """Writes a page. Raises WriteError; the file is then as it was before."""
    with staging(page) as folder:
        staged = folder / page.name
        try:
            staged.write_text(html, encoding="utf-8")
        except OSError as error:
            raise WriteError(
                f"writing {page}: {error.strerror or error}", hint="check free space and permissions"
            ) from error
        publish_file(staged, page)
