"""A planned module whose weights are open: the value with which every job begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from surgery.explanation.architecture import Architecture
from surgery.export.weights import Weights
from surgery.module import Tensors
from surgery.planning.plan import Plan
from surgery.progress import Progress, silent
from surgery.proof.battery import Batch, make_fixed_battery

MakeBattery = Callable[[Architecture], Sequence[Batch]]
"""Makes the batches for an encoder's architecture. `surgery.proof.battery.make_battery` makes the full battery.

A module that takes one length or one number of rows has batches of its own (battery.make_fixed_battery).
"""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A planned module whose weights are open. Every step of a job is a function of this value.

    Attributes:
        plan: The module, how it is explained, and the outputs that its export will have.
        tensors: The values of the module's variables, as it stores them.
        weights: The same values in the encoder's layout, with their hashes.
        battery: The batches on which the module, the encoder and the export are run.
    """

    plan: Plan
    tensors: Tensors
    weights: Weights
    battery: Sequence[Batch]


def open_weights(
    plan: Plan, make_battery: MakeBattery, *, allow_nonfinite: bool = False, progress: Progress = silent
) -> Opened:
    """Starts TensorFlow and opens the module's values.

    Raises ModuleError when a variable is missing in the checkpoint, or has another shape there than in the graph.
    """
    progress("start TensorFlow", 0, 0)
    from surgery.tf.memory import importing

    with importing():
        import surgery.tf.recording  # noqa: F401 (which imports all of TensorFlow that a job needs)

    tensors = plan.module.open_tensors()
    tensors.check(assignment.variable for assignment in plan.weights.assignments)
    weights = Weights(plan.weights, tensors.read, plan.module.constants, allow_nonfinite=allow_nonfinite)
    architecture, call = plan.inference.architecture, plan.inference.convention
    fixed = call.rows is not None or call.length is not None
    battery = make_fixed_battery(architecture, call.rows, call.length) if fixed else make_battery(architecture)
    return Opened(plan=plan, tensors=tensors, weights=weights, battery=battery)
