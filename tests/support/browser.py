"""A plugin: pages in headless Chromium. One browser serves all tests of a process, in a thread of its own.

The thread is there because Playwright keeps an event loop running in the thread that it works in: other tests of the
process could then not start one.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
"""Programs that are Chromium, in the order in which they are looked for."""

FLAGS = ("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update", "--disable-sync")
"""Flags besides Playwright's own: the browser itself asks the network for nothing."""

PRINTED = 680
"""The width in CSS pixels between the margins of a sheet of A4."""

CONTROLS = "a[href], button, input, select, textarea, summary, [tabindex]:not([tabindex='-1'])"
"""What a reader can act on."""

SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
"""Functions that look at a page from inside."""

Found = TypeVar("Found")


@dataclass
class Sight:
    """What a page did and what it looks like.

    Attributes:
        faults: What no page may do, one line each: errors, requests, dialogs, text that is cut off or never printed,
            controls that the keyboard does not reach.
        text: What a reader sees.
    """

    faults: list[str] = field(default_factory=list)
    text: str = ""


class Browser:
    """Opens pages. `run` does something with one, `look` looks for all that no page may do."""

    def __init__(self, thread: ThreadPoolExecutor, program: str, screenshots: Path | None) -> None:
        self._thread, self._program, self._screenshots = thread, program, screenshots

    def start(self) -> None:
        """Starts the program, with an empty profile."""
        self._thread.submit(self._start).result()

    def stop(self) -> None:
        """Ends it."""
        self._thread.submit(self._stop).result()

    def run(self, page: Path, steps: Callable[[Page, Sight], Found], **options: Any) -> Found:
        """What `steps` return, which are done with the open page; `options` are those of `look`."""
        return self._thread.submit(self._in_thread, page, steps, options).result()

    def look(self, page: Path, *, name: str = "", **options: Any) -> Sight:
        """Looks at a page of some width: `width`, `dark`, and `javascript`, which is on unless that is False.

        With the option --screenshots of pytest, pictures of it as it is seen and printed are kept under `name`.
        """
        return self.run(page, lambda opened, sight: self._seen(opened, sight, name), **options)

    def _start(self) -> None:
        from playwright.sync_api import sync_playwright

        self._playwright = sync_playwright().start()
        self._browser = self._playwright.chromium.launch(executable_path=self._program, args=list(FLAGS))

    def _stop(self) -> None:
        self._browser.close()
        self._playwright.stop()

    def _in_thread(self, path: Path, steps: Callable[[Page, Sight], Found], options: dict[str, Any]) -> Found:
        with self._opened(path, **options) as (page, sight):
            return steps(page, sight)

    @contextmanager
    def _opened(
        self, path: Path, *, width: int = 1200, dark: bool = False, javascript: bool = True
    ) -> Iterator[tuple[Page, Sight]]:
        sight = Sight()
        scheme = "dark" if dark else "light"
        with (
            closing(
                self._browser.new_context(
                    viewport={"width": width, "height": 900},
                    color_scheme=scheme,
                    java_script_enabled=javascript,
                    offline=True,
                )
            ) as context,
            closing(context.new_page()) as page,
        ):
            page.on("console", lambda message: _note(sight, message.type, message.text))
            page.on("pageerror", lambda error: sight.faults.append(f"error: {error}"))
            page.on("request", lambda request: _note_request(sight, request.url, path))
            page.on("dialog", lambda dialog: (sight.faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
            page.goto(path.as_uri())
            yield page, sight

    def _seen(self, page: Page, sight: Sight, name: str) -> Sight:
        self._picture(page, name)
        sight.text = page.inner_text("body")
        sight.faults += _cut_off(page)
        page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
        sight.faults += _cut_off(page)
        sight.faults += _out_of_reach(page)
        page.evaluate("for (const part of document.querySelectorAll('details')) part.open = false")
        page.set_viewport_size({"width": PRINTED, "height": 900})
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        sight.faults += [f"not printed: {text}" for text in page.evaluate(f"({SCRIPT}).unseen()")]
        sight.faults += [f"printed {line}" for line in _cut_off(page)]
        self._picture(page, f"{name}-printed")
        return sight

    def _picture(self, page: Page, name: str) -> None:
        if self._screenshots is not None:
            page.screenshot(path=self._screenshots / f"{name}.png", full_page=True)


def _note(sight: Sight, kind: str, text: str) -> None:
    if kind in ("error", "warning"):
        sight.faults.append(f"console {kind}: {text}")


def _note_request(sight: Sight, url: str, page: Path) -> None:
    if url != page.as_uri() and not url.startswith("data:"):
        sight.faults.append(f"request: {url}")


def _cut_off(page: Page) -> list[str]:
    """What is wider than the page."""
    return [f"wider than the page: {element}" for element in page.evaluate(f"({SCRIPT}).wide()")]


def _out_of_reach(page: Page) -> list[str]:
    """The controls that Tab does not come to."""
    count: int = page.evaluate(f"({SCRIPT}).number({CONTROLS!r})")
    for _ in range(count):
        page.keyboard.press("Tab")
    missed: Sequence[str] = page.evaluate(f"({SCRIPT}).missed()")
    return [f"not reached by Tab: {element}" for element in missed]


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option of the folder for pictures."""
    parser.addoption("--screenshots", type=Path, help="keep pictures of the pages that Chromium shows in this folder")


@pytest.fixture(scope="session")
def browser(pytestconfig: pytest.Config) -> Iterator[Browser]:
    """Chromium; the tests are skipped where it or Playwright is missing."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("needs Chromium, which .ci/run installs where it may: apt-get install chromium")
    if find_spec("playwright") is None:
        pytest.skip("needs Playwright: pip install playwright")
    screenshots = pytestconfig.getoption("--screenshots")
    if screenshots is not None:
        screenshots.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max_workers=1) as thread:
        browser = Browser(thread, program, screenshots)
        browser.start()
        yield browser
        browser.stop()
