"""The README, followed from top to bottom in a fresh folder, and then pages of docs/: what is typed works and is shown.

Rounding errors differ between processors: of the rows that passed, the numbers and bits are not compared.
"""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner

import surgery
from tests.support.conversions import few_batches
from tests.support.documentation import ROOT, commands, fences, prints
from tests.support.documentation import surgery as main


@pytest.fixture(autouse=True)
def checkout(tmp_path, monkeypatch):
    """Stands in a folder with what the commands read, and with an export of the demo, which the README runs first."""
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    (tmp_path / "exported" / "g3_small" / "1").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "110")


def without_errors(text: str) -> str:
    """The text, in which rows that passed have no numbers, and columns no width."""
    differs = re.compile(r" ([0-9.e+-]+|yes|no)(?= )")
    rows = [differs.sub(" #", line) if line.endswith(" passed") else line for line in text.splitlines()]
    rows = [re.sub(r"(not judged: largest difference ).*", r"\1#", row) for row in rows]
    return "\n".join(re.sub(r" +", " ", row) for row in rows)


def run_commands(page: str, some: slice = slice(None)) -> None:
    for typed in commands(page)[some]:
        result = CliRunner().invoke(main, typed.arguments)
        assert result.exit_code == 0, f"{typed}: {result.output}"
        assert prints(without_errors(typed.output), without_errors(result.stdout)), f"{typed}:\n{result.stdout}"


def run_python(page: str) -> None:
    """Runs the blocks of Python in their order, each with the names of those before it. A comment behind a print, or
    the next block, shows what it prints."""
    blocks, names = fences(page), dict[str, Any]()
    for block, after in zip(blocks, [*blocks[1:], None], strict=True):
        if block.language == "python":
            printed = io.StringIO()
            with redirect_stdout(printed):
                exec(block.text, names)
            shown = "".join(re.findall(r"^print\(.*\)  # (.*\n)", block.text, flags=re.MULTILINE))
            if "print(" in block.text and not shown:
                assert after is not None
                shown = after.text
            assert printed.getvalue() == shown


def test_the_readme_works_from_top_to_bottom_and_its_export_can_be_verified_and_trained():
    run_commands("README.md")
    run_python("README.md")
    run_commands("docs/parity.md", slice(1, None))
    run_python("docs/using.md")
    fine_tuned = "docs/fine-tuning.md"
    run_commands(fine_tuned, slice(1))
    run_python(fine_tuned)
    with few_batches():
        run_commands(fine_tuned, slice(1, None))


def test_the_errors_of_twelve_blocks_are_those_that_are_shown(converted, monkeypatch):
    """The conversion of them, which takes half a minute, is the one that other tests share."""
    shared = converted("g2_sharp").conversion

    def convert(module, destination, **options):
        asked = {name for name, value in options.items() if value}
        assert asked <= {"progress", "graph"}
        return replace(shared, destination=destination, plan=surgery.plan(module, destination))

    monkeypatch.setattr(surgery, "convert", convert)
    run_commands("docs/parity.md", slice(1))


@pytest.mark.parametrize("page", ["docs/taps.md", "docs/edits.md"])
def test_the_commands_of_a_page_work_and_print_what_it_shows(page):
    run_commands(page)


def test_the_commands_of_any_savedmodel_work_and_its_error_is_the_one_that_is_printed():
    page = "docs/any-savedmodel.md"
    run_commands(page, slice(2))  # the next two are about models of the reader's
    typed = commands(page)[-1]
    result = CliRunner().invoke(main, typed.arguments)
    assert result.exit_code == 2
    assert prints(typed.output, result.stderr)
