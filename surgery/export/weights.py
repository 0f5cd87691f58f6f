"""A module's weights for the encoder: read, checked, put into the target's layout, and hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from surgery.arguments import argument
from surgery.errors import ModuleError
from surgery.explanation.assignment import Assignment, AssignmentMap
from surgery.module import VariableInfo
from surgery.proof.arrays import count_nonfinite

ReadTensor = Callable[[VariableInfo], np.ndarray]


class Weights:
    """The module's weights by target.

    A weight is read when it is asked for. Its SHA-256 is computed in another thread.

    Attributes:
        assignments: The row of the weight map, by target.
        nonfinite: Number of NaN and infinite values, by name of the variable, for the weights read so far.
    """

    def __init__(
        self,
        weight_map: AssignmentMap,
        read: ReadTensor,
        constants: Mapping[str, np.ndarray],
        *,
        allow_nonfinite: bool = False,
    ) -> None:
        self._map, self._read, self._allow_nonfinite = weight_map, read, allow_nonfinite
        self._constants = constants
        self.assignments: Mapping[str, Assignment] = weight_map.by_target
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="sha256")
        self._hashes: dict[str, Future[str]] = {}
        self.nonfinite: dict[str, int] = {}

    def __contains__(self, target: str) -> bool:
        return target in self.assignments

    def value(self, target: str) -> np.ndarray:
        """The weight in its target's layout, float32.

        Raises ModuleError for another dtype, and for NaN or infinite values unless they are allowed.
        """
        assignment = self.assignments[target]
        name = assignment.variable.name
        array = self._read(assignment.variable)
        if array.dtype != np.float32:
            raise ModuleError(f"reading {name}: expected float32, found {array.dtype}")
        bad = count_nonfinite(array)
        if bad:
            self.nonfinite[name] = bad
            if not self._allow_nonfinite:
                raise ModuleError(
                    f"reading {name}: {bad} of its {array.size} values are NaN or infinite",
                    hint=f"the module is damaged; {argument('allow_nonfinite', True)} converts it as it is",
                )
        laid_out = assignment.layout.apply(array, self._map.sizes)
        if target not in self._hashes:
            self._hashes[target] = self._pool.submit(sha256, laid_out)
        return laid_out

    def constants(self) -> dict[str, np.ndarray]:
        """The module's constants, such as `do_lower_case`, by attribute."""
        kept = {variable.attribute: self._read(variable) for variable in self._map.kept if variable.attribute}
        return {**self._constants, **kept}

    def hash_of(self, target: str) -> str:
        """SHA-256 of a weight in the encoder's layout. The weight must have been read."""
        return self._hashes[target].result()

    def hashes(self) -> Mapping[str, str]:
        """SHA-256 of every weight in the encoder's layout, by target, and of the constants by attribute.

        Weights that were not asked for before are read now. Raises ModuleError as `value` does.
        """
        for target in self.assignments.keys() - self._hashes.keys():
            self.value(target)
        constants = {attribute: sha256(value) for attribute, value in self.constants().items()}
        return {**{target: self._hashes[target].result() for target in self.assignments}, **constants}


def sha256(array: np.ndarray) -> str:
    """SHA-256 of an array's bytes in C order."""
    return hashlib.sha256(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"").hexdigest()
