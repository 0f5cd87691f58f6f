"""A graph that lies beside a checkpoint is evidence: it says which of two functions a word of the config means.

The graphs here are those of the TF1 sample modules, some of them changed; a training graph is built in
whole/convert/test_tf1_checkpoints.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tensorboard.util import tensor_util

import surgery
from surgery.errors import ContradictionError, ModuleError
from tests.support.builders.checkpoints import RELEASES, build_released, write_module_graph
from tests.support.builders.common import unpack

BERT, ALBERT = "tf1_bert_small", "tf1_albert_small"


def erf(meta_graph) -> None:
    """The exact GELU of 2018 in the place of its approximation, in every block and in the head."""
    for node in meta_graph.graph_def.node:
        if node.op == "Tanh" and "pooler" not in node.name:
            node.op = "Erf"


def loop(meta_graph) -> None:
    """The exact GELU, in a graph whose ids enter a loop of TensorFlow 1, as in training on TPUs."""
    erf(meta_graph)
    meta_graph.graph_def.node.add(name="while/NextIteration", op="NextIteration", input=["while/Enter"])
    (ids,) = (
        node for node in meta_graph.graph_def.node if node.name.endswith("input_ids") and node.op == "Placeholder"
    )
    meta_graph.graph_def.node.add(name="while/Enter", op="Enter", input=[ids.name])
    for node in meta_graph.graph_def.node:
        if node.op != "Enter":
            node.input[:] = ["while/Enter" if feed.partition(":")[0] == ids.name else feed for feed in node.input]


def loop_beside(meta_graph) -> None:
    """The exact GELU, in a graph that also has a loop."""
    erf(meta_graph)
    meta_graph.graph_def.node.add(name="while/NextIteration", op="NextIteration")


@pytest.fixture
def checkpoint(tmp_path):
    """`checkpoint(edit)` is a checkpoint with its sample's own graph beside it, changed by `edit`."""

    def make(edit=None, sample: str = BERT, **config) -> Path:
        folder = build_released(tmp_path / "checkpoint", sample, **config)
        if edit is not None:
            write_module_graph(folder / f"{RELEASES[sample].prefix}.meta", sample, edit)
        return folder

    return make


def activations(folder: Path, **assume) -> tuple[str, str]:
    values = surgery.plan(folder, assume=assume).inference.architecture
    return values["hidden_act"], values["mlm_act"]


def test_without_a_graph_gelu_means_what_the_code_says_today(checkpoint):
    assert activations(checkpoint()) == ("gelu_tanh", "gelu_tanh")


@pytest.mark.parametrize("sample", [BERT, ALBERT])
@pytest.mark.parametrize(
    ("edit", "means"), [(lambda graph: None, "gelu_tanh"), (erf, "gelu")], ids=["as it was", "exact"]
)
def test_the_graph_beside_a_checkpoint_decides_which_gelu_is_meant(sample, edit, means, checkpoint):
    folder = checkpoint(edit, sample)
    assert activations(folder) == (means, means)
    evidence = {(e.field, e.kind): e for e in surgery.plan(folder).inference.evidence}
    assert evidence["hidden_act", "graph"].value == evidence["hidden_act", "config"].value == means
    assert "intermediate" in evidence["hidden_act", "graph"].place


def test_a_graph_that_shows_another_function_than_the_config_names_is_a_contradiction(checkpoint):
    with pytest.raises(ContradictionError, match=r"hidden_act is gelu \(read at .*Tanh\), but relu at bert_config"):
        surgery.plan(checkpoint(erf, hidden_act="relu"))


def test_a_word_of_the_caller_that_the_graph_contradicts_is_refused(checkpoint):
    folder = checkpoint(erf)
    assert activations(folder, hidden_act="gelu") == ("gelu", "gelu")
    with pytest.raises(ContradictionError, match="but gelu_tanh at --assume"):
        surgery.plan(folder, assume={"hidden_act": "gelu_tanh"})


def test_a_graph_shows_nothing_of_what_it_computes_in_loops(checkpoint):
    assert activations(checkpoint(loop)) == ("gelu_tanh", "gelu_tanh")


def test_a_graph_shows_what_it_computes_beside_its_loops(checkpoint):
    assert activations(checkpoint(loop_beside)) == ("gelu", "gelu")


def test_a_graph_is_no_function_to_call(checkpoint):
    found = surgery.plan(checkpoint(erf))
    assert (found.module.traces, found.module.callables) == ((), ())
    assert found.inference.publisher is not None


def test_the_graph_is_that_of_the_same_prefix(checkpoint):
    folder = checkpoint(erf)
    (folder / "bert_model.ckpt.meta").rename(folder / "model.ckpt-7.meta")
    assert activations(folder) == ("gelu_tanh", "gelu_tanh")


def test_a_damaged_graph_is_named_and_its_size_told(checkpoint):
    folder = checkpoint(erf)
    path = folder / "bert_model.ckpt.meta"
    assert surgery.inspect(folder).module.saved_model_bytes == path.stat().st_size
    path.write_bytes(b"\x07garbage" * 50)
    with pytest.raises(ModuleError, match=r"bert_model\.ckpt\.meta") as caught:
        surgery.plan(folder)
    assert "without it" in caught.value.hint


def test_a_release_of_google_s_of_2018_is_explained_by_its_own_graph(shared, tmp_path):
    found = surgery.inspect(shared("real/bert_chinese_L12_meta.tar.gz"))
    assert found.module.problems == ("bert_model.ckpt.data-* is missing: there are no weights",)
    folder = unpack(shared("real/bert_chinese_L12_meta.tar.gz"), tmp_path / "chinese_L-12_H-768_A-12")
    (folder / "bert_model.ckpt.data-00000-of-00001").write_bytes(b"not needed for a plan")
    plan = surgery.plan(folder)
    evidence = {(e.field, e.kind): (e.value, e.place.rpartition("/")[2]) for e in plan.inference.evidence}
    assert evidence["hidden_act", "graph"] == ("gelu", "Erf")
    assert evidence["layer_norm_eps", "graph"] == (1e-12, "y")
    assert plan.inference.architecture["mlm_act"] == "gelu"
    assert len(plan.weights.assignments) == 12 * 16 + 5 + 2 + 5
    assert {d.variable.name.rpartition("/")[0] for d in plan.weights.dropped} == {"cls/seq_relationship"}


def coarse(meta_graph) -> None:
    """Another epsilon in every norm."""
    for node in meta_graph.graph_def.node:
        if node.name.endswith("batchnorm/add/y"):
            node.attr["value"].tensor.CopyFrom(tensor_util.make_tensor_proto(1e-3, "float32"))


def test_an_epsilon_in_the_graph_that_the_code_does_not_have_is_a_contradiction(checkpoint):
    with pytest.raises(ContradictionError, match=r"layer_norm_eps is 0.001 .*but 1e-12 at google-research/bert"):
        surgery.plan(checkpoint(coarse))
