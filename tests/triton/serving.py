"""A running scripts/serve-triton as the tests see it, requests to it, and its processes."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).parents[2]
CLIENT = Path(__file__).with_name("client.py")


class Server(NamedTuple):
    process: subprocess.Popen
    python: str  # of the environment `triton`
    ready: list[str]
    said: Path
    http: int
    grpc: int
    metrics: int

    def counted(self, model):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        return {
            what: float(re.search(rf'^surgery_{what}{{model="{model}",version="\d+"}} (\S+)$', text, re.MULTILINE)[1])
            for what in ("runs", "requests", "rows")
        }

    def post(self, model, body, path="infer"):
        """The status and the JSON of an answer over plain HTTP."""
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}/v2/models/{model}/{path}", data=data)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def send(self, requests, folder):
        """Answers, by request: outputs by key, or the message of what failed."""
        arrays = {f"{n}/{key}": value for n, request in enumerate(requests) for key, value in request["inputs"].items()}
        plan = [{**request, "inputs": list(request["inputs"])} for request in requests]
        np.savez(folder / "plan.npz", plan=np.array(json.dumps(plan)), **arrays)
        command = [self.python, CLIENT, self.http, self.grpc, folder / "plan.npz", folder / "answers.npz"]
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=150, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        with np.load(folder / "answers.npz") as found:
            answers = dict(found)
        outputs = [{} for _ in requests]
        for key, value in answers.items():
            number, _, name = key.partition("/")
            outputs[int(number)][name or "error"] = value if name else str(value)
        return outputs


def token_inputs(random, rows, length):
    """Rows of random tokens; masks with ragged ends, with gaps, and now and then a row that is nothing but padding."""
    mask = np.arange(length)[None] < random.integers(1, length + 1, (rows, 1))
    if random.random() < 0.3:
        mask &= random.random((rows, length)) < 0.7
        mask[:, 0] = True
    if random.random() < 0.15:
        mask[-1] = False
    return {
        "input_word_ids": random.integers(0, 1200, (rows, length)).astype(np.int32),
        "input_mask": mask.astype(np.int32),
        "input_type_ids": random.integers(0, 2, (rows, length)).astype(np.int32),
    }


def assert_same(found, expected, what):
    assert found.shape == expected.shape, what
    assert found.dtype == expected.dtype, what
    bound = 2e-5 * (1 + np.sqrt(np.mean(np.square(expected, dtype=np.float64))))
    assert np.max(np.abs(found - expected), initial=0) <= bound, what


def descendants(pid):
    """The processes that a process has started, and those that they have started, by id."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended meanwhile
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def running(pids):
    return {pid for pid in pids if Path(f"/proc/{pid}").exists() and not _is_zombie(pid)}


def _is_zombie(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def as_json(inputs):
    return [
        {"name": key, "datatype": "INT32", "shape": list(value.shape), "data": value.ravel().tolist()}
        for key, value in inputs.items()
    ]
