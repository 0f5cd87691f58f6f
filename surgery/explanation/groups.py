"""The parts of a model to which its weights belong: embeddings, blocks by number, pooler, and submodels."""

from __future__ import annotations

from surgery.explanation.claims import Claim
from surgery.tables.family import Family

BLOCK_HOLE = "layer"
BLOCKS, SHARED_BLOCK, EMBEDDINGS, POOLER = "blocks", "the shared block", "embeddings", "pooler"


def group_of(family: Family, target: str, claim: Claim) -> tuple[str, int | None]:
    """The part to which a weight of the encoder belongs, and the number of its block; None for other parts.

    A submodel is its name with a dot, such as ".mlm".
    """
    if claim.rule.part != "encoder":
        return f".{claim.rule.part}", None
    if BLOCK_HOLE in claim.holes:
        return BLOCKS, int(claim.holes[BLOCK_HOLE])
    if family.repeated is not None and target.startswith(family.repeated):
        return SHARED_BLOCK, None
    return (POOLER if target.startswith("pooler") else EMBEDDINGS), None
