"""A checkpoint's weights by the publisher's own names, as the float64 computation reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from surgery.errors import UnexplainedError
from surgery.module import InspectedModule, Tensors, VariableInfo
from surgery.proof.battery import Batch
from surgery.proof.constants import as_computed
from surgery.proof.layers import Array, Dense, Norm
from surgery.tables.publisher import Spelling

Precision = type[np.float64] | type[np.float32]
Run = tuple[Batch, Precision]
"""A batch, and the precision in which it is computed."""
Made = TypeVar("Made")


def in_both(runs: Sequence[Run], read: Callable[[Precision], Made]) -> dict[Precision, Made]:
    """A layer in every precision that a run has."""
    return {dtype: read(dtype) for dtype in dict.fromkeys(dtype for _, dtype in runs)}


class NamedWeights:
    """A checkpoint's weights by the publisher's names."""

    def __init__(self, module: InspectedModule, spelling: Spelling, tensors: Tensors) -> None:
        self._spelling, self._tensors, self._module = spelling, tensors, module
        self._variables: dict[str, VariableInfo] = {v.name: v for v in module.variables}

    def read(self, *candidates: str) -> np.ndarray:
        """The weight of the first of these names that the checkpoint has, as stored.

        A name may stand below any of the publisher's scopes. Raises UnexplainedError when there is no such weight.
        """
        for name in candidates:
            for scope in self._spelling.scopes:
                if scope + name in self._variables:
                    return self._tensors.read(self._variables[scope + name])
        raise UnexplainedError(
            f"computing the reference of {self._module.name}: expected a weight {' or '.join(candidates)}, found none"
        )

    def has_dense(self, name: str) -> bool:
        """Whether the checkpoint has a dense layer of this name."""
        kernel = name + self._spelling.separator + self._spelling.kernel
        return any(scope + kernel in self._variables for scope in self._spelling.scopes)

    def dense(self, name: str, dtype: Precision) -> Dense:
        """The dense layer of this name."""
        stem = name + self._spelling.separator
        kernel = self.read(stem + self._spelling.kernel).astype(dtype)
        bias = self.read(f"{stem}bias").astype(dtype)
        return Dense(kernel=kernel.T if self._spelling.transposed else kernel, bias=bias)

    def norm(self, epsilon: float, *names: str, dtype: Precision) -> Norm:
        """The layer normalisation of the first of these names that the checkpoint has.

        Graphs hold the epsilon in float32. Where a variance is small, its rounding shows in float64.
        """
        gamma, beta = self.scale_and_shift(*names, dtype=dtype)
        return Norm(gamma=gamma, beta=beta, epsilon=as_computed(epsilon))

    def scale_and_shift(self, *names: str, dtype: Precision) -> tuple[Array, Array]:
        """The two weights of the norm of the first of these names that the checkpoint has."""

        def leaf(leaves: Sequence[str]) -> Array:
            weight = self.read(*(f"{name}{self._spelling.separator}{leaf}" for name in names for leaf in leaves))
            return weight.astype(dtype)

        return leaf(self._spelling.gamma), leaf(self._spelling.beta)
