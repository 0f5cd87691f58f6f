"""The job of `surgery checkpoint`: explain, plan, write tensor by tensor, read back, compute if asked, publish."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from surgery.arguments import argument
from surgery.checkpoints.accounting import Accounting, account
from surgery.checkpoints.card import CARD, card
from surgery.checkpoints.differences import Differences, compare_in_double
from surgery.checkpoints.plan import CheckpointPlan, CheckpointRequest, plan_checkpoint
from surgery.checkpoints.safetensors_file import write_safetensors
from surgery.checkpoints.tokenizer import CONFIG as TOKENIZER_CONFIG
from surgery.errors import ParityError, WriteError
from surgery.export.publish import check_apart, choose_destination, publish, staging
from surgery.export.weights import Weights, sha256
from surgery.jobs.opened import MakeBattery, open_weights
from surgery.module import InspectedModule
from surgery.planning.plan import Plan, closed_plan
from surgery.progress import Progress, counting, silent
from surgery.proof.battery import make_battery
from surgery.results import Result
from surgery.scanning.gate import let_through
from surgery.sources.hugging_face import KNOWN_BY, WEIGHTS
from surgery.sources.location import module_name
from surgery.sources.opening import open_module
from surgery.tables.head import HEAD


@dataclass(frozen=True, kw_only=True, repr=False)
class Checkpoint(Result, report="checkpoint"):
    """A published Hugging Face folder.

    Attributes:
        destination: The folder.
        planned: What was written: class, tensors, config, tokenizer.
        accounting: The proof that its tensors and its config are the module's.
        differences: The comparison of its outputs with the module's; None if nothing was computed.
        nonfinite: Number of NaN and infinite values by variable, where they are allowed.
        files: The files of the folder, relative to it.
    """

    destination: Path
    planned: CheckpointPlan
    accounting: Accounting
    differences: Differences | None
    nonfinite: Mapping[str, int] = field(default_factory=dict)
    files: tuple[str, ...] = ()


def write_checkpoint(
    module: str,
    destination: Path,
    request: CheckpointRequest | None = None,
    *,
    verify: bool = False,
    overwrite: bool = False,
    allow_nonfinite: bool = False,
    trust: bool = False,
    assume: Mapping[str, Any] | None = None,
    battery: MakeBattery = make_battery,
    progress: Progress = silent,
) -> Checkpoint:
    """Writes a module as a Hugging Face folder. Nothing is published unless the accounting of it is complete.

    With `verify`, the checkpoint's outputs are computed in numpy, and the module's by TensorFlow; nothing is published
    unless they are equal. Without it nothing imports TensorFlow, and nothing of the module is run.

    Raises a SurgeryError that names the cause; the destination is then as it was before.
    """
    destination = choose_destination(destination, module_name(module), overwrite=overwrite, known_by=KNOWN_BY)
    progress("inspect", 0, 0)
    with open_module(module, with_weights=True) as source:
        check_apart([destination], [source.folder, module])
        planned = plan_checkpoint(source, destination, request or CheckpointRequest(), assume)
        if verify:
            let_through(source, trust=trust)  # a module that must not be run is refused before anything is written
        with staging(destination) as folder, _writing(destination):
            weights = _open(source, planned, allow_nonfinite=allow_nonfinite)
            hashes = _write(folder, planned, weights, progress)
            accounting = account(folder, planned, hashes, progress)
            read_back = _checked(accounting, source)
            differences = None
            if verify:
                differences = _computed(
                    folder, planned, read_back, trust, battery, allow_nonfinite=allow_nonfinite, progress=progress
                )
                _check_computed(differences, source)
            (folder / CARD).write_text(card(planned, accounting, differences), encoding="utf-8")
            files = tuple(sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()))
            progress("publish", 0, 0)
            publish(folder, destination, overwrite=overwrite)
    return Checkpoint(
        destination=destination,
        planned=_closed(planned, module, destination),
        accounting=replace(accounting, read_back=_published(read_back, destination)),
        differences=differences,
        nonfinite=dict(weights.nonfinite),
        files=files,
    )


def _open(source: InspectedModule, planned: CheckpointPlan, *, allow_nonfinite: bool) -> Weights:
    tensors = source.open_tensors()
    tensors.check(assignment.variable for assignment in planned.plan.weights.assignments)
    return Weights(planned.plan.weights, tensors.read, source.constants, allow_nonfinite=allow_nonfinite)


def _write(folder: Path, planned: CheckpointPlan, weights: Weights, progress: Progress) -> dict[str, str]:
    """Writes all files but the card. Returns SHA-256 of the module's weights in the encoder's layout, by target."""
    tensors = {tensor.name: tensor for tensor in planned.form.tensors}
    sizes, hashes = planned.plan.weights.sizes, dict[str, str]()
    tick = counting(progress, "write the tensors", len(tensors))

    def stored(name: str) -> np.ndarray:
        """A tensor as it is stored. Its hash is waited for, so that no thread holds the tensors before it."""
        if hashes:
            tick()
        target = tensors[name].target
        if name in planned.form.zeros:
            zeros = np.zeros(tensors[name].shape, np.float32)
            hashes[target] = sha256(zeros)
            return zeros
        found = tensors[name].layout.apply(weights.value(target), sizes)
        hashes[target] = weights.hash_of(target)
        return found

    write_safetensors(folder / WEIGHTS, {name: tensor.shape for name, tensor in tensors.items()}, stored)
    tick()
    _write_json(folder / KNOWN_BY, planned.config_values)
    if planned.tokenizer is not None:
        for name, content in planned.tokenizer.files.items():
            (folder / name).write_bytes(content)
        _write_json(folder / TOKENIZER_CONFIG, planned.tokenizer.config)
    for name, content in planned.sentence_files.items():
        _write_json(folder / name, content)
    if planned.embedding is not None:
        planned.embedding.write(folder, weights.value, sizes)
    return hashes


def _computed(
    folder: Path,
    planned: CheckpointPlan,
    read_back: Plan,
    trust: bool,
    battery: MakeBattery,
    *,
    allow_nonfinite: bool,
    progress: Progress,
) -> Differences:
    """The comparison of the written checkpoint with the module, which TensorFlow runs."""
    from surgery.jobs.steps import record

    plan = replace(planned.plan, module=let_through(planned.plan.module, trust=trust))
    recorded = record(open_weights(plan, battery, allow_nonfinite=allow_nonfinite, progress=progress), progress)
    head, written = planned.head, read_back.outputs.head
    renamed = {} if head is None or written is None else {f"{HEAD}.{head.logits}": f"{HEAD}.{written.logits}"}
    embed = None if planned.embedding is None else partial(planned.embedding.encode, folder)
    return compare_in_double(
        read_back, recorded.expected, renamed, recorded.battery, recorded.formulas, embed, progress
    )


def _checked(accounting: Accounting, source: InspectedModule) -> Plan:
    """The plan that was read back of a complete accounting. Raises ParityError for any other."""
    _check(accounting.passed, source, "; ".join(accounting.problems[:3]))
    assert accounting.read_back is not None, "the accounting has passed"
    return accounting.read_back


def _closed(planned: CheckpointPlan, module: str, destination: Path) -> CheckpointPlan:
    """The plan as a result keeps it: the files of an unpacked archive are gone, the tokenizer's published ones stay."""
    tokenization = planned.tokenization
    if tokenization is not None and planned.tokenizer is not None:
        file, *merges = (destination / name for name in planned.tokenizer.files)
        tokenization = replace(tokenization, file=file, merges=merges[0] if merges else None)
    return replace(planned, plan=closed_plan(planned.plan, module), tokenization=tokenization)


