"""An encoder inside the graph of a larger model: it is cut out at its ends, or refused with what is in the way."""

from __future__ import annotations

import json
import re
import shutil

import pytest

import surgery
from surgery.errors import ContradictionError, UnexplainedError, UsageError
from surgery.explanation.embedded import locate_encoder
from surgery.explanation.heads import DenseHead, OtherHead
from surgery.explanation.inferring import infer_architecture
from surgery.planning.plan import make_plan
from surgery.planning.requests import Request
from tests.support.editing import edited, inspected

NAME = "tf1_estimator"
ASSUME = {
    "embedding_dropout": 0.1,
    "attention_probs_dropout": 0.1,
    "attention_output_dropout": 0.1,
    "output_dropout": 0.1,
}
LAST = "bert/encoder/layer_2/output/LayerNorm/batchnorm/add_1"


@pytest.fixture
def inferred(modules, tmp_path):
    """The inference of the sample, or of a copy whose graph is changed by `edit(graph_def)`."""

    def make(edit=None):
        folder = modules(NAME)
        if edit is not None:
            folder = edited(folder, tmp_path / "edited", lambda saved: edit(saved.meta_graphs[0].graph_def))
        return infer_architecture(locate_encoder(inspected(folder)), ASSUME)

    return make


def node(graph, name):
    (found,) = (node for node in graph.node if node.name == name)
    return found


def add(graph, name, op, *inputs, like=None):
    made = graph.node.add()
    if like is not None:
        made.CopyFrom(node(graph, like))
    made.name, made.op = name, op
    made.input[:] = inputs
    return made


def test_the_ends_are_those_of_the_signature_and_of_the_weights(modules):
    module = locate_encoder(inspected(modules(NAME)))
    (trace,) = module.traces
    assert {key: tensor.name for key, tensor in trace.inputs.items()} == {
        "input_ids": "input_ids:0",
        "input_mask": "input_mask:0",
        "segment_ids": "segment_ids:0",
    }
    assert {key: tensor.name for key, tensor in trace.outputs.items()} == {
        "sequence_output": f"{LAST}:0",
        "pooled_output": "bert/pooler/dense/Tanh:0",
    }
    call = infer_architecture(module, ASSUME).convention
    assert (call.rows, call.length, call.inner) == (None, 32, True)


def test_a_fixed_number_of_rows_is_read_from_the_graph(inferred):
    def fix(graph):
        for name in ("input_ids", "input_mask", "segment_ids"):
            node(graph, name).attr["_output_shapes"].list.shape[0].dim[0].size = 8

    assert inferred(fix).convention.rows == 8


def test_a_head_that_is_cut_into_by_a_loop_does_not_hide_the_encoder(inferred):
    def loop(graph):
        add(graph, "while/Enter", "Enter", "BiasAdd")
        add(graph, "while/NextIteration", "NextIteration", "while/Enter")
        node(graph, "probabilities").input[:] = ["while/Enter"]

    assert isinstance(inferred(loop).head, OtherHead)


def test_the_head_is_read_as_data(inferred):
    head = inferred().head
    assert isinstance(head, DenseHead)
    assert (head.kernel.name, head.bias.name) == ("output_weights", "output_bias")
    assert (head.labels, head.transposed) == (2, True)
    assert (head.outputs, head.inner) == ({"probabilities": "softmax", "logits": "linear"}, ("logits",))


def test_the_parts_of_a_sparse_output_are_outputs_of_the_head(modules, tmp_path):
    def sparse(saved):
        for signature in saved.meta_graphs[0].signature_def.values():
            top = signature.outputs["top"]
            top.dtype = 1
            top.coo_sparse.values_tensor_name = "probabilities:0"
            top.coo_sparse.indices_tensor_name = "input_ids:0"
            top.coo_sparse.dense_shape_tensor_name = "input_mask:0"

    head = surgery.plan(edited(modules(NAME), tmp_path / "edited", sparse), assume=ASSUME).head
    assert head.outputs == {"probabilities": "softmax", "top.values": "softmax", "logits": "linear"}
    assert head.others == ("top.dense_shape", "top.indices")


def of_tokens(graph):
    node(graph, "MatMul").input[0] = LAST


def of_two_layers(graph):
    add(graph, "hidden", "Relu", "bert/pooler/dense/Tanh", like="bert/pooler/dense/Tanh")
    node(graph, "MatMul").input[0] = "hidden"


def of_another_activation(graph):
    node(graph, "probabilities").op = "Softplus"


def of_one_bias(graph):
    node(graph, "output_bias").attr["shape"].shape.dim[0].size = 1


