"""The demo: its commands are those of the command line, and its last line names the page that it writes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from surgery.cli.main import main
from tests.support.documentation import ROOT

DEMO = (ROOT / "scripts" / "demo").read_text(encoding="utf-8")
VALUES = dict(re.findall(r"^(\w+)=([\w./]+)$", DEMO, flags=re.MULTILINE))
LINES = re.findall(r"^show (.+)$", DEMO, flags=re.MULTILINE)
SHOWN = [shlex.split(re.sub(r"\$(\w+)", lambda name: VALUES[name[1]], line)) for line in LINES]


@pytest.mark.parametrize("words", [words[1:] for words in SHOWN if words[0] == "surgery"], ids=" ".join)
def test_the_command_line_takes_what_the_demo_types(words):
    command = main.get_command(click.Context(main), words[0])
    assert command is not None
    assert command.make_context(words[0], words[1:]).params["module"] == VALUES["module"]


def test_the_demo_writes_a_page_about_its_export_and_names_it_at_its_end():
    (convert,) = [words for words in SHOWN if words[:2] == ["surgery", "convert"]]
    assert convert[convert.index("--report") + 1] == VALUES["page"]
    assert Path(VALUES["page"]).suffix == ".html"
    last = DEMO.strip().splitlines()[-1]
    assert last.startswith("printf '\\n")
    assert last.endswith('"$root/$page"')
