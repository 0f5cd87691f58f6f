"""The module's side of a comparison: its own graphs, or for a checkpoint the function that its config describes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from surgery.jobs.opened import Opened
from surgery.progress import Progress
from surgery.proof import float64
from surgery.proof.battery import Batch
from surgery.proof.comparison import ModuleRecording, Outputs
from surgery.proof.expected import expected_outputs


class Reference(Protocol):
    """The module's side of a comparison, as something that can be run."""

    def record(self, battery: Sequence[Batch], progress: Progress) -> ModuleRecording:
        """The module's outputs on batches."""

    def close(self) -> None:
        """Frees its memory. It can be run again."""


class Computed:
    """A checkpoint, whose publisher's function is computed in numpy."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    def record(self, battery: Sequence[Batch], progress: Progress) -> ModuleRecording:
        """The outputs of the function on batches."""
        plan, blocks = self._opened.plan, partial(progress, "compute the reference")
        taps, tensors = plan.outputs.taps, self._opened.tensors
        outputs = float64.record_float64(plan.module, plan.inference, tensors, battery, taps, blocks)
        return ModuleRecording(outputs=outputs)

    def close(self) -> None:
        """Does nothing: no block stays in memory."""


@contextmanager
def reference_of(opened: Opened) -> Iterator[Reference]:
    """The module's own graphs. For a checkpoint, which has none, its publisher's function."""
    from surgery.tf.recording import LoadedModule

    plan = opened.plan
    if plan.inference.publisher is not None:
        yield Computed(opened)
    else:
        with LoadedModule(plan.module, plan.inference, plan.outputs) as loaded:
            yield loaded


def run(opened: Opened, reference: Reference, numbered: Mapping[int, Batch], progress: Progress) -> Ran:
    """Runs the module on batches, which are given by their numbers in the battery."""
    plan, batches = opened.plan, list(numbered.values())
    if not batches:
        return Ran(outputs={})
    recording = reference.record(batches, progress)
    expected = expected_outputs(plan.inference, plan.outputs, batches, recording.outputs)
    return Ran(
        outputs=dict(zip(numbered, expected, strict=True)), formulas=recording.formulas, lacking=recording.lacking
    )


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A run of the module on some batches.

    Attributes:
        outputs: The outputs that an export must return, by the batches' numbers.
        formulas: As in Recorded.
        lacking: As in Recorded.
    """

    outputs: Mapping[int, Outputs]
    formulas: tuple[str, ...] = ()
    lacking: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
