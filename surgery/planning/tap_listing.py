"""The sublayers that can be added as outputs, as a result of its own: what `surgery taps` shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from surgery.planning.plan import Plan
from surgery.planning.taps import Offer, offered
from surgery.results import Result


@dataclass(frozen=True, kw_only=True, repr=False)
class TapListing(Result, report="taps"):
    """The sublayers of an encoder that `convert` can add as outputs.

    Attributes:
        plan: The module, and how it is explained.
        batch: Rows of the reply whose bytes are counted.
        length: Tokens of a row of that reply.
    """

    plan: Plan
    batch: int
    length: int

    @property
    def offers(self) -> Mapping[str, Offer]:
        """What each tap is, by its name."""
        return offered(self.plan.inference)

    @property
    def names(self) -> tuple[str, ...]:
        """The names that `taps=` takes."""
        return tuple(self.offers)

    def nbytes(self, name: str) -> int:
        """The bytes of one block's tensor in a reply, by the name of the tap."""
        return self.offers[name].nbytes(self.plan.inference, self.batch, self.length)