def _published(read_back: Plan, destination: Path) -> Plan:
    """The plan of the staged folder as a result keeps it."""
    return replace(closed_plan(read_back, str(destination)), destination=destination)


def _check_computed(differences: Differences, source: InspectedModule) -> None:
    """Raises ParityError where an output differs, or could not be compared."""
    if differences.not_compared and all(diff.passed for diff in differences.outputs):
        raise ParityError(
            f"comparing the checkpoint with {source.name}: the module's graph could not compute "
            f"{', '.join(differences.not_compared)} in double precision, nothing was published",
            hint=f"without {argument('verify', True)} the checkpoint is proven by its accounting alone",
        )
    _check(differences.passed, source, differences.failure)


def _check(passed: bool, source: InspectedModule, failure: str) -> None:
    if not passed:
        raise ParityError(
            f"comparing the checkpoint with {source.name}: it is not the same function, nothing was published\n  "
            + failure,
            hint="please report it: the publisher's table says something else than the module's",
        )


def _write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@contextmanager
def _writing(destination: Path) -> Iterator[None]:
    """Turns the file system's refusals into a WriteError that names the destination."""
    try:
        yield
    except OSError as error:
        raise WriteError(
            f"writing {destination}: {error.strerror or error}",
            hint="check free space and permissions, or choose another destination",
        ) from error
