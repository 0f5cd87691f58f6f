"""How a module is called: read from its graph, told in the encoder's words."""

from __future__ import annotations

import pytest

from surgery.errors import UnexplainedError
from surgery.explanation import recognition
from surgery.explanation.inferring import infer_architecture
from surgery.explanation.outputs import entry_name, split_entry
from tests.support.editing import inspect_edited, inspected, keep_traces, node_defs, objects

TOKENS = ("input_mask", "input_type_ids", "input_word_ids")
BLOCKS = {f"encoder_outputs_{i}": f"encoder_outputs[{i}]" for i in range(3)}


@pytest.mark.parametrize("name", ["g4_bert_mlm", "g4_bert_v2", "g4_electra", "g4_prenorm"])
def test_a_dict_call_takes_its_inputs_by_name_and_returns_every_block(name: str, modules):
    found = infer_architecture(inspected(modules(name))).convention
    assert (found.callable, found.kind) == ("__call__", "dict")
    assert found.inputs == {token: token for token in TOKENS}
    assert found.outputs == BLOCKS | {"pooled_output": "pooled_output", "sequence_output": "sequence_output"}
    assert found.aliases == {"default": "pooled_output"}


@pytest.mark.parametrize("name", ["g2_small", "g3_small"])
def test_a_list_call_takes_words_mask_types_and_returns_its_ends(name: str, modules):
    found = infer_architecture(inspected(modules(name))).convention
    assert found.kind == "list"
    assert found.inputs == {"input_word_ids": "[0]", "input_mask": "[1]", "input_type_ids": "[2]"}
    assert found.outputs == {"pooled_output": "[0]", "sequence_output": "[1]"}
    assert set(found.aliases) <= {"default"}


def test_a_head_takes_positions_too_and_returns_logits(modules):
    inference = infer_architecture(inspected(modules("g4_bert_mlm")))
    assert list(inference.submodels) == ["mlm"]
    mlm = inference.submodels["mlm"]
    assert set(mlm.inputs) == {*TOKENS, "masked_lm_positions"}
    assert mlm.outputs["mlm_logits"] == "mlm_logits"
    assert mlm.aliases == {}


def test_a_module_without_a_head_has_none(modules):
    assert infer_architecture(inspected(modules("g4_electra"))).submodels == {}


def reorder_call(saved_model, one: int, other: int) -> None:
    """Lets every outermost trace of a list call take two of its inputs in the other's place."""
    graph = objects(saved_model)
    outermost = {
        name
        for node in graph.nodes
        if node.WhichOneof("kind") == "function"
        for name in node.function.concrete_functions
    }
    for function in saved_model.meta_graphs[0].graph_def.library.function:
        if function.signature.name in outermost and function.signature.name.startswith("__inference_model_layer"):
            arguments = [argument.name for argument in function.signature.input_arg]
            swap = {arguments[one]: arguments[other], arguments[other]: arguments[one]}
            for node in function.node_def:
                node.input[:] = [swap.get(name, name) for name in node.input]


def test_inputs_are_known_by_the_table_they_look_up_and_not_by_their_place(modules, tmp_path):
    module = inspect_edited(modules("g2_small"), tmp_path / "swapped", lambda s: reorder_call(s, 0, 2))
    found = infer_architecture(module).convention
    assert found.inputs == {"input_word_ids": "[2]", "input_mask": "[1]", "input_type_ids": "[0]"}


def test_the_ends_of_a_list_call_are_known_by_their_rank_and_not_by_their_place(modules, tmp_path):
    def swap(saved_model):
        graph = objects(saved_model)
        functions = {f.signature.name: f for f in saved_model.meta_graphs[0].graph_def.library.function}
        for node in graph.nodes:
            for name in node.function.concrete_functions if node.WhichOneof("kind") == "function" else ():
                output = graph.concrete_functions[name].output_signature
                if "__inference_model_layer_call_fn" in name:
                    one, other = output.list_value.values or output.tuple_value.values
                    kept = type(one).FromString(one.SerializeToString())
                    one.CopyFrom(other)
                    other.CopyFrom(kept)
                    first, second = (argument.name for argument in functions[name].signature.output_arg)
                    ret = functions[name].ret
                    ret[first], ret[second] = ret[second], ret[first]

    found = infer_architecture(inspect_edited(modules("g2_small"), tmp_path / "swapped", swap)).convention
    assert found.outputs == {"pooled_output": "[1]", "sequence_output": "[0]"}


def test_an_output_that_the_encoder_does_not_have_is_refused_by_name(modules, tmp_path):
    def split(saved_model):
        """`default` becomes something of its own: the pooled output, negated."""
        functions = {f.signature.name: f for f in saved_model.meta_graphs[0].graph_def.library.function}
        for function in functions.values():
            if "model_layer_call_fn" in function.signature.name:
                node = function.node_def.add(name="extra", op="Neg")
                first = function.signature.output_arg[0].name
                node.input.append(function.ret[first])
                function.ret[first] = "extra:y:0"

    module = inspect_edited(modules("g4_electra"), tmp_path / "extra", split)
    with pytest.raises(UnexplainedError, match="no place in the rebuilt encoder for default"):
        infer_architecture(module)


