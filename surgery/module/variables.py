"""Variables of a module, and the reading of their values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class VariableInfo:
    """A variable of a module.

    Attributes:
        name: Its name.
        dtype: Its dtype by TensorFlow's name.
        shape: Its shape.
        trainable: Whether `module.trainable_variables` has it, which is the list that fine-tuning uses.
        path: Its path from the root object, such as "variables/3"; None in TF1 graphs and in checkpoints.
        attribute: Its name as a child of the root object, such as "do_lower_case"; None for other variables.
        nbytes: Its size in bytes; 0 where the dtype has no fixed size.
        watched: The variable's own flag `trainable`, which a gradient tape follows.
        listed: Whether `module.variables` has it.
        outside: Why it belongs to the model around the encoder; None for a variable of the encoder itself.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    trainable: bool
    path: str | None = None
    attribute: str | None = None
    nbytes: int = 0
    watched: bool = True
    listed: bool = False
    outside: str | None = None

    @property
    def address(self) -> str:
        """The variable's unique name within its module: its path, or in a TF1 graph its name."""
        return self.path or self.name


def is_attribute(variable: Any) -> bool:
    """True for a constant that is a child of the module under its own name, such as `do_lower_case`: not a weight."""
    return variable.attribute is not None and not variable.trainable and not variable.shape


class Tensors(Protocol):
    """The values of a module's variables, read one at a time."""

    def check(self, variables: Iterable[VariableInfo]) -> None:
        """Looks variables up without reading them. Raises ModuleError for a variable that is not stored as listed."""

    def read(self, variable: VariableInfo) -> np.ndarray:
        """A variable's value, in the shape in which the module stores it. Raises ModuleError for a damaged file."""


def no_tensors() -> Tensors:
    """Stands for the values of a module that was made without files. Raises LookupError."""
    raise LookupError("this module has no weights to read")
