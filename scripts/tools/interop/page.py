"""docs/ways-out.md, followed from top to bottom: its commands are run, and its Python in the environment `torch`.

The tests compare what the commands print. Here it is what the libraries print.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from scripts.tools.interop.cases import ROOT
from surgery.processes import child

PAGE = ROOT / "docs" / "ways-out.md"
CLOSE = 1e-4
"""The largest difference of a number that is shown: processors round otherwise."""
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")


def page_problems(python: str) -> list[str]:
    """What is not as the page shows it, one line each. `python` is the Python of the environment."""
    with tempfile.TemporaryDirectory() as work:
        (Path(work) / "tests").symlink_to(ROOT / "tests")
        fences = _FENCE.findall(PAGE.read_text(encoding="utf-8"))
        problems = list(_problems(fences, python, Path(work)))
    examples = sum(language == "python" for language, _ in fences)
    print(f"{PAGE.name}: {examples} examples in Python, {len(problems)} problems")
    return problems


def _problems(fences: list[tuple[str, str]], python: str, work: Path) -> Iterator[str]:
    for number, (language, text) in enumerate(fences):
        if text.startswith("$ surgery "):
            command = shlex.split(text.partition("\n\n")[0].replace("\\\n", " "))[2:]
            done = _run(child.command("-m", "surgery", *command), work)
            if done.returncode:
                yield f"{PAGE.name}: {shlex.join(['surgery', *command])}: {done.stderr.strip()}"
        elif language == "python":
            done = _run([python, "-c", text], work)
            if not same(fences[number + 1][1], done.stdout):
                example = text.strip().splitlines()[-1]
                yield f"{PAGE.name}: {example} prints\n{done.stdout or done.stderr}"


def same(shown: str, printed: str) -> bool:
    """Whether two texts are equal, except for the rounding of their numbers and the blanks around them."""
    plain = [re.sub(r"\s+", "", _NUMBER.sub("#", text)) for text in (shown, printed)]
    numbers = [np.array([float(number) for number in _NUMBER.findall(text)]) for text in (shown, printed)]
    return plain[0] == plain[1] and bool(np.all(np.abs(numbers[0] - numbers[1]) <= CLOSE))


def _run(command: list[str], work: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
