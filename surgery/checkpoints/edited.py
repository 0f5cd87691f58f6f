"""Exports of ours whose edits no class of a library can hold, found before anything is explained or written."""

from __future__ import annotations

from pathlib import Path

from surgery.edits import InsertLayer, ReplaceBlock
from surgery.errors import UnexplainedError
from surgery.export.manifest import read_manifest
from surgery.module import InspectedModule
from surgery.planning.edit_words import read_edit


def refuse_other_layers(module: InspectedModule) -> None:
    """Refuses an edited export with a Keras layer of the caller's own, or with blocks of several numbers of heads.

    A layer without weights would leave no variable, so that the weight tables could not see it; the manifest names it.
    Raises UnexplainedError.
    """
    try:
        edits = read_manifest(Path(module.folder))["edits"]
        applied = [str(row["edit"]) for row in edits["applied"]]
        pruned = {len(block["pruned_heads"]) for block in edits["blocks"]}
    except (OSError, ValueError, LookupError, TypeError):
        return
    doing = f"writing {module.name} for Hugging Face: it is an edited export"
    if layers := [words for words in applied if _has_layer(words)]:
        raise UnexplainedError(f"{doing} ({layers[0]}), and transformers has no such layer")
    if len(pruned) > 1:
        words = ", ".join(words for words in applied if words.startswith("prune"))
        raise UnexplainedError(
            f"{doing} ({words}), and its blocks have different numbers of heads: transformers' configs have one number"
        )


def _has_layer(words: str) -> bool:
    try:
        return isinstance(read_edit(words), InsertLayer | ReplaceBlock)
    except ValueError:
        return True  # words of another version: what the edit does is not known
