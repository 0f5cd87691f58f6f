"""README and docs/ say what the program says: help texts and screens to the letter, tables, commands and links."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import surgery
from scripts.tools.interop.cases import CASES
from surgery.errors import UnexplainedError
from surgery.families import FAMILIES
from surgery.planning.taps import offered
from tests.support.documentation import PAGES, ROOT, Screen, anchors, commands, fences, prints, screens, table
from tests.support.documentation import surgery as main
from tests.support.running import environment
from tests.support.sample_names import (
    CHECKPOINT_SAMPLES,
    ESTIMATORS,
    LAYER_SAMPLES,
    PUBLISHED,
    REFUSED,
    SUPPORT,
    TF1_SAMPLES,
    TF2_SAMPLES,
    TRANSFORMERS_SAMPLES,
)

HELP = "docs/reference/commands.md"
COMMANDS = {name: main.get_command(click.Context(main), name) for name in main.list_commands(click.Context(main))}
WITHOUT_TENSORFLOW = ("inspect", "scan", "plan", "taps", "graph", "diff", "checkpoint")
SHOWN = [screen for page in PAGES if page != HELP for screen in screens(page)]
TYPED = [command for page in PAGES if page != HELP for command in commands(page)]


def test_the_readme_is_read_in_one_sitting():
    assert len(PAGES["README.md"].splitlines()) <= 200


def test_the_support_table_says_what_the_tests_convert():
    cells = table("docs/modules.md", "")
    assert {place for place, cell in cells.items() if cell == "yes"} == set(SUPPORT)
    assert set(cells.values()) == {"yes", "no"}
    converted = {*TF2_SAMPLES, *TF1_SAMPLES, *TRANSFORMERS_SAMPLES, *CHECKPOINT_SAMPLES, *ESTIMATORS, *PUBLISHED}
    for (_, source), samples in SUPPORT.items():
        written = {*(case.module for case in CASES), *PUBLISHED}
        proven = {"to Hugging Face": written, "re-saved around a `hub.KerasLayer`": set(LAYER_SAMPLES)}
        assert set(samples) <= proven.get(source, converted)


def test_what_the_support_table_does_not_bring_to_hugging_face_is_refused(modules, tmp_path):
    cells = table("docs/modules.md", "")
    assert {place for place, cell in cells.items() if cell == "no" and place[1] == "to Hugging Face"} == set(REFUSED)
    for samples in REFUSED.values():
        for sample in samples:
            with pytest.raises(UnexplainedError, match="transformers has no model"):
                surgery.checkpoint(modules(sample), tmp_path / "out")


def test_the_table_of_classes_is_that_of_the_families():
    libraries = [
        dialect.publisher.library
        for family in FAMILIES
        for dialect in family.dialects
        if dialect.publisher is not None and dialect.publisher.library is not None
    ]
    said = {cell.strip("`") for cell in table("docs/ways-out.md", "module").values() if cell.startswith("`")}
    assert said == {described.name for library in libraries for described in library.classes.values()}


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
    cells = table("docs/taps.md", "tap")
    said = {name.strip("`") for (name, head), cell in cells.items() if head == heading and cell == "yes"}
    for sample in samples:
        offers = offered(surgery.plan(modules(sample)).inference)
        assert {re.sub(r"^ffn_[0-9]+_", "ffn_{k}_", name) for name in offers} == said


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_the_help_texts_in_the_reference_are_the_real_ones(command):
    arguments = [*command.split(), "--help"]
    result = CliRunner(env={"COLUMNS": "80"}).invoke(main, arguments, prog_name="surgery")
    assert result.exit_code == 0
    found = [screen.output for screen in screens(HELP) if screen.arguments == arguments]
    assert found == [result.output.rstrip("\n")]


def test_every_command_is_in_the_reference():
    assert {screen.command for screen in screens(HELP)} == {
        "surgery --help",
        *(f"surgery {name} --help" for name in COMMANDS),
    }


def test_every_function_and_type_is_in_the_python_reference():
    pages = "".join((ROOT / "docs" / "reference" / page).read_text() for page in ("python.md", "results.md"))
    errors = {name for name in surgery.__all__ if name.endswith("Error")}
    described = set(re.findall(r"^::: surgery\.(\w+)$", pages, re.MULTILINE))
    assert set(surgery.__all__) - errors - {"__version__"} == described


def test_the_reference_is_what_its_tool_writes(tmp_path):
    tool = [sys.executable, str(ROOT / "scripts" / "tools" / "docs"), str(tmp_path)]
    subprocess.run(tool, env=environment(), check=True)
    for page in ("reference/commands.md", "notebooks.ipynb"):
        written = (tmp_path / page).read_text(encoding="utf-8")
        assert written == (ROOT / "docs" / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("screen", [s for s in SHOWN if s.arguments[0] in WITHOUT_TENSORFLOW], ids=str)
def test_a_screen_that_needs_no_tensorflow_is_the_real_one(screen: Screen, tmp_path, monkeypatch):
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "110")
    result = CliRunner().invoke(main, screen.arguments)
    assert prints(screen.output, result.output), result.output


def test_the_readme_shows_a_whole_inspection():
    inspections = [
        s for s in SHOWN if s.page == "README.md" and s.arguments == ["inspect", "tests/modules/g3_small.tar.gz"]
    ]
    assert len(inspections) == 1
    assert "…" not in inspections[0].output


@pytest.mark.parametrize("typed", TYPED, ids=str)
def test_every_command_in_the_pages_is_one_that_the_program_takes(typed: Screen):
    name, *arguments = typed.arguments
    if name in COMMANDS:
        COMMANDS[name].make_context(name, list(arguments))
    else:
        pytest.fail(f"{typed}: there is no such command")


def test_a_command_of_one_page_never_finds_the_folder_of_another():
    """A reader follows several pages in one checkout: what is written twice is written with --overwrite."""
    folders = Counter()
    for typed in TYPED:
        name, *arguments = typed.arguments
        context = COMMANDS[name].make_context(name, list(arguments))
        destination = context.params.get("destination")
        if destination is not None:
            folders[str(destination)] += 1
            assert folders[str(destination)] == 1 or context.params["overwrite"], typed
            # The demo comes first in the README, and writes this one.
            assert str(destination) != "exported/g3_small/1" or context.params["overwrite"], typed
    assert folders["exported/g3_small/1"] > 1


@pytest.mark.parametrize("page", [page for page in PAGES if any(f.language == "python" for f in fences(page))])
def test_the_python_in_the_pages_calls_functions_that_there_are(page):
    for fence in fences(page):
        if fence.language == "python":
            for node in ast.walk(ast.parse(fence.text)):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "surgery":
                    assert node.attr in surgery.__all__, f"{page}: surgery.{node.attr}"


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md"])
def test_what_a_page_links_to_is_there(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    prose = re.sub(r"^```[\s\S]*?^```$", "", text, flags=re.MULTILINE)
    for target, anchor in re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]*))?\)", prose):
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path.read_text(encoding="utf-8")), f"{target}#{anchor}"


def test_the_readme_leads_to_every_page():
    reached, waiting = set(), ["README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        for target in re.findall(r"\]\((?!http)([^)#]+\.md)", PAGES.get(page, "")):
            found = str(((ROOT / page).parent / target).resolve().relative_to(ROOT))
            waiting += [found] if found not in reached else []
    assert reached == {*PAGES, "CONTRIBUTING.md"}


def test_a_screen_may_leave_lines_out_but_shows_none_that_is_not_printed():
    assert prints("a\n…\nd", "a\nb\nc\nd\n")
    assert prints("a\n…\nb", "a\nb\n")
    assert not prints("a\n…\nd", "a\nb\nc\n")
    assert not prints("a\nc", "a\nb\nc\n")
    assert not prints("a\n…", "b\na\n")


def test_wrong_options_are_noticed():
    with pytest.raises(click.UsageError):
        COMMANDS["convert"].make_context("convert", ["module", "--no-such-option"])


def test_the_site_lists_its_pages_and_fetches_nothing():
    """mkdocs itself finds pages that are missing in `nav`, and broken links, in `.ci/run`."""
    settings = Path(ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "font: false" in settings
    assert "http" not in settings
