"""The result of a comparison: all parts of two modules, and which of them differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from surgery.comparing.blocks import Part, parts_of
from surgery.comparing.facts import Fact
from surgery.comparing.files import FileDifference
from surgery.comparing.interfaces import Interface
from surgery.comparing.numbers import Numbers
from surgery.comparing.operations import Operations
from surgery.comparing.pairing import BESIDE
from surgery.comparing.sides import Side
from surgery.comparing.weights import EQUAL, UNREADABLE, Weight
from surgery.results import Result

SAME, RELAID, OTHER_DTYPE, OTHER, UNKNOWN = (
    "the same weights",
    "the same weights in another layout",
    "the same numbers in another dtype",
    "different weights",
    "not all weights could be compared",
)


@dataclass(frozen=True, kw_only=True, repr=False)
class Difference(Result, report="diff"):
    """Two modules, compared. A part that was not compared is empty.

    Attributes:
        a: The first module.
        b: The second module.
        compared: The parts that were compared, of surgery.comparing.parts.
        signatures: The signatures that differ.
        calls: The calls that differ.
        architecture: Every hyperparameter in both.
        constants: Every constant in both, such as `do_lower_case`.
        operations: The operations and graphs that differ.
        assets: The asset files that differ.
        manifest: Every statement of the manifests of exports.
        weights: Every pair of variables, and every variable without a partner.
        words: The word of each row of the word embeddings, in A and in B; empty where no vocabulary is known.
        word_table: The name of the word embeddings among the weights; None where no table knows it.
        numbers: The outputs of both in double precision; None unless they were asked for.
    """

    a: Side
    b: Side
    compared: tuple[str, ...]
    signatures: tuple[Interface, ...] = ()
    calls: tuple[Interface, ...] = ()
    architecture: tuple[Fact, ...] = ()
    constants: tuple[Fact, ...] = ()
    operations: Operations | None = None
    assets: tuple[FileDifference, ...] = ()
    manifest: tuple[Fact, ...] = ()
    weights: tuple[Weight, ...] = ()
    words: tuple[tuple[str, ...], tuple[str, ...]] = field(default=((), ()), repr=False)
    word_table: str | None = None
    numbers: Numbers | None = None

    @property
    def same(self) -> bool:
        """Whether nothing differs in the parts that were compared."""
        return not self.differing

    @property
    def differing(self) -> tuple[str, ...]:
        """The parts that differ, of those that were compared."""
        differs: Mapping[str, bool] = {
            "format": self.a.module.format != self.b.module.format,
            "signatures": bool(self.signatures),
            "calls": bool(self.calls),
            "architecture": any(not fact.same for fact in self.architecture) or self.one_unexplained,
            "constants": any(not fact.same for fact in self.constants),
            "operations": self.operations is not None and not self.operations.same,
            "assets": bool(self.assets),
            "manifest": any(not fact.same for fact in self.manifest),
            "variables": any(not weight.same for weight in self.weights),
            "numbers": self.numbers is not None and not self.numbers.same,
        }
        return tuple(part for part in self.compared if differs[part])

    @property
    def absent(self) -> tuple[str, ...]:
        """The parts that were compared and that neither module has, such as the manifest of exports."""
        modules = (self.a.module, self.b.module)
        there: Mapping[str, bool] = {
            "signatures": any(graph.signatures for module in modules for graph in module.meta_graphs),
            "calls": any(module.traces for module in modules),
            "architecture": any(side.inspection.inference is not None for side in (self.a, self.b)),
            "constants": bool(self.constants),
            "operations": any(module.meta_graphs for module in modules),
            "assets": any(module.assets for module in modules),
            "manifest": bool(self.manifest),
            "variables": bool(self.weights),
        }
        return tuple(part for part in self.compared if not there.get(part, True) and part not in self.differing)

    @property
    def one_unexplained(self) -> bool:
        """Whether a table explains one of the two modules, and none the other."""
        return (self.a.inspection.inference is None) != (self.b.inspection.inference is None)

    @property
    def verdict(self) -> str | None:
        """What the weights are to each other: those of the encoder, if both are known; None without weights.

        Submodels such as ".mlm" are excepted by name where the encoder's own weights are the same and theirs are not.
        """
        own = [weight for weight in self.weights if weight.pair.group != BESIDE]
        core = [weight for weight in own if not weight.pair.group.startswith(".")]
        if not core:
            return None
        if any(weight.state not in (EQUAL, UNREADABLE) for weight in core):
            return OTHER
        if any(weight.state == UNREADABLE for weight in core):
            return UNKNOWN
        said = OTHER_DTYPE if not all(weight.same for weight in core) else SAME
        said = RELAID if said == SAME and any(weight.relaid for weight in core) else said
        excepted = dict.fromkeys(w.pair.group for w in own if w.pair.group.startswith(".") and not w.same)
        return said + (f", except for {' and '.join(excepted)}" if excepted else "")

    @property
    def summary(self) -> tuple[Part, ...]:
        """The weights by the parts of the model."""
        return parts_of(self.weights)
