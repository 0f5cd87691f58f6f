"""Compares the costs of two processes."""

from scripts.tools.benchmark.comparison import Comparison
from scripts.tools.benchmark.processes import Cost


def compare_costs(topic: str, costs: dict[str, list[Cost]]) -> list[Comparison]:
    """Compare the first side with the second by wall time, CPU time and peak memory."""
    subject, reference = costs
    return [
        Comparison(
            topic=topic,
            quantity=quantity,
            unit=unit,
            subject=subject,
            subject_samples=[getattr(cost, field) for cost in costs[subject]],
            reference=reference,
            reference_samples=[getattr(cost, field) for cost in costs[reference]],
        )
        for quantity, unit, field in (
            ("wall", "s", "wall"),
            ("user+sys CPU", "s", "cpu"),
            ("peak memory", "MiB", "peak"),
        )
    ]
