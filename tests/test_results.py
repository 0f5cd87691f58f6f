"""Results at a prompt and in a notebook: a few lines, the JSON and the tables of the command line, no lost folder."""

from __future__ import annotations

import html
import inspect
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import surgery
from surgery.cli.main import main
from surgery.edits import KeepBlocks
from surgery.jobs.texts import _closed
from surgery.reports import notebook
from surgery.results import Brief, Result, in_brief
from tests.support import documents
from tests.support.builders.common import PACKED
from tests.support.hostile_names import HOSTILE
from tests.support.running import environment

ARCHIVE = PACKED / "g3_small.tar.gz"
READ = {
    "inspect": lambda module: surgery.inspect(module),
    "scan": lambda module: surgery.scan(module),
    "plan": lambda module: surgery.plan(module, "out/1"),
    "taps": lambda module: surgery.taps(module),
    "graph": lambda module: surgery.graph(module),
    "diff": lambda module: surgery.diff(module, module),
    "edit": lambda module: surgery.edit(module, KeepBlocks("0:2")),
}
TYPES = [kind for name in surgery.__all__ if inspect.isclass(kind := getattr(surgery, name))]


@pytest.fixture(scope="module")
def results(modules, tmp_path_factory) -> dict[str, Any]:
    """A result of every kind that needs no TensorFlow, of an archive where a module can be one."""
    found: dict[str, Any] = {name: read(ARCHIVE) for name, read in READ.items()}
    found["serving"] = surgery.serving(modules("g3_small"))
    found["parity"] = documents.report()
    found["architecture"] = found["plan"].architecture
    found["tapping"] = documents.tapping(ARCHIVE)
    found["preprocessor"] = documents.preprocessor()
    return found


def below(value: Any, seen: set[int]) -> Iterator[Any]:
    """A value and everything that its attributes lead to."""
    if id(value) in seen:
        return
    seen.add(id(value))
    yield value
    if is_dataclass(value) and not isinstance(value, type):
        inner = [getattr(value, field.name) for field in fields(value)]
    elif isinstance(value, Mapping):
        inner = [*value.keys(), *value.values()]
    elif isinstance(value, tuple | list | set | frozenset):
        inner = list(value)
    else:
        inner = []
    for item in inner:
        yield from below(item, seen)


def test_every_result_shows_itself():
    """All types of the public interface but errors, requests, and findings, which are a line each."""
    plain = {surgery.Tap, surgery.Feature, surgery.Finding}
    shown = [kind for kind in TYPES if not issubclass(kind, Exception) and kind not in plain]
    assert all(issubclass(kind, Brief) and kind.__repr__ is Brief.__repr__ for kind in shown)
    data = {surgery.LoadedExport, surgery.Attention, surgery.Similarity}
    assert {kind for kind in shown if not issubclass(kind, Result)} == data


def test_a_repr_fits_a_few_lines_and_leads_on(results):
    for name, result in results.items():
        lines = repr(result).splitlines()
        assert len(lines) <= 9, name
        assert max(map(len, lines)) <= 100, name
        assert lines[-1].startswith("see also ."), name
        assert lines[-1].endswith(".to_dict()"), name
        for attribute in re.findall(r"(?<=[(, ])(\w+)=", " ".join(lines)):
            assert hasattr(result, attribute) or attribute in ("port", "rest_api_port"), (name, attribute)
        for method in re.findall(r"\.(\w+)\(\)", lines[-1]):
            assert callable(getattr(result, method))
    assert "variables=<72 VariableInfo>" in repr(results["inspect"])
    assert "clean=True" in repr(results["scan"])


def test_what_a_result_leads_to_is_brief_too(results):
    for name, result in results.items():
        for attribute in (field.name for field in fields(result)):
            value = getattr(result, attribute)
            if is_dataclass(value):
                assert len(repr(value)) < 1500, (name, attribute)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Path("a/b"), "'a/b'"),
        ("x" * 100, repr("x" * 59 + "…")),
        ("a\x1b[2J\u202e", r"'a\x1b[2J\u202e'"),
        ({"a": (1, 2)}, "{'a': (1, 2)}"),
        (("serve",), "('serve',)"),
        (tuple(range(50)), "<50 int>"),
        (dict.fromkeys(range(50)), "<50 entries>"),
        (["a", 1] * 40, "<80 items>"),
        (np.zeros((2, 3), np.float32), "<ndarray float32 [2, 3]>"),
        (None, "None"),
        (0.5, "0.5"),
    ],
    ids=ascii,
)
def test_values_in_brief(value, shown):
    assert in_brief(value) == shown


