"""Numbers of two encoders: recordings come in, and the outputs that both have are compared."""

from __future__ import annotations

import numpy as np
import pytest

from surgery.comparing.numbers import compare_numbers
from surgery.errors import UsageError
from surgery.proof.comparison import ModuleRecording, Outputs


def recorded(**outputs: list[float]) -> ModuleRecording:
    arrays = {name: np.array([values]) for name, values in outputs.items()}
    return ModuleRecording(outputs=[Outputs(float64=arrays)])


def test_two_that_have_no_output_in_common_are_not_called_the_same():
    with pytest.raises(UsageError, match="no output in common that can be computed in double precision"):
        compare_numbers((), recorded(a=[1.0]), recorded(b=[1.0]))
