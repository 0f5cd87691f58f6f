"""What the results of a loop are: the state and the memory of an LSTM, counters, and what is left unsaid."""

from __future__ import annotations

import pytest

from surgery.graphs.calls import tree_of_graph
from surgery.graphs.recurrence import described_results
from tests.support.graph_defs import INT32, add, constant
from tests.support.synthetic import new_graph

H, C = "h, the LSTM's output of the last step", "c, the LSTM's memory of the last step"


def loop_of(**written: str):
    """The results of a TensorFlow 1 loop with variables `t`, `c` and `h`, which a step leaves as given."""
    graph_def = new_graph()
    nodes = graph_def.node
    add(nodes, "condition", "LoopCond", "go")
    for name, left in written.items():
        add(nodes, f"enter_{name}", "Enter", "x")
        add(nodes, f"merge_{name}", "Merge", f"enter_{name}", f"next_{name}")
        add(nodes, name, "Switch", f"merge_{name}", "condition")
        add(nodes, f"next_{name}", "NextIteration", left)
        add(nodes, f"exit_{name}", "Exit", name)
    add(nodes, "go", "Placeholder")
    add(nodes, "x", "Placeholder")
    constant(nodes, "one", [1], ())
    constant(nodes, "two", [2], ())
    add(nodes, "later", "AddV2", "t:1", "one", T=INT32)
    add(nodes, "much later", "AddV2", "t:1", "two", T=INT32)
    for gate in ("forget", "input", "output", "candidate", "mask"):
        add(nodes, gate, "Sigmoid", "h:1")
    add(nodes, "old_c", "Identity", "c:1")
    add(nodes, "kept", "Mul", "forget", "old_c")
    add(nodes, "added", "Mul", "input", "candidate")
    add(nodes, "new_c", "AddV2", "kept", "added")
    add(nodes, "masked_c", "SelectV2", "mask", "new_c", "c:1")
    add(nodes, "squashed", "Tanh", "new_c")
    add(nodes, "new_h", "Mul", "output", "squashed")
    add(nodes, "squashed_old", "Tanh", "c:1")
    add(nodes, "late_h", "Mul", "output", "squashed_old")
    add(nodes, "circle", "Identity", "circle_2")
    add(nodes, "circle_2", "Identity", "circle")
    found = described_results(graph_def, tree_of_graph(graph_def))
    return {output.address[0]: meaning for output, meaning in found.items()}


def test_the_state_and_the_memory_of_an_lstm_are_known_from_its_equations_in_any_order():
    known = {"exit_t": "a counter of steps", "exit_c": C, "exit_h": H}
    assert loop_of(t="later", c="new_c", h="new_h") == known
    assert loop_of(h="new_h", t="later", c="masked_c") == known


@pytest.mark.parametrize(
    "written",
    [
        {"c": "new_c", "h": "late_h"},  # the output of the memory before this step
        {"c": "added", "h": "new_h"},  # a memory that forgets everything
        {"h": "new_c", "c": "new_h"},  # a sum with the other variable in it
        {"c": "new_c", "h": "candidate"},
        {"c": "circle", "h": "circle_2"},
        {"t": "much later"},
    ],
)
def test_of_anything_else_nothing_is_said(written):
    assert loop_of(**written) == {}
