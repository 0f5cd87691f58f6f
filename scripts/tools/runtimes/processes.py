"""Runs a runtime's program in its environment, with a time limit. A failure becomes a line of text."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.tools.runtimes.programs.exchange import one_line
from scripts.tools.runtimes.registry import REFERENCE, ROUNDED, Runtime
from surgery import child

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 600
"""Time limit for one runtime and one export."""

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_USE_LEGACY_KERAS": "1", "CUDA_VISIBLE_DEVICES": "-1"}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer of a program, or the reason why there is none.

    Attributes:
        folder: The folder with the outputs.
        version: The runtime's version.
        signatures: By name, whether each signature opened and ran, or why not (`programs.exchange.answer`).
        failure: Why there is no answer; "" if there is one.
        ran: False if the environment could not be made.
    """

    folder: Path
    version: str = ""
    signatures: dict[str, dict[str, Any]] = field(default_factory=dict)
    failure: str = ""
    ran: bool = True


def ask(runtime: Runtime, request: Path, folder: Path) -> Answer:
    """Starts a runtime's program on a written request. A failure of the program is part of the answer, no exception."""
    python, failure = python_of(runtime.environment)
    if failure:
        return Answer(folder=folder, failure=failure, ran=False)
    folder.mkdir(parents=True)
    program = str(Path(__file__).parent / "programs" / runtime.program)
    command = child.command(program, str(request), str(folder), *runtime.arguments, python=python)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONHOME"} | QUIET
    environment["PYTHONPATH"] = str(ROOT)
    if runtime in (REFERENCE, *ROUNDED.values()):
        environment["TF_ENABLE_ONEDNN_OPTS"] = "0"
    with (folder / "log").open("w+", encoding="utf-8", errors="replace") as log:
        try:
            done = subprocess.run(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=SECONDS
            )
        except subprocess.TimeoutExpired:
            return Answer(folder=folder, failure=f"did not answer within {SECONDS} s")
        if done.returncode != 0 or not (folder / "answer.json").exists():
            log.seek(0)
            lines = [line for line in log.read().splitlines() if line.strip()]
            last = one_line(lines[-1]) if lines else "it printed nothing"
            return Answer(folder=folder, failure=f"the process ended with exit code {done.returncode}: {last}")
    answer = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
    return Answer(folder=folder, version=answer["version"], signatures=answer["signatures"])


@functools.cache
def python_of(environment: str | None) -> tuple[str, str]:
    """The Python of an environment, which is made now if it is missing; and the reason why it cannot be made, or ""."""
    if environment is None:
        return sys.executable, ""
    done = subprocess.run(
        [str(ROOT / "scripts" / "environment"), environment],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    sys.stderr.write(done.stderr)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        return "", f"its environment could not be made: {one_line(lines[-1]) if lines else done.returncode}"
    return done.stdout.strip(), ""
