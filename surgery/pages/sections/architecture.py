"""The architecture: the encoder drawn block by block with the shapes, and the evidence for each hyperparameter."""

from __future__ import annotations

from surgery.pages.section import Data, Documents, Section, found
from surgery.pages.sections.facts import BLOCKS, explanation, hyperparameters, parts


def view(documents: Documents) -> Data | None:
    """The parts with what they return, the sublayers of a block, and the hyperparameters with their evidence."""
    explained = explanation(documents)
    if explained is None:
        return None
    plan, taps, values = found(documents, "plan"), found(documents, "taps"), hyperparameters(documents)
    return {
        "explanation": explained,
        "inputs": [] if plan is None else list(plan["convention"]["inputs"]),
        "parts": [part | {"shape": _shape(part, values)} for part in parts(documents)],
        "taps": [] if taps is None else [_tap(tap) for tap in taps["taps"]],
        "not_offered": {} if taps is None else taps["not_offered"],
        "times": values.get("num_hidden_layers"),
    }


def _shape(part: Data, values: Data) -> str | None:
    """What a part returns. Only that of the pooler and of what lies between blocks is known by its hyperparameters."""
    if part["group"] == "pooler" or "hidden_size" not in values:
        return None
    inner = values["hidden_size"]
    return f"[batch, seq, {inner}]" if part["group"] in (BLOCKS, "the shared block") else None


def _tap(tap: Data) -> Data:
    axes = [axis if size is None else f"{axis} {size}" for axis, size in zip(tap["axes"], tap["shape"], strict=True)]
    return {**tap, "text": "[" + ", ".join(axes) + "]"}


ARCHITECTURE = Section(name="architecture", title="Architecture", view=view)
