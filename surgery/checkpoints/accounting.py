"""The proof without TensorFlow: the written folder is read back, and every tensor and every key is accounted for.

The folder is opened as any Hugging Face checkpoint is. The same table that named its tensors must explain all of them,
the config must give the module's hyperparameters, and each tensor, back in the encoder's layout, must have the bits of
the module's variable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from surgery.checkpoints.plan import CheckpointPlan
from surgery.errors import ContradictionError, UnexplainedError
from surgery.export.weights import sha256
from surgery.planning.plan import Plan, make_plan
from surgery.progress import Progress, counting
from surgery.results import Brief
from surgery.sources import inspect_folder
from surgery.sources.files import Files


@dataclass(frozen=True, kw_only=True, repr=False)
class Accounting(Brief):
    """A written checkpoint, compared with its plan.

    Attributes:
        read_back: The plan of converting the written checkpoint again; None if no table explains it.
        tensors: The number of tensors that were compared bit for bit with variables of the module.
        hyperparameters: The number of hyperparameters that are the module's.
        problems: All differences, one line each.
    """

    read_back: Plan | None
    tensors: int
    hyperparameters: int
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing differs."""
        return not self.problems


def _head_problems(planned: CheckpointPlan, read_back: Plan) -> Iterator[str]:
    """Differences of the classification head's description."""
    wanted, found = planned.head, read_back.outputs.head
    if (wanted is None) != (found is None):
        yield f"it is read back {'without' if found is None else 'with'} a classification head"
    elif wanted is not None and found is not None:
        if wanted.labels != found.labels:
            yield f"the head has {wanted.labels} labels, but is read back with {found.labels}"
        if planned.labelling != found.labelling:
            yield f"the labels are {planned.labelling}, but are read back as {found.labelling}"


def account(folder: Path, planned: CheckpointPlan, hashes: Mapping[str, str], progress: Progress) -> Accounting:
    """Reads the checkpoint in `folder` back. `hashes` are SHA-256 of the module's weights in the encoder's layout."""
    try:
        module = inspect_folder(Files(folder=folder, name=planned.plan.module.name))
        plan = make_plan(module, folder)
    except (UnexplainedError, ContradictionError) as error:
        return Accounting(read_back=None, tensors=0, hyperparameters=0, problems=(error.message,))
    problems = []
    if plan.inference.family.name != planned.plan.inference.family.name:
        problems.append(f"it is read as {plan.inference.family.name}")
    expected, found = planned.config.architecture, plan.architecture.values
    for field in sorted({*expected, *found}):
        if (wanted := expected.get(field)) != (value := found.get(field)):
            problems.append(f"{field} is {wanted}, but is read back as {value}")
    problems += list(_head_problems(planned, plan))
    tensors, read = module.open_tensors(), plan.weights.by_target
    problems += [f"{target} has no tensor" for target in sorted(planned.form.targets - read.keys())]
    problems += [f"{target} was not to be written" for target in sorted(read.keys() - planned.form.targets)]
    tick = counting(progress, "read the checkpoint back", len(read))
    for target, assignment in read.items():
        laid_out = assignment.layout.apply(tensors.read(assignment.variable), plan.weights.sizes)
        if target in hashes and sha256(laid_out) != hashes[target]:
            problems.append(f"{assignment.variable.name}: its bits differ from those of {target} in the module")
        tick()
    if planned.embedding is not None:
        problems += planned.embedding.problems(folder, hashes, plan.weights.sizes)
    return Accounting(
        read_back=plan,
        tensors=len(read) - len(planned.form.zeros),
        hyperparameters=len(expected) - len(planned.config.changed),
        problems=tuple(problems),
    )
