"""The README says what the program says: help texts to the letter, outputs of the sample module to the letter."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path

import pytest
from click.testing import CliRunner

import surgery
from surgery.cli.main import main
from surgery.planning.taps import offered
from tests.support.sample_names import (
    CHECKPOINT_SAMPLES,
    LAYER_SAMPLES,
    SUPPORT,
    TF1_SAMPLES,
    TF2_SAMPLES,
)

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\n\$ surgery ?(.*)\n([\s\S]*?)^```$", README, flags=re.MULTILINE)


def block(command: str) -> str:
    found = [text for name, text in BLOCKS if name == command]
    assert len(found) == 1, f"expected one block of `surgery {command}` in the README"
    return found[0].rstrip("\n")


def table(first_heading: str) -> dict[tuple[str, str], str]:
    """Cells of the table whose first heading is this, by first column and heading."""
    lines = README.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first_heading}".rstrip() + " |"))
    heads, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in takewhile(lambda line: line.startswith("|"), lines[start:])
    ]
    return {(row[0], head): cell for row in rows for head, cell in zip(heads[1:], row[1:], strict=True)}


def test_the_support_table_says_what_the_tests_convert():
    cells = table("")
    assert {place for place, cell in cells.items() if cell == "yes"} == set(SUPPORT)
    assert set(cells.values()) == {"yes", "no"}
    converted = {*TF2_SAMPLES, *TF1_SAMPLES, *CHECKPOINT_SAMPLES}
    for (_, source), samples in SUPPORT.items():
        assert set(samples) <= (set(LAYER_SAMPLES) if "KerasLayer" in source else converted)


@pytest.mark.parametrize(
    ("heading", "samples"),
    [
        ("BERT, ELECTRA", ("g4_bert_mlm", "g4_prenorm", "g4_electra")),
        ("ALBERT", ("g4_albert",)),
        ("MobileBERT", ("g4_mobilebert",)),
        ("talking heads", ("g4_talkheads",)),
    ],
)
def test_the_table_of_taps_says_what_each_family_offers(heading, samples, modules):
    said = {name.strip("`") for (name, head), cell in table("tap").items() if head == heading and cell == "yes"}
    for sample in samples:
        offers = offered(surgery.plan(modules(sample)).inference)
        assert {re.sub(r"^ffn_[0-9]+_", "ffn_{k}_", name) for name in offers} == said


@pytest.mark.parametrize("command", ["", *sorted(main.commands)])
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
    prose = re.sub(r"^```[\s\S]*?^```$", "", README, flags=re.MULTILINE)
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", prose):
        assert (ROOT / target).exists(), target
