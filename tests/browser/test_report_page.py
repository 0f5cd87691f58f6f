"""The page of a module in a browser: whole at any width, dark and light, on paper, and with hostile names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import surgery
from surgery.export.manifest import make_manifest
from surgery.jobs.attention import document_of
from surgery.jobs.report import documents_of
from surgery.pages.sections import MODULE
from surgery.plots import Attention
from tests.support.browser import Browser
from tests.support.hostile_pages import MARKUP, hostile
from tests.support.html_pages import rendered
from tests.support.module_pages import proof

TEXT = "the cat sat on the mat"
MARKS = "all => all.map(e => [e.dataset.chart, e.querySelectorAll('svg [aria-label] [aria-label]').length])"
LABELS = "all => all.map(e => e.getAttribute('aria-label'))"
TOKENS = ("[CLS]", *TEXT.split(), "[SEP]")


@pytest.fixture(scope="module")
def documents(modules) -> dict[str, Any]:
    """The documents of an export, with every section: its proof is put together, and its attention drawn at random."""
    plan = surgery.plan(modules("g4_bert_mlm"), taps="query", depths=2)
    manifest = make_manifest(plan, {a.target: "0" * 64 for a in plan.weights.assignments}, proof())
    scores = np.exp(3 * np.random.default_rng(0).normal(size=(3, 4, len(TOKENS), len(TOKENS))))
    maps = Attention(tokens=TOKENS, blocks=(0, 1, 2), probabilities=scores / scores.sum(-1, keepdims=True))
    return documents_of(str(modules("g4_bert_mlm"))) | {
        "manifest": json.loads(json.dumps(manifest)),
        "attention": document_of(maps, TEXT, "exported/bert_text/1", 64),
    }


@pytest.fixture
def page(documents, tmp_path) -> Path:
    return written(documents, tmp_path)


def written(documents: dict[str, Any], folder: Path) -> Path:
    html = rendered(documents, MODULE, documents["inspect"]["name"], "Export")
    (folder / "page.html").write_text(html, encoding="utf-8")
    return folder / "page.html"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
def test_the_page_has_no_faults(width, dark, page, browser: Browser):
    seen = browser.look(page, width=width, dark=dark, name=f"report-{width}-{'dark' if dark else 'light'}")
    assert seen.faults == []
    assert [section.title for section in MODULE if section.title not in seen.text] == []


def test_every_chart_is_drawn_and_names_what_it_shows(page, browser: Browser):
    drawn = browser.run(page, lambda opened, _: opened.eval_on_selector_all("figure[data-chart]", MARKS))
    assert [chart for chart, _ in drawn] == ["differences", "errors", "attention", "parameters", "replies"]
    assert all(marks > 0 for _, marks in drawn), drawn


def test_charts_have_the_words_of_their_tables_and_a_place_for_what_is_infinite(documents, browser: Browser, tmp_path):
    changed = json.loads(json.dumps(documents))
    changed["manifest"]["parity"]["outputs"][1]["difference"] = None
    texts = "document.querySelector('figure[data-chart={}]').textContent"

    def read(opened: Any, _: Any) -> list[str]:
        opened.wait_for_selector("figure[data-chart=replies] svg")
        cell = "document.querySelector('#sizes-replies tbody td').textContent"
        return [opened.evaluate(script) for script in (texts.format("differences"), texts.format("replies"), cell)]

    differences, replies, cell = browser.run(written(changed, tmp_path), read)
    assert "inf" in differences
    assert cell in replies
    assert "limit 4.0 MiB" in replies


def test_the_attention_of_a_head_is_chosen_with_the_keyboard(page, documents, browser: Browser):
    def choose(opened: Any, sight: Any) -> tuple[str, list[str], str]:
        opened.focus("#attention-block")
        opened.keyboard.press("ArrowDown")
        opened.keyboard.press("ArrowDown")
        opened.keyboard.press("Tab")
        opened.keyboard.press("ArrowDown")
        chart = opened.locator("#attention figure > svg")
        cells = chart.locator("[aria-label=cell] rect").evaluate_all(
            "all => all.map(e => e.getAttribute('aria-label'))"
        )
        assert sight.faults == []
        return chart.get_attribute("aria-label") or "", cells, opened.inner_text("#said")

    title, cells, said = browser.run(page, choose)
    assert (title, said) == ("Attention: Block 2, head 1", "Block 2, head 1")
    shares = documents["attention"]["probabilities"][2][1]
    expected = [
        f"{TOKENS[row]} looks at {TOKENS[column]}: {shares[row][column]:.2f}"
        for row in range(len(TOKENS))
        for column in range(len(TOKENS))
    ]
    assert [(a, b) for a, b in zip(cells, expected, strict=True) if a[:-1] != b[:-1]] == []  # but for rounding


def test_the_attention_is_a_table_without_javascript(page, documents, browser: Browser):
    def read(opened: Any, _: Any) -> str:
        opened.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
        return str(opened.inner_text("#attention"))

    shown = browser.run(page, read, javascript=False)
    assert "Head" not in shown  # nothing can be chosen
    for maps in documents["attention"]["probabilities"]:
        for row, token in enumerate(TOKENS):
            most = [max(range(len(TOKENS)), key=lambda column, head=head: head[row][column]) for head in maps]
            cells = [f"{TOKENS[at]} {head[row][at]:.2f}" for at, head in zip(most, maps, strict=True)]
            assert "\t".join([token, *cells]) in shown


def test_names_are_text(documents, browser: Browser, tmp_path):
    kept = {name: documents[name] for name in ("serving", "taps")}  # whose texts are types of tensors, which are parsed
    page = written(hostile({**documents, **{name: None for name in kept}}) | kept, tmp_path)
    seen = browser.look(page, width=400)
    assert seen.faults == []
    drawn = browser.run(page, lambda opened, _: opened.inner_html("main"))
    assert "looks at" in drawn
    assert [c for c in drawn if not c.isprintable() and c != "\n"] == []
    for markup in MARKUP[:-1]:
        assert markup in seen.text
