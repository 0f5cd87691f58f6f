"""What the module is: its format, its encoder, its sizes, and the verdicts of the sections below."""

from __future__ import annotations

from surgery.pages.section import Data, Documents, Section, found
from surgery.pages.sections.facts import explanation, hyperparameters, parity, parts

FIGURES = {
    "num_hidden_layers": "blocks",
    "hidden_size": "hidden size",
    "num_attention_heads": "heads",
    "vocab_size": "vocabulary",
    "max_position_embeddings": "positions",
}
"""Hyperparameters that are shown in large figures, with their words."""


def view(documents: Documents) -> Data:
    """The facts of an inspection, and the verdicts."""
    inspect, manifest = documents["inspect"], found(documents, "manifest")
    values = hyperparameters(documents)
    count = sum(part["parameters"] for part in parts(documents))
    figures = [{"value": values[field], "words": words} for field, words in FIGURES.items() if field in values]
    return {
        "inspect": inspect,
        "figures": ([{"value": count, "words": "parameters"}] if count else []) + figures,
        "explanation": explanation(documents),
        "unexplained": inspect.get("unexplained"),
        "parity": parity(documents),
        "clean": documents["scan"]["clean"],
        "findings": len(documents["scan"]["findings"]),
        "source": None if manifest is None else manifest["source"],
        "edits": _edits(manifest),
        "text": (found(documents, "text manifest") or {"text": None})["text"],
        "head": None if (plan := found(documents, "plan")) is None else plan["head"],
        "failed": [(name, d["error"]["message"]) for name, d in documents.items() if "error" in d],
    }


def _edits(manifest: Data | None) -> list[str]:
    applied = ((manifest or {}).get("edits") or {"applied": []})["applied"]
    return [str(edit["edit"]) for edit in applied]


ABOUT = Section(name="about", title="What it is", view=view)
