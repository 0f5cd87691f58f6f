"""The proof by computation: the written checkpoint in numpy against the module's own graphs, in double precision.

The checkpoint's side reads tensors and config under their own names from the written file, and shares nothing with the
weight rows (surgery.proof.float64). It is the function that transformers' code describes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from surgery.checkpoints.embedding import SENTENCE_EMBEDDING, as_the_checkpoint_names_them
from surgery.planning.plan import Plan
from surgery.progress import Progress, silent
from surgery.proof.battery import Batch
from surgery.proof.comparison import Outputs, Recording, compare
from surgery.proof.expected import expected_outputs
from surgery.proof.float64 import record_float64
from surgery.proof.parity import MAX_DIFFERENCE, OutputDiff
from surgery.results import Brief


@dataclass(frozen=True, kw_only=True, repr=False)
class Differences(Brief):
    """The differences of a written checkpoint from its module, in double precision.

    Attributes:
        batches: The number of batches that were computed.
        outputs: The comparison of each output.
        formulas: Formulas whose float32 roundings in the module's graphs were replaced by their exact values.
        not_compared: Outputs of the checkpoint that the module's graphs could not compute in double precision.
    """

    batches: int
    outputs: tuple[OutputDiff, ...]
    formulas: tuple[str, ...]
    not_compared: tuple[str, ...]

    @property
    def bound(self) -> float:
        """The largest difference that is allowed, as a part of the output's RMS."""
        return MAX_DIFFERENCE

    @property
    def largest(self) -> float:
        """The largest difference of all outputs, as a part of the output's RMS."""
        return max((diff.difference for diff in self.outputs), default=0.0)

    @property
    def passed(self) -> bool:
        """Whether every output was compared and passes."""
        return bool(self.outputs) and not self.not_compared and all(diff.passed for diff in self.outputs)

    @property
    def failure(self) -> str:
        """The first thing that is wrong, for people."""
        failed = next((f"{diff.name}, {diff.failure}" for diff in self.outputs if not diff.passed), None)
        return failed or "no output was compared"


def compare_in_double(
    written: Plan,
    expected: Recording,
    renamed: Mapping[str, str],
    battery: Sequence[Batch],
    formulas: tuple[str, ...],
    embed: Callable[[np.ndarray], np.ndarray] | None = None,
    progress: Progress = silent,
) -> Differences:
    """Computes the checkpoint of the plan `written` on a battery.

    `expected` are the module's outputs on each batch. Those that the checkpoint does not have are left out, such as
    the pooled output of one without a pooler. `renamed` are the names of those that the checkpoint calls otherwise.
    `embed` computes what sentence-transformers returns of the last block's output; None where the checkpoint has no
    such modules.
    """
    tensors = written.module.open_tensors()
    computed = record_float64(
        written.module,
        written.inference,
        tensors,
        battery,
        progress=lambda done, total: progress("compute the checkpoint", done, total),
    )
    found = [
        Outputs(float64=outputs.float64)
        for outputs in expected_outputs(written.inference, written.outputs, battery, computed)
    ]
    if embed is not None:
        found = [_with_embedding(outputs, embed) for outputs in found]
    names = {name for outputs in found for name in outputs.float64}
    wanted = [
        Outputs(
            float64={
                renamed.get(name, name): value
                for name, value in as_the_checkpoint_names_them(outputs.float64).items()
                if renamed.get(name, name) in names
            }
        )
        for outputs in expected
    ]
    shared = {name for outputs in wanted for name in outputs.float64}
    return Differences(
        batches=len(battery),
        outputs=compare(battery, wanted, found),
        formulas=formulas,
        not_compared=tuple(sorted(names - shared)),
    )


def _with_embedding(outputs: Outputs, embed: Callable[[np.ndarray], np.ndarray]) -> Outputs:
    if (states := outputs.float64.get("sequence_output")) is None:
        return outputs
    return Outputs(float64={**outputs.float64, SENTENCE_EMBEDDING: embed(states)})
