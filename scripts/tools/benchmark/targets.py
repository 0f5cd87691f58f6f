"""The targets, and whether a comparison reaches them."""

import dataclasses
from typing import Literal

from scripts.tools.benchmark.comparison import Comparison

Measure = Literal["median", "ratio", "speed-up"]


@dataclasses.dataclass(frozen=True)
class Target:
    """A bound on one figure of one comparison; a speed-up is a lower bound, all else an upper one."""

    topic: str
    quantity: str
    measure: Measure
    bound: float

    def applies_to(self, comparison: Comparison) -> bool:
        """Tell whether this target is about a comparison; a noise floor has none."""
        same = (comparison.topic, comparison.quantity) == (self.topic, self.quantity)
        return same and not comparison.is_noise

    def measured(self, comparison: Comparison) -> float:
        """Return the figure that the bound is about."""
        if self.measure == "median":
            return comparison.subject_median
        return comparison.ratio if self.measure == "ratio" else 1 / comparison.ratio

    def is_reached(self, comparison: Comparison) -> bool:
        """Tell whether the figure is within the bound."""
        measured = self.measured(comparison)
        return measured >= self.bound if self.measure == "speed-up" else measured <= self.bound

    def text(self, unit: str) -> str:
        """Return the target as it stands in the table."""
        if self.measure == "median":
            return f"<= {self.bound:g} {unit}"
        return f"<= {self.bound:.2f} x" if self.measure == "ratio" else f">= {self.bound:g} x faster"


TARGETS = (
    Target("inspect", "wall", "median", 0.4),
    Target("inspect", "wall", "speed-up", 15),
    Target("convert", "wall", "ratio", 0.85),
    Target("convert", "peak memory", "ratio", 0.85),
    Target("load", "tf.saved_model", "ratio", 0.45),
    Target("latency", "1 x 128", "ratio", 1.05),
    Target("latency", "8 x 128", "ratio", 1.05),
    *(
        Target("taps", f"{shape}, {what}", "ratio", bound)
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
    Target("convert taps", "wall", "ratio", 1.3),
    Target("extract", "wall, the Hub loop", "speed-up", 3),
    *(Target("processes", f"{count} on {count} cores", "ratio", 1.2 / count) for count in (2, 4, 8, 16, 32)),
    Target("sizes", "saved_model.pb", "ratio", 0.30),
    Target("sizes", "variables", "ratio", 1.01),
)


def targets_of(comparison: Comparison) -> list[Target]:
    """Return the targets about a comparison."""
    return [target for target in TARGETS if target.applies_to(comparison)]
