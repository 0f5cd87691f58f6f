"""One quantity, measured on two sides."""

import dataclasses
import statistics
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """The raw samples of a quantity on two sides: the subject, and the reference with which it is compared.

    Attributes:
        topic: The topic, such as "convert".
        quantity: The measured quantity, such as "wall".
        unit: The unit of all samples.
        subject: Name of the subject.
        subject_samples: Samples of the subject.
        reference: Name of the reference.
        reference_samples: Samples of the reference.
        is_noise: True if both sides are the same thing. The ratio then shows the resolution of the measurement.
        is_paired: True if the n-th samples of both sides were taken in the same turn.
        floor: The ratio of the reference's matrix products alone to the reference, measured in the same turns; None
            where they were not measured.
    """

    topic: str
    quantity: str
    unit: str
    subject: str
    subject_samples: list[float]
    reference: str
    reference_samples: list[float]
    is_noise: bool = False
    is_paired: bool = False
    floor: float | None = None

    @classmethod
    def between(cls, samples: Mapping[str, list[float]], subject: str, reference: str, **about: Any) -> "Comparison":
        """Return the comparison of two sides whose samples stand under their names. `about` are the other fields."""
        return cls(
            subject=subject,
            subject_samples=samples[subject],
            reference=reference,
            reference_samples=samples[reference],
            **about,
        )

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
        """Return subject divided by reference: below one, the subject is quicker or smaller.

        For paired samples it is the median of the turns' ratios, on which a busy machine has less influence.
        """
        if self.is_paired:
            pairs = zip(self.subject_samples, self.reference_samples, strict=True)
            return statistics.median(subject / reference for subject, reference in pairs)
        return self.subject_median / self.reference_median
