"""The libraries of the charts are the published files, with their licences, and are named where they are used."""

from __future__ import annotations

import hashlib

import pytest

from surgery.pages.libraries import CHARTS, FOLDER
from tests.support.documentation import PAGES


@pytest.mark.parametrize("library", CHARTS, ids=lambda library: library.file)
def test_a_library_is_the_published_file_with_its_licence(library):
    assert hashlib.sha256((FOLDER / library.file).read_bytes()).hexdigest() == library.sha256
    assert library.version in library.read()[:200]
    licence = (FOLDER / library.file.replace(".umd", "").replace(".min.js", ".LICENSE")).read_text()
    assert "Permission to use, copy, modify, and/or distribute this software" in licence
    assert library.owner in licence
    assert "</script" not in library.script().lower()
    assert library.version in PAGES["docs/report.md"]


def test_every_licence_stands_in_the_page_with_its_library():
    scripts = [library.script() for library in CHARTS]
    for path in FOLDER.glob("*.LICENSE"):
        text = path.read_text().strip()
        assert sum(text in script for script in scripts) == 1
        assert "*/" not in text


def test_nothing_else_is_vendored():
    licences = {path.name for path in FOLDER.iterdir()} - {library.file for library in CHARTS}
    assert all(name.endswith(".LICENSE") for name in licences)
