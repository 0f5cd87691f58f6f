"""What README and docs/ show: their pages, the commands with what they print, and the code."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from surgery.cli.main import main as surgery

__all__ = ["PAGES", "ROOT", "Fence", "Screen", "anchors", "commands", "fences", "prints", "screens", "surgery", "table"]

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (README, *sorted((ROOT / "docs").rglob("*.md")))
}
"""Text of every page by its path in the checkout."""

LEFT_OUT = "…"
"""A line that stands for any number of lines."""


@dataclass(frozen=True, kw_only=True)
class Fence:
    """A block of code in a page: between fences, or commands that are only indented."""

    language: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Screen:
    """A command, and the lines that a page shows below it."""

    page: str
    command: str
    output: str

    @property
    def arguments(self) -> list[str]:
        """What follows `surgery`, as a shell splits it."""
        return shlex.split(self.command)[1:]

    def __str__(self) -> str:
        return f"{self.page}: {self.command}"


def fences(page: str) -> list[Fence]:
    """The blocks of code in a page, in their order."""
    pattern = r"^```(?P<language>\w*)\n(?P<fenced>[\s\S]*?)^```$|(?P<indented>(?:^    surgery .*\n)(?:^    .*\n)*)"
    return [
        Fence(language="indented", text=re.sub(r"^    ", "", found["indented"], flags=re.MULTILINE))
        if found["fenced"] is None
        else Fence(language=found["language"], text=found["fenced"])
        for found in re.finditer(pattern, PAGES[page], flags=re.MULTILINE)
    ]


def screens(page: str) -> list[Screen]:
    """The commands `surgery …` that a page shows with what they print."""
    found = []
    for fence in fences(page):
        if fence.language == "":
            text = _on_one_line(fence.text)
            for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, flags=re.MULTILINE):
                if command.split()[0] == "surgery":
                    found.append(Screen(page=page, command=command, output=output.rstrip("\n")))
    return found


def commands(page: str) -> list[Screen]:
    """All commands `surgery …` of a page, with and without what they print, in their order."""
    shown = {screen.command: screen for screen in screens(page)}
    found = []
    for fence in fences(page):
        lines = _on_one_line(fence.text).splitlines()
        wanted = "$ surgery" if fence.language == "" else "surgery"
        for line in lines if fence.language in ("", "indented") else ():
            if f"{line} ".startswith(f"{wanted} "):
                command = line.removeprefix("$ ")
                found.append(shown.get(command, Screen(page=page, command=command, output=LEFT_OUT)))
    return found


def _on_one_line(text: str) -> str:
    """The text, with commands that are continued on further lines on one."""
    return text.replace("\\\n", " ")


def prints(shown: str, printed: str) -> bool:
    """Whether what is printed is what a page shows, where the page may leave lines out."""
    pattern = "".join(r"(?:.*\n)*?" if line == LEFT_OUT else re.escape(line) + r"\n" for line in shown.splitlines())
    return re.fullmatch(pattern, printed.rstrip("\n") + "\n") is not None


def table(page: str, first_heading: str) -> dict[tuple[str, str], str]:
    """Cells of the table whose first heading is this, by first column and heading."""
    lines = PAGES[page].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first_heading}".rstrip() + " |"))
    heads, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in takewhile(lambda line: line.startswith("|"), lines[start:])
    ]
    return {(row[0], head): cell for row in rows for head, cell in zip(heads[1:], row[1:], strict=True)}


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as its site and its host make them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```[\s\S]*?^```$", "", text, flags=re.MULTILINE), flags=re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}
