"""Reference variables of TensorFlow 1 in a session of their own: restored, and widened where a graph reads them."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from surgery.scanning.gate import open_to_run
from surgery.tf.merged import new_merging
from surgery.tf.session import SavedModelSession
from tests.support.builders.plain_models import build_reference_variables
from tests.support.graph_defs import part


@pytest.mark.parametrize("hub", [False, True], ids=["by its saver", "by their names"])
def test_a_graph_with_reference_variables_runs_in_double_precision(hub, tmp_path):
    folder = build_reference_variables(tmp_path / "module", hub=hub)
    stored = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
    kernel, bias = (stored.get_tensor(name).astype(np.float64) for name in ("kernel", "bias"))
    x = np.random.default_rng(1).normal(size=(3, 4))
    merging = new_merging()
    with open_to_run(str(folder), trust=False) as module:
        merging.add(part(module.inference_graph.graph_def, {"hidden": "hidden:0"}, {"x:0": "float32"}))
        with SavedModelSession(module.cleared, module.tag_sets[0], only_variables=True) as session:
            found = session.graph(merging.result(), double=True).run({"x:0": x}, ["hidden"])["hidden"]
    np.testing.assert_allclose(found, np.maximum(x.astype(np.float32) @ kernel + bias, 0), rtol=1e-13, atol=1e-14)
