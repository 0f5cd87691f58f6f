"""What is known of an encoder: its architecture, and all that was inferred of a module, with the evidence."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Any

from surgery.explanation.claims import Claim
from surgery.explanation.convention import Convention
from surgery.explanation.gathering import Evidence
from surgery.explanation.heads import Head
from surgery.explanation.outputs import EncoderOutputs
from surgery.explanation.sizes import most_tokens
from surgery.results import Brief, Result
from surgery.tables.family import POOLED_L2_NORM_EPS, Family, InputAnchor
from surgery.tables.publisher import Publisher

BLOCK_COUNT = "num_hidden_layers"


@dataclass(frozen=True, kw_only=True, repr=False)
class Architecture(Result, report="hyperparameters"):
    """The hyperparameters of an encoder by BERT's own names (google-research/bert, modeling.py: BertConfig).

    Attributes:
        family: Name of the family, such as "albert".
        generation: The exporter or publisher whose names the module has.
        values: Value by field, in the family's order.
    """

    family: str
    generation: str
    values: Mapping[str, Any]

    def __getitem__(self, field: str) -> Any:
        """The value of a field. Raises KeyError for a field that the encoder does not have."""
        return self.values[field]

    @property
    def blocks(self) -> int:
        """The number of blocks."""
        count: int = self.values[BLOCK_COUNT]
        return count

    @property
    def longest(self) -> int:
        """The most tokens of a row."""
        return most_tokens(self.values)

    def with_blocks(self, count: int) -> Architecture:
        """The same architecture with so many blocks."""
        return replace(self, values={**self.values, BLOCK_COUNT: count})


@dataclass(frozen=True, kw_only=True, repr=False)
class Inference(Brief):
    """The family, the architecture and the calling convention of a module, with the evidence.

    Attributes:
        family: The table that explains the module.
        architecture: Every hyperparameter.
        evidence: Where each hyperparameter was read, one entry per field and kind of evidence.
        claims: Each weight with the row that claims it.
        sizes: Size by axis of the weights' layouts.
        convention: How `__call__` takes inputs and gives outputs.
        submodels: The same for each sub-model, such as "mlm", by name.
        publisher: How the checkpoint's publisher describes it; None for a module that has a graph.
        head: The head of the model around the encoder; None for a module that is an encoder alone.
        unknown: Rates of dropout without evidence, with the reason: see `infer_architecture`.
    """

    family: Family
    architecture: Architecture
    evidence: tuple[Evidence, ...]
    claims: tuple[Claim, ...]
    sizes: Mapping[str, int]
    convention: Convention
    submodels: Mapping[str, Convention]
    publisher: Publisher | None = None
    head: Head | None = None
    unknown: Mapping[str, str]

    @property
    def inputs(self) -> tuple[InputAnchor, ...]:
        """The inputs of the encoder that its export asks for."""
        return self.family.asked_for(self.sizes)

    @property
    def outputs(self) -> EncoderOutputs:
        """The outputs of the encoder: those of the family for which this module has weights."""
        targets = {target for claim in self.claims for target in claim.targets}
        return encoder_outputs(self.family, targets, self.architecture.values)


def encoder_outputs(family: Family, targets: Container[str], values: Mapping[str, Any]) -> EncoderOutputs:
    """The outputs of an encoder that has weights for these targets, and these hyperparameters."""
    return EncoderOutputs.of(family, targets, values[BLOCK_COUNT], normalized=POOLED_L2_NORM_EPS in values)
