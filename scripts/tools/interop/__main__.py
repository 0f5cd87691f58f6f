"""Check that transformers and sentence-transformers compute what surgery writes into a Hugging Face folder.

Small samples are written as folders, which the libraries load in the environment `torch` (made when it is first
needed). Every hidden state, attention, pooled output and logit is compared with the numpy computation of the folder, in
float64 and in float32, and the tokenizer's ids with the recorded ones. With --record the answers are written to
tests/checkpoints/transformers, where the tests read them. The examples of docs/ways-out.md are run, too. The exit code
is 1 if anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scripts.tools.interop.cases import CASES, RECORDED, ROOT, SENTENCES, SHOWN_LOGITS, Case
from scripts.tools.interop.comparison import (
    FLOAT32,
    FLOAT64,
    computed,
    errors,
    lacking,
    largest,
    missing_keys,
    sentence_vectors,
)
from scripts.tools.interop.page import page_problems
from surgery.jobs.checkpoint import Checkpoint

PROGRAMS = Path(__file__).with_name("programs")
Arrays = dict[str, Any]
"""Arrays by name."""


def main(arguments: Sequence[str]) -> int:
    """Runs all cases, prints one line each, and returns the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/check-interop", description=__doc__)
    parser.add_argument("--record", action="store_true", help="write the answers for the tests")
    parser.add_argument("--python", default="", help="a Python with transformers, instead of the environment `torch`")
    options = parser.parse_args(arguments)
    python = _absolute(options.python) if options.python else _environment()
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        written = {case.name: case.write(folder / case.name) for case in (*CASES, *SENTENCES)}
        given: dict[str, list[Path]] = {}
        for name, case in {case.name: case for case in (*CASES, *SENTENCES)}.items():
            asked: Arrays = case.request
            np.savez(folder / f"{name}_request.npz", **asked)
            given[name] = [folder / f"{name}_request.npz", written[name].destination, folder / f"{name}.npz"]
        _run(python, "run_transformers.py", *(path for case in CASES for path in given[case.name]))
        for case in SENTENCES:
            _run(python, "run_sentences.py", *given[case.name])
        for case in CASES:
            answer = dict(np.load(folder / f"{case.name}.npz"))
            for name in ("logits", "float32.logits"):
                if name in answer and answer[name].ndim > 2:  # of a masked-LM head, for each position
                    answer[name] = answer[name][:, :SHOWN_LOGITS]
            problems += _judge(
                case.name,
                answer,
                computed(written[case.name].destination, case.request),
                case.file,
                record=options.record,
            )
        problems += page_problems(python)
        for case in SENTENCES:
            answer = dict(np.load(folder / f"{case.name}.npz"))
            problems += _judge_sentences(case, answer, written[case.name], record=options.record)
    for problem in problems:
        print(f"differs: {problem}")
    if not problems:
        print("transformers and sentence-transformers compute what surgery wrote")
    return 1 if problems else 0


def _judge(name: str, answer: Arrays, expected: Mapping[str, np.ndarray], file: Path, *, record: bool) -> list[str]:
    found = list(errors(answer, expected))
    print(
        f"{name}: {len(found)} tensors, at most {max(e.in_double for e in found):.1e} of the RMS in float64 (bound "
        f"{FLOAT64}), {max(e.in_float32 for e in found):.1e} in float32 (bound {FLOAT32})"
    )
    problems = [f"{name}: {error}" for error in found if not error.passed]
    problems += [f"{name}: only one side has {tensor}" for tensor in lacking(answer, expected)]
    problems += [f"{name}: made of random numbers: {key}" for key in missing_keys(answer)]
    if record:
        _save(file, answer)
        return problems
    recorded = np.load(file)
    for key, what in (("ids", "tokenizer's ids"), ("labels", "labels")):
        if key in answer and json.loads(str(answer[key])) != json.loads(str(recorded[key])):
            problems.append(f"{name}: the {what} are not the recorded ones")
    return problems


def _judge_sentences(case: Case, answer: Arrays, done: Checkpoint, *, record: bool) -> list[str]:
    error = largest(answer["vectors"], sentence_vectors(done, answer))
    print(f"{case.name}: {len(answer['vectors'])} vectors, at most {error:.1e} in float32 (bound {FLOAT32})")
    if record:
        _save(case.file, answer)
    return [] if error <= FLOAT32 else [f"{case.name}: {error}"]


def _save(file: Path, answer: Arrays) -> None:
    RECORDED.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(file, **answer)


def _run(python: str, program: str, *arguments: str | Path) -> None:
    command = [python, str(PROGRAMS / program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{program} failed:\n{done.stderr}")


def _absolute(python: str) -> str:
    """The path of a program that is named as a shell finds it: the examples of the page run in another folder."""
    return os.path.abspath(shutil.which(python) or python)


def _environment() -> str:
    command = [str(ROOT / "scripts" / "environment"), "torch"]  # which says on stderr what takes its minutes
    made = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if made.returncode:
        sys.exit(made.returncode)
    return made.stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
