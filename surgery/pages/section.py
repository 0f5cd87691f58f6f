"""A section of a page: a heading, a template, and what the template shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Data = dict[str, Any]
Documents = Mapping[str, Data]
"""The JSON documents of a page, by the command that prints them: `inspect`, `scan`, `verify` …"""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a page under a heading of its own.

    Attributes:
        name: The id of its element, and the name of its template, `templates/<name>.html`.
        title: Its heading.
        view: Takes from the documents what the template shows, as the variable `view`; None where the documents have
            nothing for this section, which is then left out. It gets texts that can be shown (surgery.wording).
        scripts: The files of `scripts/` that it needs, besides `page.js`.
        charts: Whether its scripts draw with Observable Plot.
    """

    name: str
    title: str
    view: Callable[[Documents], Data | None]
    scripts: tuple[str, ...] = ()
    charts: bool = False


def found(documents: Documents, name: str) -> Data | None:
    """A document by its name; None where the page has none, or its command has failed."""
    document = documents.get(name)
    return None if document is None or failure(document) is not None else document


def failure(document: Data) -> Data | None:
    """The error of a document whose command has failed, which has nothing else; None for any other document."""
    error: Data | None = document["error"] if document.keys() == {"schema", "error"} else None
    return error