@pytest.mark.parametrize("command", ["inspect", "scan", "plan", "taps", "graph"])
def test_to_dict_is_the_json_of_the_command_line_and_html_its_tables(command, results, monkeypatch):
    result = READ[command](ARCHIVE) if command != "plan" else surgery.plan(ARCHIVE)
    assert documents.printed(command, ARCHIVE) == result.to_dict()
    monkeypatch.setenv("COLUMNS", str(notebook.WIDTH))
    monkeypatch.setattr(notebook, "LINES", 10**6)
    if command == "graph":  # a pipe gets the rows alone
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    printed = CliRunner().invoke(main, [command, str(ARCHIVE)]).stdout.strip("\n")
    text = html.unescape(re.sub(r"<[^>]*>", "", result._repr_html_())).strip("\n")
    assert text.splitlines()[-len(printed.splitlines()) :] == printed.splitlines()


def test_html_has_only_colours_that_can_be_read_on_white_and_on_black(results):
    def contrast(colour: str, ground: float) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        light = sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
        return (max(light, ground) + 0.05) / (min(light, ground) + 0.05)

    shown = "".join(result._repr_html_() for result in results.values())
    colours = set(re.findall(r"(?<!-)color: (\S+?)[;\"]", shown))
    assert len(colours) > 3
    assert all(min(contrast(colour, 0), contrast(colour, 1)) > 3 for colour in colours - {"inherit"})
    assert "background-color" not in shown


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_names_of_strangers_are_no_html(name):
    found = surgery.inspect(ARCHIVE)
    named = f"<script>alert(1)</script>{name}"
    shown = replace(found, module=replace(found.module, name=named))._repr_html_()
    assert set(re.findall(r"</?([a-z]+)", re.sub(r"&\w+;", "", shown))) == {"pre", "span"}
    assert "&lt;script&gt;" in shown
    assert all(character.isprintable() or character == "\n" for character in shown)


def test_a_long_report_is_cut_in_a_notebook_and_says_so(results):
    shown = results["graph"]._repr_html_()
    assert len(shown.splitlines()) == notebook.LINES + 1
    assert shown.endswith("more lines; .to_dict() has everything</pre>")
    assert shown.count("<span") == shown.count("</span>")


@pytest.mark.parametrize("name", list(READ))
def test_a_result_of_an_archive_names_no_folder_that_is_gone(name, tmp_path, monkeypatch):
    """Unpacked files are gone when the function returns; the archive is still there."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    result = READ[name](ARCHIVE)
    for value in below(result, set()):
        if isinstance(value, str | PurePath):
            assert str(tmp_path) not in str(value)
    folders = {str(value.folder) for value in below(result, set()) if hasattr(value, "folder")}
    assert folders <= {str(ARCHIVE)}
    assert list(tmp_path.iterdir()) == []


def test_a_module_without_a_graph_has_a_repr():
    shown = repr(surgery.inspect(PACKED / "hf_bert.tar.gz").module)
    assert shown.startswith("InspectedModule(name='hf_bert', ")
    assert "inference_graph" not in shown


def test_a_checkpoint_of_an_archive_names_no_folder_that_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    done = surgery.checkpoint(ARCHIVE, out := tmp_path / "out", lower_case=True)
    named = {str(value.folder) for value in below(done, set()) if hasattr(value, "folder")}
    assert named == {str(ARCHIVE), str(out)}
    texts = [str(value) for value in below(done, set()) if isinstance(value, str | PurePath)]
    assert [text for text in texts if str(tmp_path) in text and not Path(text).exists()] == []
    assert done.planned.tokenization.file == out / "vocab.txt"


def test_the_vocabulary_of_an_archive_is_the_published_one(tmp_path):
    tokenization = documents.preprocessor().tokenization
    gone = replace(tokenization, file=tmp_path / "gone" / "vocab.txt")
    assert _closed(gone, tmp_path / "out").file == Path("vocab.txt")
    (tmp_path / "out" / "assets").mkdir(parents=True)
    (tmp_path / "out" / "assets" / "vocab.txt").touch()
    assert _closed(gone, tmp_path / "out").file == tmp_path / "out" / "assets" / "vocab.txt"


def test_a_repr_imports_neither_rich_nor_a_report():
    code = (
        "import sys, surgery; repr(surgery.inspect(sys.argv[1]))\n"
        "print([n for n in sys.modules if n == 'rich' or n.startswith('surgery.reports')])"
    )
    command = [sys.executable, "-c", code, str(ARCHIVE)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=True)
    assert done.stdout == "[]\n"
