"""The commands that open an input, with the arguments that they get."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random

import surgery
from scripts.tools.fuzz.inputs import Input

READING = ("inspect", "plan", "scan", "graph")
"""Commands without TensorFlow: every input goes through each."""
RUNNING = ("convert", "verify", "tap")
"""Commands with TensorFlow: one input in EVERY goes through each."""
EVERY = 20
OPTIONS: dict[str, tuple[tuple[str, ...], ...]] = {
    "inspect": ((), ("--json",)),
    "plan": ((), ("--json",), ("--tap", "attention_probs"), ("--depth", "1", "--layers", "-1:")),
    "scan": ((), ("--json",)),
    "graph": ((), ("--json",), ("--match", "*a*")),
    "convert": ((), ("--text",), ("--tap", "attention_probs"), ("--depth", "1")),
    "verify": ((), ("--json",)),
    "tap": ((),),
}


def arguments(command: str, given: Input, output: Path) -> list[str]:
    """The words after `surgery`. What a command writes goes into the folder `output`."""
    rng = Random(f"{given.number}/{command}")
    options = rng.choice(OPTIONS[command])
    module = str(given.path)
    sample = given.sample
    if command == "convert":
        return [command, module, str(output / "export" / "1"), *options]
    if command == "verify":
        pair = (str(sample.source), module) if sample.source is not None else (module, str(sample.export))
        return [command, *pair, *options]
    if command == "tap":
        names = tensors(sample.folder)
        return [command, module, str(output / "export" / "1"), "--tensor", f"{rng.choice(names)}=tapped"]
    return [command, module, *options]


@cache
def tensors(folder: Path) -> tuple[str, ...]:
    """Names of tensors of a sample that can be tapped; one that does not exist for a checkpoint without a graph."""
    try:
        return tuple(tensor.name for tensor in surgery.graph(folder).tensors) or ("none",)
    except surgery.SurgeryError:
        return ("none",)
