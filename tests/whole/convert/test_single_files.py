"""The lines that an error prints for a file that is no module: they are run as they stand, and lead to a module."""

from __future__ import annotations

import shlex

import numpy as np
import pytest

import surgery


def lines(path: str) -> tuple[str, list[str]]:
    """The Python lines that surgery prints for a file, and the words of the command that comes after them."""
    with pytest.raises(surgery.ModuleError) as caught:
        surgery.inspect(path)
    *code, last = (line for line in caught.value.hint.splitlines() if line.startswith(("    ", "then, in a shell: ")))
    return "\n".join(line.removeprefix("    ") for line in code), shlex.split(last.removeprefix("then, in a shell: "))


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A Keras 3 model as a file of either form, and a frozen graph."""
    import keras
    import tensorflow as tf

    monkeypatch.chdir(tmp_path)
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, name="dense")])
    model.save("it's a model.keras")
    model.save("old.h5")
    graph = tf.Graph()
    with graph.as_default():
        x = tf.compat.v1.placeholder(tf.float32, [None, 4], name="x")
        tf.nn.softmax(x @ np.eye(4, 3, dtype=np.float32), name="scope/y")
    (tmp_path / "frozen.pb").write_bytes(graph.as_graph_def().SerializeToString())


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
@pytest.mark.parametrize("name", ["it's a model.keras", "old.h5", "frozen.pb"])
def test_the_lines_that_are_printed_lead_to_a_module(name, files):
    code, (program, command, folder) = lines(name)
    exec(code, {})
    assert (program, command) == ("surgery", "graph" if name == "frozen.pb" else "inspect")
    found = surgery.inspect(folder).module
    assert len(found.variables) == (0 if name == "frozen.pb" else 4)
    assert len(surgery.graph(folder).tensors) >= 1
