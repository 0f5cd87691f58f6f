"""The models of the inference benchmark: how each is made, and how its process is started."""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable

from scripts.tools.benchmark.fixture import PROGRAMS, Fixture
from scripts.tools.benchmark.programs.make_module import SIZES
from scripts.tools.benchmark.progress import say
from scripts.tools.runtimes.processes import python_of
from surgery.processes import child


class Unavailable(Exception):
    """A model cannot be made or started here; the message is the reason, on one line."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is made and started.

    Attributes:
        program: The program of the folder `programs` that runs it.
        make: Returns the program's arguments for a fixture, after making the files that it reads.
        environment: An environment of scripts/tools/environments; None for the checkout's own.
    """

    program: str
    make: Callable[[Fixture], list[str]]
    environment: str | None = None


def command(recipe: Recipe, fixture: Fixture) -> list[str]:
    """Make a model and return the command line of its process. Raises Unavailable."""
    python = interpreter(recipe.environment)
    try:
        arguments = recipe.make(fixture)
    except SystemExit as failure:
        lines = [line for line in str(failure).splitlines() if line.strip()]
        raise Unavailable(lines[-1]) from failure
    return child.command("-m", f"{PROGRAMS}.{recipe.program}", *arguments, python=python)


def interpreter(environment: str | None) -> str:
    """Return the Python of an environment, which is made where it is missing. Raises Unavailable."""
    python, failure = python_of(environment)
    if failure:
        raise Unavailable(failure)
    return python


def in_environment(fixture: Fixture, environment: str, program: str, *arguments: str) -> None:
    """Run a program of the folder `programs` in another environment. Raises Unavailable and SystemExit."""
    fixture.program(program, *arguments, python=interpreter(environment))


def vocabulary(fixture: Fixture) -> str:
    """Return the number of word ids, as an argument."""
    return str(SIZES[fixture.size]["vocab_size"])


def source(fixture: Fixture) -> list[str]:
    """Return the arguments for the source."""
    return [str(fixture.module), vocabulary(fixture), "source"]


def hand_written(fixture: Fixture) -> list[str]:
    """Return the arguments for the hand-written export, which an earlier run may have made."""
    return [str(fixture.naive_export()), vocabulary(fixture)]


def exported(form: str, fixture: Fixture) -> list[str]:
    """Return the arguments for an export of one form, with the signatures that show no padding."""
    return [str(fixture.graph_export(form)), vocabulary(fixture)]


def onnx(fixture: Fixture) -> list[str]:
    """Return the arguments for the hand-written export as a file of ONNX."""
    file = fixture.beside("onnx").with_suffix(".onnx")
    if not file.is_file():
        say("converting to ONNX (once)")
        in_environment(fixture, "onnx", "make_onnx", str(fixture.naive_export()), str(file))
    return [str(file), vocabulary(fixture)]


def checkpoint(fixture: Fixture) -> list[str]:
    """Return the arguments for the source's weights as a checkpoint of transformers."""
    folder, weights = fixture.beside("checkpoint"), fixture.beside("weights").with_suffix(".npz")
    if not folder.is_dir():
        say("writing a checkpoint of transformers (once)")
        fixture.program("make_weights", str(fixture.module), str(weights))
        in_environment(fixture, "torch", "make_checkpoint", str(weights), str(sizes(fixture)), str(folder))
        weights.unlink()
    return [str(folder)]


def sizes(fixture: Fixture) -> pathlib.Path:
    """Return a file of JSON with the model's sizes, by transformers' names."""
    file = fixture.beside("sizes").with_suffix(".json")
    file.write_text(json.dumps(SIZES[fixture.size]))
    return file


MODELS = {
    "source": Recipe(program="infer_tensorflow", make=source),
    "source again": Recipe(program="infer_tensorflow", make=source),
    "hand-written": Recipe(program="infer_tensorflow", make=hand_written),
    "model_garden": Recipe(program="infer_tensorflow", make=functools.partial(exported, "model_garden")),
    "fused": Recipe(program="infer_tensorflow", make=functools.partial(exported, "fused")),
    "torch": Recipe(program="infer_torch", make=checkpoint, environment="torch"),
    "openvino": Recipe(program="infer_openvino", make=hand_written, environment="openvino"),
    "onnx": Recipe(program="infer_onnx", make=onnx, environment="onnx"),
    "matmuls": Recipe(program="infer_matmuls", make=lambda fixture: [str(sizes(fixture))]),
}
