"""Writes what is made from other sources: python -m scripts.tools.docs [FOLDER, docs/ if it is left out].

reference/commands.md     the help texts of all commands
notebooks.ipynb           the page notebooks.md as a notebook
"""

from __future__ import annotations

import sys
from pathlib import Path

from click import Context
from click.testing import CliRunner

from scripts.tools.docs.notebook import as_notebook
from surgery.cli.main import main as surgery

DOCS = Path(__file__).parents[3] / "docs"
HEAD = """\
# Commands

These are the help texts, as the commands print them. `scripts/docs` writes this page; please do not edit it by hand.
[JSON](json.md) describes what `--json` prints, and [Shell completion](completion.md) how a shell completes them.
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
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS
    (folder / "reference").mkdir(exist_ok=True)
    (folder / "reference" / "commands.md").write_text(page(), encoding="utf-8")
    notebook = as_notebook((DOCS / "notebooks.md").read_text(encoding="utf-8"))
    (folder / "notebooks.ipynb").write_text(notebook, encoding="utf-8")
