"""The file of a page: written in one step, refused where it would replace or spoil another, without TensorFlow."""

from __future__ import annotations

from pathlib import Path

import pytest

import surgery
from surgery.cli.main import _runs
from surgery.jobs import convert
from tests.support.module_pages import proof, write_export
from tests.support.probing import EXTRAS, HEAVY, imported


@pytest.fixture(scope="module")
def export(modules, tmp_path_factory) -> Path:
    return write_export(modules, tmp_path_factory.mktemp("exported") / "g4_bert_mlm" / "1")


def test_a_file_that_is_there_is_replaced_only_if_that_is_asked_for_and_in_one_step(modules, tmp_path, monkeypatch):
    module, page = modules("g3_small"), tmp_path / "page.html"
    page.write_text("mine")
    for destination, message in (
        (page, "it exists already"),
        (tmp_path / "page.txt", "expected the name of an .html file"),
        (module / "page.html", "it lies inside"),
    ):
        with pytest.raises(surgery.UsageError, match=message):
            surgery.report(module, destination)
    with pytest.raises(surgery.WriteError):
        surgery.report(module, page / "page.html")

    def full(*_: object) -> None:
        raise OSError(28, "No space left")

    monkeypatch.setattr("surgery.export.publish.os.replace", full)
    with pytest.raises(surgery.WriteError, match="No space left"):
        surgery.report(module, page, overwrite=True)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("page.html", "mine")]
    monkeypatch.undo()
    assert surgery.report(module, page, overwrite=True).page == page
    assert page.stat().st_size == len(page.read_bytes()) > 10_000
    monkeypatch.chdir(tmp_path)
    assert surgery.report(module).page == Path("g3_small.html")


def test_a_report_without_numbers_needs_no_tensorflow(export, tmp_path):
    code, found = imported("report", export, "-o", tmp_path / "page.html")
    assert (code, [name for name in (*HEAVY, *EXTRAS) if name in found]) == (0, [])
    assert "jinja2" not in imported("inspect", export)[1]


@pytest.mark.parametrize("option", [["--verify", "module"], ["--verify=module"], ["--text", "a text"]], ids=" ".join)
def test_a_report_that_runs_a_module_goes_on_in_a_child(option):
    assert _runs(["report", "export", *option])
    assert not _runs(["report", "export", "-o", "page.html"])


def test_a_page_that_cannot_be_written_leaves_an_export_that_is_published_and_the_error_says_so(modules, monkeypatch):
    def full(*_: object) -> None:
        raise surgery.WriteError("writing page.html: No space left", hint="make room")

    monkeypatch.setattr(convert, "documents_of", lambda _: {})
    monkeypatch.setattr(convert, "write_report", full)
    plan = surgery.plan(modules("g3_small"))
    done = surgery.Conversion(destination=Path("out/1"), plan=plan, report=proof(), manifest={})
    with pytest.raises(surgery.WriteError, match="No space left; the export is published at out/1"):
        convert._write_page(done, Path("page.html"))
