"""A module, with its inference or the reason why no table explains it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from surgery.errors import UnexplainedError
from surgery.explanation.architecture import Architecture, Inference
from surgery.explanation.embedded import locate_encoder
from surgery.explanation.heads import Head
from surgery.explanation.inferring import infer_architecture
from surgery.module import InspectedModule, VariableInfo
from surgery.results import Result, document
from surgery.sources import well_formed


@dataclass(frozen=True, kw_only=True, repr=False)
class Inspection(Result, report="inspect"):
    """The result of `inspect`: a module, and its inference or the reason why no table explains it.

    Attributes:
        module: The module.
        inference: Its family and architecture with the evidence; None if no table explains it. Rates of dropout may be
            missing, if nothing shows them.
        unexplained: Why no table explains it; None if one does.
        details: What the nearest table could not explain, one line each; none if no table is near.
        hint: What to do with a module that no table explains.
    """

    module: InspectedModule
    inference: Inference | None
    unexplained: str | None
    details: tuple[str, ...] = ()
    hint: str | None = None

    @property
    def architecture(self) -> Architecture | None:
        """The hyperparameters by field, or None if no table explains the module."""
        return None if self.inference is None else self.inference.architecture

    @property
    def variables(self) -> tuple[VariableInfo, ...]:
        """Every variable of the module."""
        return self.module.variables

    def to_dict(self, *, signature: str | None = None, variables: bool = False) -> dict[str, Any]:
        """The facts that `surgery inspect --json` prints.

        Args:
            signature: The only signature to include; None for all.
            variables: Whether to list every variable.
        """
        return document(self, signature=signature, variables=variables)

    @property
    def head(self) -> Head | None:
        """The head of the model around the encoder; None for an encoder alone, or if no table explains the module."""
        return None if self.inference is None else self.inference.head


def explain_module(module: InspectedModule, assume: Mapping[str, Any] | None = None) -> Inspection:
    """The module with its inference where a table explains it, else with the reason why none does."""
    try:
        with well_formed(module.name):
            return Inspection(
                module=module,
                inference=infer_architecture(locate_encoder(module), assume, for_inference=True),
                unexplained=None,
            )
    except UnexplainedError as error:
        return Inspection(
            module=module, inference=None, unexplained=error.message, details=error.details, hint=error.hint
        )
