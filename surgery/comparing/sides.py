"""One of the two modules: its inspection, and what each of its weights means, if a table knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from surgery.errors import UnexplainedError
from surgery.explanation.claims import Claim
from surgery.explanation.inspection import Inspection, explain_module
from surgery.explanation.recognition import find_family
from surgery.module import InspectedModule
from surgery.results import Brief
from surgery.sources import well_formed
from surgery.tables.family import Family


@dataclass(frozen=True, kw_only=True, repr=False)
class Side(Brief):
    """One of two modules that are compared.

    Attributes:
        label: "A" or "B".
        inspection: The module, with its inference or the reason why no table explains it.
        family: The family whose weight table claims all its weights by their names; None where none does. It may be
            known where a hyperparameter is not, so that there is no inference.
        claims: Its weights with the rows that claim them.
    """

    label: str
    inspection: Inspection
    family: Family | None
    claims: tuple[Claim, ...]

    @property
    def module(self) -> InspectedModule:
        """The module."""
        return self.inspection.module

    @property
    def sizes(self) -> Mapping[str, int]:
        """Size by axis of the layouts; empty without an inference."""
        return {} if self.inspection.inference is None else self.inspection.inference.sizes


def side(label: str, module: InspectedModule) -> Side:
    """Describes a module."""
    inspection = explain_module(module)
    if (inference := inspection.inference) is not None:
        return Side(label=label, inspection=inspection, family=inference.family, claims=inference.claims)
    try:
        with well_formed(module.name):
            family, explanation = find_family(module)
    except UnexplainedError:
        return Side(label=label, inspection=inspection, family=None, claims=())
    return Side(label=label, inspection=inspection, family=family, claims=explanation.claims)
