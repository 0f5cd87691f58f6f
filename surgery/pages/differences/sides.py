"""The two modules, and which of their parts differ."""

from __future__ import annotations

from surgery.pages.section import Data, Documents, Section


def view(documents: Documents) -> Data | None:
    """Both modules, and every part that was compared with whether it is equal."""
    diff = documents["diff"]
    return {
        "sides": {"A": diff["a"], "B": diff["b"]},
        "same": diff["same"],
        "verdict": diff["weights"]["verdict"],
        "parts": [
            {"name": part, "same": part not in diff["differing"]}
            for part in diff["compared"]
            if part not in diff["absent"]
        ],
    }


SIDES = Section(name="sides", title="What differs", view=view)
