"""Puts a page together: one HTML file with its data, style, scripts and libraries inside, which fetches nothing.

All names come from strangers. They are shown with escapes for what cannot be printed (surgery.wording), jinja2 escapes
them for HTML, and the page's own Content-Security-Policy lets a browser run the scripts of this package only, by their
SHA-256, and open no connection.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup, escape

from surgery.export.manifest import package_versions
from surgery.pages.libraries import CHARTS
from surgery.pages.section import Data, Documents, Section
from surgery.plain import plain
from surgery.wording import all_shown, number, shape_text, size

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = Path(__file__).parent / "scripts"
PACKAGE = "hub-surgery"
FIRST = "page.js"
"""The script of every page."""
_ENDS = re.compile(r"[_/.]+(?=[^_/.])")
"""The ends of a name's parts. Escaped text has none of these characters that the name does not have."""
TOKENS = 8
"""The size of free axes, except the first, in the inputs of the lines that call a signature."""


Views = Sequence[tuple[Section, Data]]
"""Sections, each with what its template shows."""


def views_of(sections: Sequence[Section], documents: Documents) -> Views:
    """The sections that the documents have something for."""
    shown: Mapping[str, Any] = all_shown(dict(documents))
    views = [(section, section.view(shown)) for section in sections]
    return [(section, view) for section, view in views if view is not None]


def render(*, title: str, kind: str, views: Views, documents: Documents) -> str:
    """The HTML of a page.

    Args:
        title: Its heading, such as the name of a module.
        kind: What it is about, in a few words, which stand above the heading.
        views: Its sections, see `views_of`.
        documents: The JSON of commands, from which they are drawn, and which the page has inside.
    """
    libraries = CHARTS if any(section.charts for section, _ in views) else ()
    own = dict.fromkeys([FIRST, *(name for section, _ in views for name in section.scripts)])
    scripts = [library.script() for library in libraries]
    scripts += [(SCRIPTS / name).read_text(encoding="utf-8") for name in own]
    return (
        _environment()
        .get_template("page.html")
        .render(
            title=all_shown(title),
            kind=all_shown(kind),
            sections=views,
            data=htmlsafe_json_dumps(plain(documents)),
            style=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),
            scripts=[Markup(script) for script in scripts],
            hashes=[_hash(script) for script in scripts],
            libraries=libraries,
            version=package_versions([PACKAGE])[PACKAGE],
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
    environment.filters.update(
        breakable=breakable,
        bytes=size,
        shape=shape_text,
        measured=number,
        count="{:,}".format,
        grouped=_grouped,
        counted=_counted,
    )
    environment.filters["python_call"] = _python_call
    return environment


def breakable(name: str) -> Markup:
    """A name whose line a browser may break after `_`, `/` and `.`. Copied from the page, it is the name."""
    return Markup(_ENDS.sub(r"\g<0><wbr>", str(escape(name))))


def _hash(script: str) -> str:
    """The name of an inline script in a Content-Security-Policy."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _counted(count: int, noun: str) -> str:
    """A number with its noun: `1 output`, `1,200 outputs`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _grouped(value: Any) -> str:
    """A value as people read it: whole numbers with separators."""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _python_call(signature: Data, name: str, folder: str, tags: Sequence[str] | None, text_operations: bool) -> str:
    """Lines of Python that call a signature of an export with inputs of ones, which can be run as they are.

    `tags` are those of the signature's meta graph, where the file has several: TensorFlow then asks which one.
    """
    given = "".join(f"    {tensor['key']!r}: {_ones(tensor)},\n" for tensor in signature["inputs"])
    registered = "import tensorflow_text  # registers operations\n" if text_operations else ""
    chosen = "" if tags is None else f", tags={list(tags)!r}"
    return (
        f"import tensorflow as tf\n{registered}\n"
        f"loaded = tf.saved_model.load({folder!r}{chosen})\n"
        f"outputs = loaded.signatures[{name!r}](**{{\n{given}}})"
    )


def _ones(tensor: Data) -> str:
    shape = [size or (1 if axis == 0 else TOKENS) for axis, size in enumerate(tensor["shape"] or [])]
    if tensor["dtype"] == "string":
        return f"tf.fill({shape}, 'a text')"
    return f"tf.ones({shape}, tf.{tensor['dtype']})"
