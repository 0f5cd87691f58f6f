"""One quantity, measured on two sides."""

import dataclasses
import statistics


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """The raw samples of a quantity: the subject's, and those of the reference that it is held against."""

    topic: str
    quantity: str
    unit: str
    subject: str
    subject_samples: list[float]
    reference: str
    reference_samples: list[float]
    is_noise: bool = False
    """Whether both sides are the same thing, so that the ratio tells what the measurement cannot resolve."""
    is_paired: bool = False
    """Whether the n-th samples of both sides were taken in the same turn."""

    @property
    def subject_median(self) -> float:
        """Return the subject's median."""
        return statistics.median(self.subject_samples)

    @property
    def reference_median(self) -> float:
        """Return the reference's median."""
        return statistics.median(self.reference_samples)

    @property
    def ratio(self) -> float:
        """Return subject by reference: below one, the subject is quicker or smaller.

        Of paired samples it is the median of each turn's ratio, which a busy machine moves less.
        """
        if self.is_paired:
            pairs = zip(self.subject_samples, self.reference_samples, strict=True)
            return statistics.median(subject / reference for subject, reference in pairs)
        return self.subject_median / self.reference_median
