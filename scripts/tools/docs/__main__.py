"""Writes the page of all commands from their help texts: python -m scripts.tools.docs [docs/reference/commands.md]."""

from __future__ import annotations

import sys
from pathlib import Path

from click import Context
from click.testing import CliRunner

from surgery.cli.main import main as surgery

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "commands.md"
HEAD = """\
# Commands

These are the help texts, as the commands print them. `scripts/docs` writes this page; please do not edit it by hand.
"""


def help_of(name: str) -> str:
    """The output of `surgery NAME --help` on a terminal of 80 columns, without colours."""
    terminal = CliRunner(env={"COLUMNS": "80"})
    result = terminal.invoke(surgery, [*name.split(), "--help"], prog_name="surgery", catch_exceptions=False)
    return result.output.rstrip("\n")


def page() -> str:
    """The whole page: the group's own help, then one section per command, in alphabetical order."""
    sections = [HEAD]
    for name in ("", *surgery.list_commands(Context(surgery))):
        command = f"surgery {name}".rstrip()
        sections.append(f"## `{command}`\n\n```\n$ {command} --help\n{help_of(name)}\n```\n")
    return "\n".join(sections)


if __name__ == "__main__":
    destination = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    destination.write_text(page(), encoding="utf-8")
