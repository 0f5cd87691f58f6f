"""Shell completion, as the shells ask for it: commands, options, values and paths, without TensorFlow."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import pytest

from tests.support.documentation import PAGES
from tests.support.probing import EXTRAS, HEAVY, UNREAD
from tests.support.running import environment

COMPLETES = (
    "import json, sys; sys.argv = ['surgery']\n"
    "import atexit; atexit.register(lambda: print(json.dumps(list(sys.modules)), file=sys.stderr))\n"
    "from surgery.cli.main import command; command()"
)


def complete(*words: str) -> tuple[list[list[str]], list[str]]:
    """What bash is told for the last word, as kind and value, and the modules that were imported."""
    asked = {"_SURGERY_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(("surgery", *words))}
    done = subprocess.run(
        [sys.executable, "-c", COMPLETES],
        capture_output=True,
        text=True,
        env=environment(**asked, COMP_CWORD=str(len(words))),
        check=True,
    )
    return [line.split(",", 1) for line in done.stdout.splitlines()], json.loads(done.stderr)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("ins",), [["plain", "inspect"]]),
        (("ta",), [["plain", "tap"], ["plain", "taps"]]),
        (("inspect", "tests/mo"), [["file", "tests/mo"]]),
        (("graph", "tests/mo"), [["file", "tests/mo"]]),
        (("convert", "module", "exp"), [["file", "exp"]]),
        (("verify", "module", "exp"), [["file", "exp"]]),
        (("serving", "exp"), [["file", "exp"]]),
        (("extract", "exp"), [["file", "exp"]]),
        (("extract", "exp", "cor"), [["file", "cor"]]),
        (("extract", "exp", "--output", "fea"), [["file", "fea"]]),
        (("convert", "module", "--vocab", "voc"), [["file", "voc"]]),
        (("convert", "module", "--fe"), [["plain", "--feature"]]),
        (("convert", "module", "--graph", "f"), [["plain", "fused"]]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_words_are_completed(words, expected):
    found, modules = complete(*words)
    assert found == expected
    assert [name for name in (*HEAVY, *EXTRAS, *UNREAD, "rich") if name in modules] == []


def test_every_command_is_completed():
    found, modules = complete("")
    assert {value for _, value in found} >= {"convert", "inspect", "plan", "taps", "verify"}
    assert [name for name in (*HEAVY, *EXTRAS, "numpy") if name in modules] == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_itself_completes_with_the_line_of_the_page(tmp_path):
    started = "import sys; sys.argv[0] = 'surgery'; from surgery.cli.main import command; command()"
    (tmp_path / "surgery").write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{started}" "$@"\n')
    (tmp_path / "surgery").chmod(0o755)
    (line,) = re.findall(r"`(eval [^`]*bash_source[^`]*)`", PAGES["docs/reference/completion.md"])
    script = f"{line}\nCOMP_WORDS=(surgery ta) COMP_CWORD=1\n_surgery_completion surgery\necho ${{COMPREPLY[@]}}"
    path = f"{tmp_path}:{environment()['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env=environment(PATH=path), check=True, timeout=60
    )
    assert done.stdout.split() == ["tap", "taps"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_page_names_variables_that_the_program_answers(shell):
    assert f"_SURGERY_COMPLETE={shell}_source surgery" in PAGES["docs/reference/completion.md"]
    done = subprocess.run(
        [sys.executable, "-c", COMPLETES],
        capture_output=True,
        text=True,
        env=environment(_SURGERY_COMPLETE=f"{shell}_source"),
        check=True,
    )
    assert f"_SURGERY_COMPLETE={shell}_complete" in done.stdout
