"""The page of `surgery diff`: whole at any width, dark and light, from the JSON of the command and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from surgery.cli.main import main
from surgery.jobs.diff import page_of
from tests.comparing.test_diff import fine_tuned
from tests.support import documents
from tests.support.browser import Browser
from tests.support.hostile_pages import MARKUP, hostile

CELLS = """
[...document.querySelectorAll("figure[data-chart=moved] [aria-label=cell] rect")]
  .map((cell) => [cell.getAttribute("aria-label"), [getComputedStyle(cell).fill, cell.getAttribute("y")]])
"""
GROUND = "getComputedStyle(document.documentElement).backgroundColor"


@pytest.fixture(scope="module")
def differences(modules, tmp_path_factory) -> list[dict[str, Any]]:
    return documents.differences(modules, tmp_path_factory.mktemp("differences"))


@pytest.fixture(scope="module")
def tuned(modules, tmp_path_factory) -> tuple[Path, dict[str, Any]]:
    """The page of a fine-tuned model, and the JSON that the command printed."""
    folder = tmp_path_factory.mktemp("tuned")
    fine_tuned(folder / "tuned")
    arguments = [str(modules("hf_bert")), str(folder / "tuned"), "--html", str(folder / "page.html"), "--json"]
    done = CliRunner().invoke(main, ["diff", *arguments])
    assert (done.exit_code, done.stderr) == (8, f"wrote {folder / 'page.html'}\n")
    return folder / "page.html", json.loads(done.stdout)


@pytest.mark.parametrize(
    ("number", "width", "dark"), [(0, 400, False), (1, 1200, True), (2, 400, True), (3, 1200, False)]
)
def test_every_kind_of_difference_is_shown_without_faults(number, width, dark, differences, browser: Browser, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(page_of(differences[number]), encoding="utf-8")
    seen = browser.look(page, width=width, dark=dark, name=f"diff-{number}-{width}")
    assert seen.faults == []


def test_the_map_shows_which_weights_of_which_block_moved(tuned, browser: Browser):
    def look(page: Any, sight: Any) -> tuple[dict[str, Any], str]:
        page.wait_for_selector("figure[data-chart=moved] svg")
        assert sight.faults == []
        return dict(page.evaluate(CELLS)), page.evaluate(GROUND)

    cells, ground = browser.run(tuned[0], look)
    assert len(cells) == 3 * 16
    assert len({row for _, row in cells.values()}) == 16
    assert {fill for words, (fill, _) in cells.items() if words.endswith(", equal")} == {ground}
    moved = {words: fill for words, (fill, _) in cells.items() if fill != ground}
    assert {words.split("/")[1] for words in moved} == {"layer_2"}
    (query,) = (words for words in moved if "/query/kernel" in words)
    assert query.partition(", ")[2] == "RMS of change 0.020, cosine 0.999806, rows: 48 of 48"
    far = next(fill for words, fill in moved.items() if "self_attention/value/bias" in words)
    near = next(fill for words, fill in moved.items() if "output_layer_norm/gamma" in words)
    assert far != near


def test_the_page_has_the_json_of_the_command_and_its_facts_without_javascript(tuned, browser: Browser):
    page, printed = tuned
    inside = browser.run(page, lambda opened, sight: opened.text_content("#documents"), javascript=False)
    assert json.loads(inside) == {"diff": printed}
    shown = browser.run(page, lambda opened, sight: opened.inner_text("main"), javascript=False)
    for words in (
        "different in variables",
        "blocks 0 and 1\tidentical\t32",
        "block 2\tfine-tuned",
        "101\t[CLS]\t[CLS]",
    ):
        assert words in shown, shown


def test_names_are_text(differences, browser: Browser, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(page_of(hostile(differences[3])), encoding="utf-8")
    seen = browser.look(page, width=400)
    assert seen.faults == []
    for markup in MARKUP[:-1]:
        assert markup in seen.text
    injected = browser.run(page, lambda opened, _: opened.locator("main img, main script, main [onfocus]").count())
    assert injected == 0


def test_a_page_is_refused_before_anything_is_compared(modules, tmp_path):
    (tmp_path / "page.html").write_text("kept")
    for name, words in (("page.html", "it exists already"), ("page.txt", "expected the name of an .html file")):
        arguments = ["diff", str(modules("hf_bert")), str(tmp_path / "nothing"), "--html", str(tmp_path / name)]
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 2
        assert words in done.stderr
    assert (tmp_path / "page.html").read_text() == "kept"
