"""A page of HTML as its elements, by the parser of the standard library."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from surgery.pages.rendering import render, views_of
from surgery.pages.section import Documents, Section

VOID = frozenset({"meta", "br", "link", "img", "input", "hr"})


@dataclass
class Element:
    """An element, with the elements and texts inside it."""

    tag: str
    attributes: dict[str, str]
    inside: list[Element | str] = field(default_factory=list)

    def all(self, tag: str | None = None, **attributes: str) -> list[Element]:
        """The elements inside it that have this tag and these attributes (`class_` for class)."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [e for e in self._each() if tag in (None, e.tag) and wanted.items() <= e.attributes.items()]

    def one(self, tag: str | None = None, **attributes: str) -> Element:
        (found,) = self.all(tag, **attributes)
        return found

    @property
    def text(self) -> str:
        """All texts inside it, with single blanks."""
        return " ".join("".join(self._texts()).split())

    def _each(self) -> Iterator[Element]:
        for item in self.inside:
            if isinstance(item, Element):
                yield item
                yield from item._each()

    def _texts(self) -> Iterator[str]:
        for item in self.inside:
            if isinstance(item, Element):
                yield from (() if item.tag in ("script", "style") else item._texts())
                yield " "
            else:
                yield item


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("root", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "wbr":  # where a line may break: no part of the text
            return
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].inside.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].inside.append(data)


def parsed(html: str) -> Element:
    """The page. Every element that is opened must be closed, in order."""
    parser = _Parser()
    parser.feed(html)
    parser.close()
    assert parser.open == [parser.root], [element.tag for element in parser.open]
    return parser.root


def documents_in(page: Element) -> dict[str, Any]:
    """The JSON inside a page."""
    (data,) = page.one("script", id="documents").inside
    assert isinstance(data, str)
    found: dict[str, Any] = json.loads(data)
    return found


def rendered(documents: Documents, sections: Sequence[Section], title: str = "t", kind: str = "k") -> str:
    """The HTML of a page."""
    return render(title=title, kind=kind, views=views_of(sections, documents), documents=documents)
