"""The parts besides the weights that differ: signatures and calls, facts with their evidence, operations, files."""

from __future__ import annotations

from surgery.pages.section import Data, Documents, Section

SHOWN = 200
"""Rows of a table that the page shows; its JSON has all of them."""


def interfaces(documents: Documents) -> Data | None:
    """The signatures and calls that differ."""
    diff = documents["diff"]
    kinds = {kind: diff[f"{kind}s"] for kind in ("signature", "call") if diff[f"{kind}s"]}
    return {"kinds": kinds} if kinds else None


def facts(documents: Documents) -> Data | None:
    """Hyperparameters with their evidence, constants, and statements of manifests, those that differ first."""
    diff = documents["diff"]
    kinds = {
        title: {
            "evidence": part == "architecture",
            "differing": [fact for fact in diff[part] if not fact["same"]],
            "equal": [fact for fact in diff[part] if fact["same"]],
        }
        for part, title in (("architecture", "Hyperparameters"), ("constants", "Constants"), ("manifest", "Manifest"))
        if diff[part]
    }
    unexplained = {side: diff[side.lower()]["unexplained"] for side in "AB" if diff[side.lower()]["unexplained"]}
    return {"kinds": kinds, "unexplained": unexplained} if kinds or unexplained else None


def operations(documents: Documents) -> Data | None:
    """The operations that differ: graph by graph where their nodes have the same names, and by type."""
    found: Data | None = documents["diff"]["operations"]
    if found is None or not (found["differing"] or found["types"]):
        return None
    return {**found, "shown": SHOWN}


def files(documents: Documents) -> Data | None:
    """The asset files that differ, text files line by line."""
    assets = [
        {**asset, "changes": None if asset["lines"] is None else _changes(asset["lines"])}
        for asset in documents["diff"]["assets"]
    ]
    return {"assets": assets, "shown": SHOWN} if assets else None


def _changes(lines: Data) -> list[tuple[str, str, int | None, int | None]]:
    """The lines that were added, removed or moved, each with its number in A and in B."""
    return [
        *(("added", line, None, number) for number, line in lines["added"]),
        *(("removed", line, number, None) for number, line in lines["removed"]),
        *(("moved", moved["line"], moved["a"], moved["b"]) for moved in lines["moved"]),
    ]


INTERFACES = Section(name="interfaces", title="Signatures and calls", view=interfaces)
FACTS = Section(name="facts", title="Architecture and facts", view=facts)
OPERATIONS = Section(name="operations", title="Operations", view=operations)
FILES = Section(name="files", title="Files", view=files)
