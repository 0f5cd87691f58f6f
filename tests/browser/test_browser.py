"""Chromium sees what no page may do: each fault of a page is named."""

from __future__ import annotations

from pathlib import Path

from tests.support.browser import Browser

FINE = "<!doctype html><title>fine</title><main><h1>Fine</h1><a href='#x'>link</a><p id='x'>text</p></main>"

FAULTS = {
    "console error": "<script>console.error('wrong')</script>",
    "error: ": "<script>throw new Error('wrong')</script>",
    "request: http://127.0.0.1:9/": "<img src='http://127.0.0.1:9/x.png'>",
    "dialog: wrong": "<script>setTimeout(() => alert('wrong'))</script>",
    "wider than the page: div": "<div style='width:5000px'>wide</div>",
    "not reached by Tab: button": "<div inert><button>press</button></div>",
    "not printed: only on a screen": "<style>@media print {p {display: none}}</style><p>only on a screen</p>",
    "not printed: folded": "<details><summary>more</summary>folded</details>",
    "not printed: pre": "<pre style='overflow-x:auto'>" + "long " * 500 + "</pre>",
}


def test_a_page_without_faults(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "fine.html"
    page.write_text(FINE)
    seen = browser.look(page, width=400)
    assert seen.faults == []
    assert seen.text.split() == ["Fine", "link", "text"]


def test_each_fault_of_a_page_is_named(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "faults.html"
    page.write_text(FINE.replace("</main>", "".join(FAULTS.values()) + "</main>"))
    faults = browser.look(page).faults
    assert [fault for fault in FAULTS if not any(line.startswith(fault) for line in faults)] == [], faults
