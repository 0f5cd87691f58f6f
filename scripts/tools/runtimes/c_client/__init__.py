"""A C program that runs an export through TensorFlow's C API, and functions that build and call it."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import numpy as np

SOURCE = Path(__file__).with_name("run_saved_model.c")
LIBRARIES = ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2")


def compile_client(build_dir: str | Path) -> Path | None:
    """Build the client in `build_dir` against the installed TensorFlow wheel; None without a C compiler.

    Raises RuntimeError when the compiler fails, with its messages, and when TensorFlow is not installed.
    """
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        return None
    tensorflow = find_spec("tensorflow")
    if tensorflow is None or tensorflow.origin is None:
        raise RuntimeError("building the client of the C API: this Python has no TensorFlow, whose library it needs")
    wheel = Path(tensorflow.origin).parent
    client = Path(build_dir) / "run_saved_model"
    client.parent.mkdir(parents=True, exist_ok=True)
    command = [
        compiler,
        "-std=c99",
        "-O1",
        "-Wall",
        f"-I{wheel / 'include'}",
        str(SOURCE),
        "-o",
        str(client),
        f"-L{wheel}",
        *(f"-l:{name}" for name in LIBRARIES),
        f"-Wl,-rpath,{wheel}",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
    return client


def run_client(
    client: str | Path, export: str | Path, inputs: dict[str, np.ndarray], outputs: dict[str, str]
) -> dict[str, np.ndarray]:
    """Run `export` once. Returns float32 arrays by the names of `outputs`.

    `inputs` maps tensor names (`name:0`) to int32 arrays, `outputs` maps names to tensor names. Values are passed on
    the command line, so an input has some ten thousand numbers at most. Raises RuntimeError with the client's message
    when it fails.
    """
    command = [str(client), str(export)]
    for tensor, array in inputs.items():
        array = np.asarray(array)
        values = ",".join(map(str, array.ravel()))
        command += ["--shape", "x".join(map(str, array.shape)), f"{tensor}={values}"]
    command += ["--", *(f"{name}={tensor}" for name, tensor in outputs.items())]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        own = [line for line in done.stderr.splitlines() if line.startswith("run_saved_model: ")]
        raise RuntimeError(own[-1] if own else f"the client ended with {done.returncode}: {done.stderr}")
    return dict(parse_line(line, outputs) for line in done.stdout.splitlines())


def parse_line(line: str, outputs: dict[str, str]) -> tuple[str, np.ndarray]:
    """Read a line of the client's output: `name 2x3 v0 v1 ..` is (name, float32 [2, 3])."""
    name, shape, *values = line.split()
    if name not in outputs:
        raise RuntimeError(f"the client printed {line[:80]!r}")
    dims = () if shape == "scalar" else tuple(map(int, shape.split("x")))
    return name, np.array(values, dtype=np.float64).astype(np.float32).reshape(dims)
