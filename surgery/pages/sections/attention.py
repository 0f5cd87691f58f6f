"""The attention of a sentence: a map for each head of each block, and where each token looks most."""

from __future__ import annotations

from surgery.pages.section import Data, Documents, Section, found


def view(documents: Documents) -> Data | None:
    """For each block one row per token: the token at which each head looks most, and how much."""
    attention = found(documents, "attention")
    if attention is None:
        return None
    tokens = attention["tokens"]
    return {
        **{key: attention[key] for key in ("exported", "text", "tokens", "blocks")},
        "full": attention["seq_length"] if len(tokens) >= attention["seq_length"] else None,
        "heads": len(attention["probabilities"][0]),
        "most": [
            [[_most(head[number], tokens) for head in maps] for number in range(len(tokens))]
            for maps in attention["probabilities"]
        ],
    }


def _most(shares: list[float | None], tokens: list[str]) -> Data:
    """The token with the largest share. A share that is no number is none."""
    known = [-1.0 if share is None else share for share in shares]
    number = known.index(max(known))
    return {"token": tokens[number], "share": shares[number]}


ATTENTION = Section(
    name="attention", title="Attention of a sentence", view=view, scripts=("charts.js", "attention.js"), charts=True
)
