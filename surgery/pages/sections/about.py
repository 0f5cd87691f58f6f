"""What the module is: its format, its encoder, its sizes, and the verdicts of the sections below."""

from __future__ import annotations

from surgery.explanation.heads import head_words
from surgery.pages.section import Data, Documents, Section, failure, found
from surgery.pages.sections.facts import explanation, hyperparameters, parity, parts, unproven

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
        "contradicted": _contradicted(documents, values),
        "unexplained": inspect.get("unexplained"),
        "proof": _proof(documents),
        "clean": documents["scan"]["clean"],
        "findings": len(documents["scan"]["findings"]),
        "source": None if manifest is None else manifest["source"],
        "edits": _edits(documents),
        "text": None if (texts := found(documents, "text manifest")) is None else {"lower_case": None, **texts["text"]},
        "head": None if (plan := found(documents, "plan")) is None else _head(plan["head"]),
        "failed": [(name, error["message"]) for name, d in documents.items() if (error := failure(d)) is not None],
    }


def _head(head: Data | None) -> str | None:
    """What the head of the module is, in words; for one that cannot be kept, why."""
    if head is None:
        return None
    return head_words(head) if head["kind"] == "dense" else str(head["because"])


def _contradicted(documents: Documents, values: Data) -> list[Data]:
    """The figures that the manifest of an export has otherwise than the export's own weights and graph."""
    own = {
        row["field"]: row["value"]
        for row in (documents["inspect"].get("explanation") or {"architecture": []})["architecture"]
    }
    return [
        {"words": words, "manifest": values[field], "own": own[field]}
        for field, words in FIGURES.items()
        if field in values and own.get(field, values[field]) != values[field]
    ]


def _proof(documents: Documents) -> Data | None:
    """The verdict of the comparison with the module in words, which say no more than was compared, and by whom."""
    report, edited = parity(documents), bool(_edits(documents))
    if report is None:
        return None
    if not report["passed"]:
        words = "is not what its edits say" if edited else "NOT the same function"
    else:
        words = "computes the encoder after its edits" if edited else "the same function"
        if report["unmatched"] or unproven(documents):
            words += ", in all that can be compared"
    return {"passed": report["passed"], "words": f"its manifest says: {words}" if report["by"] == "manifest" else words}


def _edits(documents: Documents) -> list[str]:
    """The edits in words: those after which the export was compared, else those of its manifest."""
    if compared := (found(documents, "verify") or {"edits": []})["edits"]:
        return list(compared)
    applied = ((found(documents, "manifest") or {}).get("edits") or {"applied": []})["applied"]
    return [str(edit["edit"]) for edit in applied]


ABOUT = Section(name="about", title="What it is", view=view)
