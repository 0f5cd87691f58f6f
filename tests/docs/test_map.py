"""The maps of the code, for people who are new to it: each names the folders and files that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import click
import pytest
from importlinter.api import read_configuration

import surgery
from surgery.cli.main import main

ROOT = Path(__file__).parents[2]
PAGES = {"surgery/__init__.py": surgery.__doc__ or "", "CONTRIBUTING.md": (ROOT / "CONTRIBUTING.md").read_text()}
LISTS = ("api", "batching", "explanation", "graphs", "proof", "sources", "tf", "triton")


def _map(page: str) -> str:
    """The map of a page: its first block of indented lines."""
    found = re.search(r"(?:^    .*\n)+", PAGES[page], re.MULTILINE)
    assert found is not None
    return found[0]


def test_both_pages_have_the_same_map():
    first, second = map(_map, PAGES)
    assert first == second


def test_the_map_has_every_folder_and_file_below_those_that_import_it():
    """In the order of the layers that lint-imports checks."""
    contracts = read_configuration(str(ROOT / "pyproject.toml"))["contracts_options"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    rank = {name.strip(): -number for number, layer in enumerate(layers) for name in layer.split("|")}
    named = [name for line in _map("CONTRIBUTING.md").splitlines() for name in re.findall(r"\w+", line[4:46])]
    assert sorted(named) == sorted(rank.keys() - {"__main__"})
    assert [rank[name] for name in named] == sorted(rank[name] for name in named)


@pytest.mark.parametrize("folder", LISTS)
def test_a_folder_that_lists_its_files_lists_each_once(folder: str):
    docstring = ast.get_docstring(ast.parse((ROOT / "surgery" / folder / "__init__.py").read_text())) or ""
    rows = re.findall(r"^(\w+(?: · \w+)*)  +\S", docstring, re.MULTILINE)
    files = [file.stem for file in (ROOT / "surgery" / folder).glob("[!_]*.py")]
    assert sorted(name for row in rows for name in row.split(" · ")) == sorted(files)


def test_every_command_has_a_file_of_its_name_for_its_report():
    for command in main.list_commands(click.Context(main)):
        for folder in ("cli", "reports"):
            assert (ROOT / "surgery" / folder / f"{command}.py").is_file(), f"{folder}/{command}.py"


def test_the_folders_of_tests_are_those_of_the_package():
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name[0] not in "._"}
    package = {path.name for path in (ROOT / "surgery").iterdir()}
    assert folders - {"browser", "docs", "modules", "support", "tools", "whole"} <= package


def test_the_files_that_contributing_names_are_there():
    named = set(re.findall(r"`((?:surgery|tests|scripts)/[\w/.-]+)`", PAGES["CONTRIBUTING.md"]))
    assert len(named) > 50
    assert [name for name in sorted(named) if "NAME" not in name and not (ROOT / name).exists()] == []
