"""Variables of one name, as Keras 3 gives them: they are paired in their order, and each keeps a label of its own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from surgery.comparing.pairing import pairs_of
from surgery.jobs.diff import _labels
from surgery.module import VariableInfo


def of_one_name(count: int) -> Any:
    """A side whose variables all have one name; no table knows them."""
    variables = [
        VariableInfo(name="kernel", dtype="float32", shape=(1,), trainable=True, path=f"variables/{number}")
        for number in range(count)
    ]
    return SimpleNamespace(module=SimpleNamespace(variables=variables), claims=(), family=None)


def test_a_thousand_variables_of_one_name_are_paired_in_their_order():
    pairs = pairs_of(of_one_name(1000), of_one_name(1001))
    assert [(pair.a and pair.a.variable.path, pair.b.variable.path) for pair in pairs] == [
        *((f"variables/{number}", f"variables/{number}") for number in range(1000)),
        (None, "variables/1000"),
    ]


def test_variables_of_one_name_have_different_labels_so_that_a_swap_in_a_graph_shows():
    one, other = _labels(of_one_name(3), of_one_name(3))
    assert one == other
    assert len({one[f"variables/{number}"] for number in range(3)}) == 3
