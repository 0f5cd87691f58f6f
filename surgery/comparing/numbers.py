"""Two encoders run on one battery in double precision: from which output on they are different functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from surgery.arguments import argument
from surgery.errors import UsageError
from surgery.explanation.architecture import Architecture
from surgery.proof.battery import Batch, make_battery
from surgery.proof.comparison import ModuleRecording, Outputs, compare, names_of
from surgery.proof.parity import OutputDiff
from surgery.results import Brief

BOUNDS = ("vocab_size", "type_vocab_size")
"""Fields that bound the ids of inputs; an encoder without token types lacks the second."""
PADDING = "pad_token_id"
"""The id from which some encoders count positions."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Numbers(Brief):
    """The outputs of two encoders in double precision.

    Attributes:
        batches: Number of batches.
        outputs: The comparison of each output that both have in double precision, in the order of computation. The
            bound is that of `verify`: equal functions differ by less than 1e-10 of the output's RMS.
        only_a: Outputs that only A has.
        only_b: Outputs that only B has.
        lacking: Types of operations without a kernel for double precision, by the output that was not compared for
            lack of them.
    """

    batches: int
    outputs: tuple[OutputDiff, ...]
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()
    lacking: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def same(self) -> bool:
        """Whether outputs were compared, and none differs."""
        return bool(self.outputs) and self.parts_at is None

    @property
    def parts_at(self) -> OutputDiff | None:
        """The first output, in the order of computation, in which the two differ; None if none does."""
        return next((output for output in self.outputs if not output.passed), None)


def shared_battery(a: Architecture, b: Architecture) -> tuple[Batch, ...]:
    """The battery that both encoders can take, for double precision only and without training."""
    values = dict(a.values)
    for name in BOUNDS:
        if (name in a.values) != (name in b.values):
            raise UsageError(
                f"running both modules on one battery: one of them has no {name}",
                hint=f"leave out {argument('numbers', True)} to compare everything else",
            )
        if name in a.values:
            values[name] = min(a[name], b[name])
    padding = a.values.get(PADDING, b.values.get(PADDING))
    if padding is not None:
        values[PADDING] = padding
    values["max_position_embeddings"] = min(a.longest, b.longest) + (0 if padding is None else padding + 1)
    both = replace(a, values=values)
    return tuple(replace(batch, float32=False, training=False) for batch in make_battery(both))


def compare_numbers(battery: Sequence[Batch], a: ModuleRecording, b: ModuleRecording) -> Numbers:
    """Compares what two modules returned on a battery. Raises UsageError where nothing can be compared."""
    names = (names_of(a.outputs), names_of(b.outputs))
    shared = names[0] & names[1]
    if not shared:
        raise UsageError(
            "comparing numbers: the two have no output in common that can be computed in double precision",
            hint="leave the numbers out to compare everything else",
        )
    left, right = (
        [
            Outputs(float64={name: value for name, value in one.float64.items() if name in shared})
            for one in side.outputs
        ]
        for side in (a, b)
    )
    return Numbers(
        batches=len(battery),
        outputs=compare(battery, left, right),
        only_a=tuple(sorted(names[0] - shared - b.lacking.keys())),
        only_b=tuple(sorted(names[1] - shared - a.lacking.keys())),
        lacking={
            name: tuple(dict.fromkeys((*a.lacking.get(name, ()), *b.lacking.get(name, ()))))
            for name in (*a.lacking, *(name for name in b.lacking if name not in a.lacking))
        },
    )
