"""The README says what the program says: help texts to the letter, outputs of the sample module to the letter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from surgery.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\n\$ surgery ?(.*)\n([\s\S]*?)^```$", README, flags=re.MULTILINE)


def block(command: str) -> str:
    found = [text for name, text in BLOCKS if name == command]
    assert len(found) == 1, f"expected one block of `surgery {command}` in the README"
    return found[0].rstrip("\n")


@pytest.mark.parametrize("command", ["", "inspect", "plan", "convert", "verify"])
def test_the_help_texts_in_the_readme_are_the_real_ones(command):
    arguments = [*command.split(), "--help"]
    result = CliRunner().invoke(main, arguments, prog_name="surgery")
    assert result.exit_code == 0
    assert block(" ".join(arguments)) == result.output.rstrip("\n")


def test_the_inspection_in_the_readme_is_the_real_one(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "110")
    result = CliRunner().invoke(main, ["inspect", "tests/modules/g3_small.tar.gz"])
    assert block("inspect tests/modules/g3_small.tar.gz") == result.output.rstrip("\n")


def test_every_command_is_in_the_readme():
    assert {name.removesuffix("--help").strip() for name, _ in BLOCKS if name.endswith("--help")} == {
        "",
        *main.commands,
    }


def test_what_the_readme_links_to_is_there():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
