"""Where every weight went: into which weight of the encoder, under which layout, or why it was left behind."""

from __future__ import annotations

from surgery.pages.section import Data, Documents, Section, found
from surgery.pages.sections.facts import parity, parts


def view(documents: Documents) -> Data | None:
    """The weights by part of the model, what was kept beside the encoder, and what was dropped."""
    plan, manifest = found(documents, "plan"), found(documents, "manifest")
    of_parts = parts(documents)
    if not of_parts:
        return None
    stated = manifest if manifest is not None else plan or {"kept": [], "dropped": []}
    report = parity(documents)
    return {
        "parts": of_parts,
        "count": sum(len(part["weights"]) for part in of_parts),
        "parameters": sum(part["parameters"] for part in of_parts),
        "kept": [kept if isinstance(kept, str) else kept["attribute"] for kept in stated["kept"]],
        "dropped": stated["dropped"],
        "source": None if manifest is None else manifest["source"]["name"],
        "checked": None if report is None else {**report["weights"], "by": report["by"]},
    }


WEIGHTS = Section(name="weights", title="Where every weight went", view=view, scripts=("charts.js",), charts=True)
