"""Numbers of two encoders: recordings come in, and the outputs that both have are compared."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from surgery.comparing.numbers import compare_numbers
from surgery.errors import UsageError
from surgery.proof.battery import Batch
from surgery.proof.comparison import ModuleRecording, Outputs


def recorded(lacking: Mapping[str, tuple[str, ...]] | None = None, **outputs: list[float]) -> ModuleRecording:
    arrays = {name: np.array([values]) for name, values in outputs.items()}
    return ModuleRecording(outputs=[Outputs(float64=arrays)], lacking=lacking or {})


def test_two_that_have_no_output_in_common_are_not_called_the_same():
    with pytest.raises(UsageError, match="no output in common that can be computed in double precision"):
        compare_numbers((), recorded(a=[1.0]), recorded(b=[1.0]))


def test_an_output_that_one_side_cannot_compute_in_double_precision_is_not_one_that_it_lacks():
    both, own = recorded({"b": ("Erf",)}, a=[1.0], c=[1.0]), recorded({"b": ("Cos",), "c": ("Erf",)}, a=[1.0], d=[1.0])
    mask = np.ones((1, 1), np.int32)
    found = compare_numbers((Batch(label="1", inputs={"input_mask": mask}),), both, own)
    assert (found.only_a, found.only_b) == ((), ("d",))
    assert found.lacking == {"b": ("Erf", "Cos"), "c": ("Erf",)}
