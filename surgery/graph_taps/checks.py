"""Checks that a tapped SavedModel differs from its source by its new outputs only.

The checks compare the source's outputs, signatures and variables. TensorFlow may fuse a graph differently when the
graph returns more tensors. An output may therefore differ in its last bits, and no further. NaN equals NaN.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from surgery.errors import ModuleError
from surgery.graph_taps.listing import GraphListing
from surgery.graph_taps.selection import GraphTap
from surgery.graphs.op_types import UNKNOWN
from surgery.module import InspectedModule, SignatureInfo, Tensors, VariableInfo
from surgery.wording import shape_text

Arrays = Mapping[str, np.ndarray]

TOLERANCE = 2e-5
"""The largest error that an output may have, absolute and relative to its RMS."""
COARSE = {"float16": 1e-2, "bfloat16": 5e-2}
"""The same bound for dtypes with fewer digits."""


@dataclass(frozen=True, kw_only=True)
class OutputCheck:
    """One of the source's outputs, compared with the written SavedModel's.

    Attributes:
        output: The output's key.
        bit_equal: Whether both sides have the same bits.
        max_abs: The largest absolute error.
        problem: Why the output failed; empty if it passed.
        random: Whether two runs of the source itself differ, so that the output cannot be compared.
    """

    output: str
    bit_equal: bool
    max_abs: float
    problem: str
    random: bool = False


def compare(expected: Sequence[Arrays], found: Sequence[Arrays]) -> tuple[OutputCheck, ...]:
    """Compares the source's outputs with another SavedModel's for the same batches, output by output."""
    outputs = sorted({name for batch in expected for name in batch})
    return tuple(
        _compare(name, [(left[name], right.get(name)) for left, right in zip(expected, found, strict=True)])
        for name in outputs
    )


def without_random(checks: Sequence[OutputCheck], itself: Sequence[OutputCheck]) -> tuple[OutputCheck, ...]:
    """Marks as random, and as passed, the outputs in which two runs of the source itself differ."""
    unstable = {check.output for check in itself if check.problem}
    return tuple(
        OutputCheck(output=check.output, bit_equal=False, max_abs=check.max_abs, problem="", random=True)
        if check.problem and check.output in unstable
        else check
        for check in checks
    )


def misshapen(taps: Sequence[GraphTap], found: Sequence[Arrays]) -> list[str]:
    """One line for each tap whose dtype or shape contradicts the source's graph."""
    faults = []
    for tap in taps:
        dtype, shape = tap.tensor.dtype, tap.tensor.shape
        for array in (batch[tap.output] for batch in found):
            name = "string" if array.dtype == object else array.dtype.name
            fits = shape is None or (
                len(shape) == array.ndim and all(a in (None, b) for a, b in zip(shape, array.shape, strict=True))
            )
            if not fits or dtype not in (name, UNKNOWN):
                faults.append(f"{tap.output}: expected {dtype} {shape_text(shape)}, found {name} {list(array.shape)}")
                break
    return faults


def _compare(name: str, pairs: Sequence[tuple[np.ndarray, np.ndarray | None]]) -> OutputCheck:
    bit_equal, largest, problem = True, 0.0, ""
    for left, right in pairs:
        if right is None or left.shape != right.shape or left.dtype != right.dtype:
            got = "it is missing" if right is None else f"found {right.dtype} {list(right.shape)}"
            problem = f"expected {left.dtype} {list(left.shape)}, {got}"
            return OutputCheck(output=name, bit_equal=False, max_abs=0.0, problem=problem)
        if left.dtype == object or left.dtype.kind in "biuSU":
            same = np.array_equal(left, right)
            bit_equal &= same
            problem = problem or ("" if same else "its values differ")
            continue
        bit_equal &= left.tobytes() == right.tobytes()
        error, allowed = _errors(left, right)
        largest = max(largest, error)
        if not error <= allowed:
            problem = problem or f"max abs error {error:.3g}, allowed {allowed:.3g}"
    return OutputCheck(output=name, bit_equal=bit_equal, max_abs=largest, problem=problem)


