"""The calls that an export must have, and the names of what they take and return."""

from __future__ import annotations

from collections.abc import Mapping

from surgery.explanation.convention import Convention, export_name
from surgery.explanation.outputs import entry_name
from surgery.module import TensorInfo, Trace

CALL = "__call__"


def structure_of(trace: Trace) -> str:
    """The structure that a trace takes: "dict" or "list"."""
    return "dict" if isinstance(trace.inputs, dict) else "list"


def is_promised(trace: Trace, convention: Convention) -> bool:
    """Whether an export must have a trace of this form: for a dict always, else as the module has it."""
    return structure_of(trace) in ("dict", convention.kind) and trace.training is not None


def call_roles(trace: Trace, convention: Convention) -> dict[str, str]:
    """The encoder's inputs by the path at which a trace takes them: by name in a dict, as the module does in a list."""
    if isinstance(trace.inputs, dict):
        return {path: path for path, _ in trace.flat_inputs}
    return {path: name for name, path in convention.inputs.items()}


def call_output(path: str, leaf: TensorInfo, tapped_blocks: Mapping[str, tuple[int, ...]]) -> str:
    """The export name of a call's output. `tapped_blocks` are the blocks of each list of taps, by the list's name."""
    stem, _, index = path.removesuffix("]").partition("[")
    if stem in tapped_blocks and int(index) < len(tapped_blocks[stem]):
        return entry_name(stem, tapped_blocks[stem][int(index)])
    return export_name(path, leaf)
