"""The targets, and whether a comparison reaches them."""

import dataclasses
from typing import Literal

from scripts.tools.benchmark.comparison import Comparison
from scripts.tools.benchmark.programs.inputs import FULL, HALF
from scripts.tools.benchmark.sides import FUSED, MEAN, OPENVINO, POOLED, SOURCE, TORCH

SLOW = 0.6
"""A ratio of the matrix products alone above which a processor leaves little to gain."""
Measure = Literal["median", "ratio", "speed-up"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """A bound on one figure of one comparison.

    Attributes:
        topic: The comparison's topic.
        quantity: The comparison's quantity.
        measure: The figure: the subject's median, the ratio, or the speed-up, which is the ratio's inverse.
        bound: The bound: the least value of a speed-up, the largest value of every other figure.
        subject: The comparison's subject; None for any.
        reference: The comparison's reference; None for any.
        slow_bound: The bound where the matrix products alone take more than SLOW of the reference's time; None for the
            same one.
    """

    topic: str
    quantity: str
    measure: Measure
    bound: float
    subject: str | None = None
    reference: str | None = None
    slow_bound: float | None = None

    def applies_to(self, comparison: Comparison) -> bool:
        """Return whether this target is one of a comparison. A noise floor has no targets."""
        same = (comparison.topic, comparison.quantity) == (self.topic, self.quantity)
        same &= self.subject in (None, comparison.subject) and self.reference in (None, comparison.reference)
        return same and not comparison.is_noise

    def bound_of(self, comparison: Comparison) -> float:
        """Return the bound, which can depend on the matrix products alone."""
        is_slow = comparison.floor is not None and comparison.floor > SLOW
        return self.slow_bound if is_slow and self.slow_bound is not None else self.bound

    def measured(self, comparison: Comparison) -> float:
        """Return the figure to which the bound applies."""
        if self.measure == "median":
            return comparison.subject_median
        return comparison.ratio if self.measure == "ratio" else 1 / comparison.ratio

    def is_reached(self, comparison: Comparison) -> bool:
        """Return whether the figure is within the bound."""
        measured = self.measured(comparison)
        bound = self.bound_of(comparison)
        return measured >= bound if self.measure == "speed-up" else measured <= bound

    def text(self, comparison: Comparison) -> str:
        """Return the target as the table shows it."""
        bound = self.bound_of(comparison)
        if self.measure == "median":
            return f"<= {bound:g} {comparison.unit}"
        return f"<= {bound:.2f} x" if self.measure == "ratio" else f">= {bound:g} x faster"


TARGETS = (
    Target(topic="inspect", quantity="wall", measure="median", bound=0.25),
    Target(topic="inspect", quantity="wall", measure="speed-up", bound=30),
    Target(topic="convert", quantity="wall", measure="ratio", bound=0.85),
    Target(topic="convert", quantity="peak memory", measure="ratio", bound=0.85),
    Target(topic="checkpoint", quantity="wall", measure="median", bound=5),
    # The file of BERT-large's weights, and its largest tensor, the word embeddings.
    Target(topic="checkpoint, large", quantity="peak memory", measure="median", bound=1278 + 120),
    Target(topic="load", quantity="tf.saved_model", measure="ratio", bound=0.45),
    *(
        Target(
            topic="inference",
            quantity=f"{shape}, {FULL}",
            measure="ratio",
            bound=bound,
            slow_bound=slow,
            subject=FUSED,
            reference=SOURCE,
        )
        for shape, bound, slow in (("1 x 16", 1.02, None), ("1 x 128", 0.80, None), ("8 x 128", 0.70, 0.80))
    ),
    *(
        Target(
            topic="inference",
            quantity=f"8 x 128, {FULL}",
            measure="ratio",
            bound=1.0,
            subject=FUSED,
            reference=reference,
        )
        for reference in (TORCH, OPENVINO)
    ),
    *(
        Target(topic="inference", quantity=f"8 x 128, {HALF}", measure="ratio", bound=0.45, subject=subject)
        for subject in (POOLED, MEAN)
    ),
    *(
        Target(topic="taps", quantity=f"{shape}, {what}", measure="ratio", bound=bound)
        for shape in ("1 x 128", "8 x 128")
        for what, bound in (
            ("all block outputs", 1.02),
            ("with attention_probs", 1.05),
            ("with every tap", 1.10),
            ("depth 0.08 L", 1 / 12 + 0.05),
            ("depth 0.33 L", 4 / 12 + 0.05),
            ("depth 0.67 L", 8 / 12 + 0.05),
        )
    ),
    Target(topic="convert taps", quantity="wall", measure="ratio", bound=1.3),
    Target(topic="extract", quantity="wall, the Hub loop", measure="speed-up", bound=6),
    *(
        Target(topic="processes", quantity=f"{count} on {count} cores", measure="ratio", bound=1.2 / count)
        for count in (2, 4, 8, 16, 32)
    ),
    Target(topic="sizes", quantity="saved_model.pb", measure="ratio", bound=0.30),
    Target(topic="sizes", quantity="variables", measure="ratio", bound=1.01),
)


def targets_of(comparison: Comparison) -> list[Target]:
    """Return the targets of a comparison."""
    return [target for target in TARGETS if target.applies_to(comparison)]