def test_an_output_that_is_computed_a_second_time_is_an_alias(modules, tmp_path):
    def copy(saved_model):
        """`default` becomes the result of a second call of the same function."""
        for function in saved_model.meta_graphs[0].graph_def.library.function:
            if "model_layer_call_fn" in function.signature.name:
                first = function.signature.output_arg[0].name
                name = function.ret[first].partition(":")[0]
                nodes = {node.name: node for node in function.node_def}
                while nodes[name].op == "Identity":
                    name = nodes[name].input[0].partition(":")[0]
                again = function.node_def.add()
                again.CopyFrom(nodes[name])
                again.name = "again"
                function.ret[first] = "again:output:0"

    found = infer_architecture(inspect_edited(modules("g4_electra"), tmp_path / "copied", copy)).convention
    assert found.aliases == {"default": "pooled_output"}


@pytest.mark.parametrize("end", ["pooler/dense/BiasAdd", "attention/self/query/Reshape"])
def test_a_graph_that_feeds_itself_is_refused(end: str, modules, tmp_path):
    def turn(saved_model):
        for meta_graph in saved_model.meta_graphs:
            for node in meta_graph.graph_def.node:
                if node.name.endswith(end):
                    node.input[0] = node.name

    module = inspect_edited(modules("tf1_bert_small"), tmp_path / "turned", turn)
    with pytest.raises(ValueError, match="feeds itself"):
        infer_architecture(module)


def test_graphs_are_only_compared_for_an_output_that_is_no_other_s_tensor(modules, monkeypatch):
    monkeypatch.setattr("surgery.explanation.convention.Fingerprints", None)
    assert infer_architecture(inspected(modules("g4_electra"))).convention.aliases == {"default": "pooled_output"}


def test_tables_are_tried_until_one_explains_the_module(modules, monkeypatch):
    tried = []
    real = recognition.explain
    monkeypatch.setattr(recognition, "explain", lambda *args: tried.append(real(*args)) or tried[-1])
    _, found = recognition.find_family(inspected(modules("g4_electra")))
    assert [explanation.complete for explanation in tried] == [False] * (len(tried) - 1) + [True]
    assert found is tried[-1]


def test_a_module_without_an_inference_trace_is_refused(modules, tmp_path):
    module = inspected(modules("g4_electra"))
    training = [t.function for t in module.traces if t.training]
    edited = inspect_edited(
        modules("g4_electra"), tmp_path / "training", lambda s: keep_traces(s, "__call__", training)
    )
    with pytest.raises(UnexplainedError, match="no inference trace"):
        infer_architecture(edited)


def test_an_input_that_feeds_nothing_known_is_refused(modules, tmp_path):
    def cut(saved_model):
        for node in node_defs(saved_model, "type_embeddings/one_hot"):
            node.input[0] = next(name for name in node.input if name != node.input[0])

    with pytest.raises(UnexplainedError, match="reading the inputs of"):
        infer_architecture(inspect_edited(modules("g4_electra"), tmp_path / "cut", cut))


@pytest.mark.parametrize("name", ["tf1_bert_checkpoint", "hf_bert", "hf_albert"])
def test_a_checkpoint_is_called_as_tf_hub_s_modules_are(name: str, modules):
    found = infer_architecture(inspected(modules(name))).convention
    assert (found.callable, found.kind) == ("__call__", "dict")
    assert found.inputs == {token: token for token in TOKENS}
    ends = ("embedding_output", "pooled_output", "sequence_output")
    assert found.outputs == BLOCKS | {end: end for end in ends}
    assert found.aliases == {"default": "pooled_output"}


def test_a_checkpoint_without_a_pooler_has_no_pooled_output_and_no_default(modules):
    found = infer_architecture(inspected(modules("hf_electra"))).convention
    assert found.outputs == BLOCKS | {"embedding_output": "embedding_output", "sequence_output": "sequence_output"}
    assert found.aliases == {}


def test_a_checkpoint_with_a_masked_lm_head_has_the_callable_that_tf_hub_s_modules_have(modules):
    checkpoint, module = (infer_architecture(inspected(modules(n))) for n in ("tf1_bert_checkpoint", "g4_bert_mlm"))
    assert checkpoint.submodels == module.submodels
    assert infer_architecture(inspected(modules("hf_bert"))).submodels == {}


def test_mobilebert_s_list_begins_with_the_embedding_and_others_with_the_first_block(modules):
    bert = infer_architecture(inspected(modules("g4_bert_mlm"))).outputs
    assert bert.block_outputs == tuple(f"encoder_outputs_{number}" for number in range(bert.blocks))
    assert bert.entries_after(0) == ()
    mobilebert = infer_architecture(inspected(modules("g4_mobilebert"))).outputs
    assert mobilebert.block_outputs == tuple(f"encoder_outputs_{number + 1}" for number in range(mobilebert.blocks))
    assert mobilebert.entries_after(0) == ("encoder_outputs_0",)
    assert mobilebert.entries_after(1) == ("encoder_outputs_0", mobilebert.block_output(0))
    for outputs in (bert, mobilebert):
        last = outputs.blocks - 1
        assert outputs.paths[outputs.block_output(last)] == f"encoder_outputs[{outputs.entry(last)}]"
        assert outputs.entries_after(outputs.blocks)[-1] == outputs.block_output(last)


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("query_3", ("query", 3)),
        ("ffn_0_norm_12", ("ffn_0_norm", 12)),
        ("taps.query_3", ("taps.query", 3)),
        ("pooled_output", None),
        ("ffn_0_norm", None),
        ("text", None),
        ("_3", None),
    ],
)
def test_a_name_is_taken_apart_as_it_was_put_together(name, entry):
    assert split_entry(name) == entry
    assert entry is None or entry_name(*entry) == name