@pytest.mark.parametrize(
    ("edit", "because"),
    [
        (of_one_bias, "its bias has the shape [1], expected [2]"),
        (of_tokens, "a product of output_weights with the sequence output"),
        (of_two_layers, "a product of output_weights with hidden:0"),
        (of_another_activation, "a product of output_weights with bert/pooler/dense/Tanh:0"),
    ],
)
def test_another_head_is_listed_and_cannot_be_kept(edit, because, modules, tmp_path):
    folder = edited(modules(NAME), tmp_path / "edited", lambda saved: edit(saved.meta_graphs[0].graph_def))
    head = surgery.plan(folder, assume=ASSUME).head
    assert head.variables == ("output_bias", "output_weights")
    assert because in head.because
    with pytest.raises(UsageError, match=re.escape(because)):
        surgery.plan(folder, assume=ASSUME, keep_head=True)


def test_a_module_without_a_head_has_none_to_keep(modules):
    with pytest.raises(UsageError, match="keep_head=True: the module is an encoder without a head"):
        surgery.plan(modules("g4_electra"), keep_head=True)


def test_a_kept_head_has_a_signature_of_its_own(modules):
    plan = surgery.plan(modules(NAME), assume=ASSUME, keep_head=True)
    assert plan.signatures["classifier"] == ("probabilities", "logits")
    assert [d.variable.name for d in plan.weights.dropped] == ["global_step"]
    with pytest.raises(UsageError, match="there is a signature classifier already"):
        surgery.plan(modules(NAME), assume=ASSUME, keep_head=True, features="classifier=mean/mean")


def other_encoder(graph):
    for copied in list(graph.node):
        made = graph.node.add()
        made.CopyFrom(copied)
        made.name = f"other/{made.name}"
        made.input[:] = [re.sub(r"^(\^?)", r"\1other/", feed) for feed in made.input]


def twice(graph):
    lookup = "bert/embeddings/embedding_lookup"
    add(graph, "again", node(graph, lookup).op, *node(graph, lookup).input, like=lookup)


def stranger(graph):
    add(graph, "adapter", "VariableV2", like="output_bias")
    node(graph, "bert/embeddings/add").input[1] = "adapter"


def random(graph):
    add(graph, "noise", "RandomUniform", "Shape")
    node(graph, "bert/embeddings/add").input[1] = "noise"


def unmasked(graph):
    for block in range(3):
        total = node(graph, f"bert/encoder/layer_{block}/attention/self/add")
        total.op = "Mul"


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (other_encoder, r"expected one, found 2.*\n.*bert/embeddings.*\n.*other/bert/embeddings"),
        (twice, "found 2; the graph runs the encoder more than once"),
        (stranger, r"variables act in it that the weight table of bert does not know\n  adapter"),
        (random, "made for training"),
        (unmasked, "its first block adds no mask"),
    ],
)
def test_what_stands_in_the_way_is_named(edit, found, inferred):
    with pytest.raises(UnexplainedError, match=found):
        inferred(edit)


def test_a_graph_whose_pooler_was_cut_away_gives_an_encoder_without_one(modules, tmp_path):
    def cut(saved):
        graph = saved.meta_graphs[0].graph_def
        of_tokens(graph)
        kept = [n for n in graph.node if not re.match("bert/pooler/dense/(MatMul|BiasAdd|Tanh)", n.name)]
        del graph.node[:]
        graph.node.extend(kept)

    plan = surgery.plan(edited(modules(NAME), tmp_path / "cut", cut), assume=ASSUME)
    assert "pooled_output" not in plan.signatures["serving_default"]
    dropped = {d.variable.name: d.because for d in plan.weights.dropped}
    assert dropped["bert/pooler/dense/kernel"] == "no output of the model depends on it"


def test_rates_of_dropout_need_evidence_that_a_graph_for_serving_lacks(modules, tmp_path):
    with pytest.raises(UnexplainedError, match=r"no bert_config\.json lies beside") as caught:
        surgery.plan(modules(NAME))
    assert all(field in caught.value.hint for field in ASSUME)
    assert "intermediate_dropout" not in caught.value.hint
    found = surgery.inspect(modules(NAME))
    inference = found.inference
    assert found.head.labels == 2
    assert inference.unknown.keys() == ASSUME.keys()
    assert inference.architecture["intermediate_dropout"] == 0.0


def test_the_config_of_the_training_run_may_lie_beside_the_graph_and_must_agree_with_it(modules, tmp_path):
    folder = shutil.copytree(modules(NAME), tmp_path / "copy")
    values = {"hidden_act": "gelu", "hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.3}
    (folder / "bert_config.json").write_text(json.dumps(values))
    inference = surgery.plan(folder).inference
    assert (inference.architecture["output_dropout"], inference.architecture["attention_probs_dropout"]) == (0.2, 0.3)
    (folder / "bert_config.json").write_text(json.dumps(values | {"num_attention_heads": 6}))
    with pytest.raises(ContradictionError, match="num_attention_heads"):
        surgery.plan(folder)


def test_a_request_of_a_manifest_keeps_the_head(modules, tmp_path):
    request = Request(keep_head=True)
    plan = make_plan(inspected(modules(NAME)), tmp_path, ASSUME, request)
    assert plan.outputs.request == request
    assert plan.outputs.head is plan.inference.head
