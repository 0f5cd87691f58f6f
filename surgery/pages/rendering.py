"""Puts a page together: one HTML file with its data, style, scripts and libraries inside, which fetches nothing.

All names come from strangers. They are shown with escapes for what cannot be printed (surgery.wording), jinja2 escapes
them for HTML, and the page's own Content-Security-Policy lets a browser run the scripts of this package only, by their
SHA-256, and open no connection.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from surgery.pages.libraries import CHARTS
from surgery.pages.section import Documents, Section
from surgery.wording import all_shown, number, shape_text, size

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = Path(__file__).parent / "scripts"
FIRST = "page.js"
"""The script of every page."""


def render(*, title: str, kind: str, sections: Sequence[Section], documents: Documents) -> str:
    """The HTML of a page.

    Args:
        title: Its heading, such as the name of a module.
        kind: What it is about, in a few words, which stand above the heading.
        sections: Its sections. Those for which the documents have nothing are left out.
        documents: The JSON of commands, from which the sections are drawn, and which the page has inside.
    """
    shown: Mapping[str, Any] = all_shown(dict(documents))
    views = [(section, section.view(shown)) for section in sections]
    drawn = [(section, view) for section, view in views if view is not None]
    libraries = CHARTS if any(section.charts for section, _ in drawn) else ()
    own = dict.fromkeys([FIRST, *(name for section, _ in drawn for name in section.scripts)])
    scripts = [library.read() for library in libraries]
    scripts += [(SCRIPTS / name).read_text(encoding="utf-8") for name in own]
    return (
        _environment()
        .get_template("page.html")
        .render(
            title=all_shown(title),
            kind=all_shown(kind),
            sections=drawn,
            data=htmlsafe_json_dumps(documents),
            style=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),
            scripts=[Markup(script) for script in scripts],
            hashes=[_hash(script) for script in scripts],
            libraries=libraries,
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(bytes=size, shape=shape_text, measured=number, count="{:,}".format)
    return environment


def _hash(script: str) -> str:
    """The name of an inline script in a Content-Security-Policy."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
