"""Concrete functions of a module, and the nested structures that they take and return."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from surgery.module.signatures import TensorInfo

if TYPE_CHECKING:
    from surgery.graphs.flat import FlatGraph

Structure = Any
"""Nested dicts, lists and tuples with TensorInfo, bool or None at the leaves, as a function takes or returns it."""


class Arguments(dict[str, Any]):
    """The arguments of a function by name, as a Structure. Their order is that of the function, not of the names."""


@dataclass(frozen=True, kw_only=True)
class Wrapped:
    """The one function that another function calls, and does nothing else.

    Attributes:
        function: Its name in the graph.
        inputs: For each of its arguments, the number of the caller's argument that is handed on.
        outputs: For each result of the caller, the number of its result that is returned.
    """

    function: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Trace:
    """One concrete function of a callable, for one value of `training`.

    Attributes:
        callable: Name of the callable, such as "__call__" or "mlm".
        function: Name of the function in the graph, or of the signature in a TF1 module.
        training: The value of `training` for which it was traced; None where it has no such argument.
        inputs: Structure of the inputs.
        outputs: Structure of the outputs.
        captures: Path of the variable (see VariableInfo) bound to each remaining argument; None for other tensors.
        open_graph: Opens the function's graph.
        wraps: The function that the function of a signature does nothing but call; None where it does more.
    """

    callable: str
    function: str
    training: bool | None
    inputs: Structure
    outputs: Structure
    captures: tuple[str | None, ...]
    open_graph: Callable[[], FlatGraph] = field(repr=False, compare=False)
    wraps: Wrapped | None = None

    @property
    def flat_inputs(self) -> tuple[tuple[str, TensorInfo], ...]:
        """The inputs with their paths, in the order of the function's arguments (see leaves)."""
        return tuple(_tensors(self.inputs))

    @property
    def flat_outputs(self) -> tuple[tuple[str, TensorInfo], ...]:
        """The outputs with their paths, in the order of the function's results (see leaves)."""
        return tuple(_tensors(self.outputs))


def _tensors(structure: Structure) -> Iterator[tuple[str, TensorInfo]]:
    """The plain tensors of a structure. A ragged or sparse tensor stands for its parts, as in a function."""
    for path, leaf in leaves(structure):
        if isinstance(leaf, TensorInfo):
            yield from leaf.flat(path)


def leaves(structure: Structure, path: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves with their path (`encoder_outputs[3]`), in TensorFlow's nest order: dict keys sorted, arguments not."""
    if isinstance(structure, dict):
        for key in structure if isinstance(structure, Arguments) else sorted(structure):
            yield from leaves(structure[key], f"{path}.{key}" if path else str(key))
    elif isinstance(structure, list | tuple):
        for index, value in enumerate(structure):
            yield from leaves(value, f"{path}[{index}]")
    else:
        yield path, structure


def describe(structure: Structure) -> Any:
    """A Structure as JSON-ready data: tensors become "float32 [?, ?, 64]"."""
    if isinstance(structure, dict):
        return {key: describe(structure[key]) for key in sorted(structure)}
    if isinstance(structure, list | tuple):
        return [describe(value) for value in structure]
    return structure.type if isinstance(structure, TensorInfo) else structure