def _errors(left: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """The largest error, and the largest error that is allowed. An error is infinite if only one side is a number."""
    allowed = COARSE.get(left.dtype.name, TOLERANCE)
    wide = np.complex128 if left.dtype.kind == "c" else np.float64
    left, right = left.astype(wide), right.astype(wide)
    finite = np.isfinite(left)
    if not np.array_equal(finite, np.isfinite(right)) or not np.array_equal(
        left[~finite], right[~finite], equal_nan=True
    ):
        return float("inf"), allowed
    rms = float(np.sqrt(np.mean(np.square(np.abs(left[finite]))))) if finite.any() else 0.0
    return float(np.max(np.abs(left[finite] - right[finite]), initial=0.0)), allowed * (1 + rms)


def changes(
    source: InspectedModule,
    written: InspectedModule,
    listing: GraphListing,
    taps: Sequence[GraphTap],
    left_out: Collection[str] = (),
) -> list[str]:
    """One line for each difference in signatures or variables between a SavedModel and the tapped one."""
    found = {signature.name: signature for signature in written.meta_graphs[0].signatures}
    faults = []
    for signature in listing.signatures:
        if signature.name in left_out:
            continue
        outputs = {output.key for output in signature.outputs}
        if signature.name == listing.signature.name:
            outputs |= {tap.output for tap in taps}
        other = found.get(signature.name)
        if other is None:
            faults.append(f"signature {signature.name}: it is missing")
        elif _plain(signature) and {(t.key, t.dtype) for t in signature.inputs} != {
            (t.key, t.dtype) for t in other.inputs
        }:
            faults.append(f"signature {signature.name}: its inputs differ")
        elif outputs != (got := {output.key for output in other.outputs}):
            faults.append(f"signature {signature.name}: expected the outputs {sorted(outputs)}, found {sorted(got)}")
    return [*faults, *_variable_changes(source, written)]


def _plain(signature: SignatureInfo) -> bool:
    """Whether all inputs are single tensors. TensorFlow 2 takes a sparse tensor in parts."""
    return all(tensor.name is not None for tensor in signature.inputs)


def _variable_changes(source: InspectedModule, written: InspectedModule) -> Iterator[str]:
    """One line for each variable that is missing, changed or new. Shape, `trainable` and bits must be the source's.

    Variables of TensorFlow 2 are matched by their path below the root object, those of TensorFlow 1 by name.
    """
    has_objects = any(variable.path for variable in source.variables)
    found = {variable.path if has_objects else variable.name: variable for variable in written.variables}
    before, after = (module.open_tensors() if module.variables else None for module in (source, written))
    for variable in source.variables:
        other = found.pop(variable.path if has_objects else variable.name, None)
        value = _value(before, variable)
        if other is None:
            # The checkpoint has no value of this variable, so that nothing is lost.
            yield from [f"variable {variable.name}: it is missing"] if value is not None else []
        elif _facts(variable) != _facts(other):
            yield f"variable {variable.name}: expected {_facts(variable)}, found {_facts(other)}"
        elif value is not None and not _same(value, _value(after, other)):
            yield f"variable {variable.name}: its bits differ"
    yield from [f"variable {variable.name}: it is new" for variable in found.values() if has_objects]
    if len(written.variables) != len({variable.name for variable in written.variables}) and not has_objects:
        yield "a variable is stored more than once"


def _facts(variable: VariableInfo) -> str:
    return f"{variable.dtype} {list(variable.shape)}" + (", trainable" if variable.trainable else "")


def _value(tensors: Tensors | None, variable: VariableInfo) -> np.ndarray | None:
    """A stored value; None if the checkpoint has none, or stores it in parts under another name."""
    try:
        return tensors.read(variable) if tensors is not None else None
    except ModuleError:
        return None


def _same(left: np.ndarray, right: np.ndarray | None) -> bool:
    if right is None or left.dtype != right.dtype:
        return False
    return left.tolist() == right.tolist() if left.dtype == object else left.tobytes() == right.tobytes()
