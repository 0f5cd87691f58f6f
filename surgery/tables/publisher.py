"""What the publisher of a checkpoint says of its function, as rows: config keys, code, and names. Pure data."""

from __future__ import annotations

from dataclasses import dataclass

from surgery.tables.evidence import CodeEvidence, ConfigEvidence, Demand, GraphEvidence


@dataclass(frozen=True, kw_only=True)
class Names:
    """The publisher's own names, written out for the reference computation, which shares nothing with the weight rows.

    `block` is a block's scope, with `{}` for its number unless all blocks share one; names within a block are below it.
    Dense kernels are stored [in, out], or [out, in] where `transposed`. A leaf may have been renamed over the years:
    the first that is there counts. A missing `pooler`, `projection` or `masked_lm` has no weights under its name.
    """

    words: str
    positions: str
    types: str
    embedding_norm: str
    projection: str
    block: str
    query: str
    key: str
    value: str
    attention_output: str
    attention_norm: str
    intermediate: str
    output: str
    output_norm: tuple[str, ...]
    pooler: str
    masked_lm: str = ""
    scopes: tuple[str, ...] = ("",)
    separator: str = "/"
    kernel: str = "kernel"
    gamma: tuple[str, ...] = ("gamma",)
    beta: tuple[str, ...] = ("beta",)
    transposed: bool = False


@dataclass(frozen=True, kw_only=True)
class Publisher:
    """One publisher's checkpoints of a family.

    `model_types` are the names of the architecture in its configs; None is a config that names none. `graph` are rows
    read from a graph of unknown purpose that lies beside the checkpoint.
    """

    model_types: tuple[str | None, ...]
    evidence: tuple[ConfigEvidence | CodeEvidence, ...]
    names: Names
    demands: tuple[Demand, ...] = ()
    graph: tuple[GraphEvidence, ...] = ()
