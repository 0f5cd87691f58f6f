"""Which output of the call each opaque key of a signature is, by computation, and by rank where that says nothing."""

from __future__ import annotations

import pytest

from surgery.sources.output_names import BY_GRAPH, BY_RANK, name_outputs
from tests.support.editing import inspect_edited, inspected, node_defs, objects
from tests.support.synthetic import Function, module, new_graph, tensor, trace

BLOCKS = 12


def places(found, signature: str = "serving_default") -> dict[str, tuple[str, ...]]:
    return {name.key: name.paths for name in found.output_names if name.signature == signature}


def feeds(found, signature: str = "serving_default") -> dict[str, tuple[str, ...]]:
    return {name.key: name.paths for name in found.input_names if name.signature == signature}


def dict_outputs(stem: str) -> dict[str, tuple[str, ...]]:
    """What Keras makes of `default`, three encoder outputs, `pooled_output` and `sequence_output`, in this order."""
    ends = ("default", "pooled_output")
    last = ("encoder_outputs[2]", "sequence_output")
    return {
        stem: ends,
        f"{stem}_1": ("encoder_outputs[0]",),
        f"{stem}_2": ("encoder_outputs[1]",),
        f"{stem}_3": last,
        f"{stem}_4": ends,
        f"{stem}_5": last,
    }


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("g4_bert_mlm", "bert_encoder"),
        ("g4_bert_dropouts", "bert_encoder"),
        ("g4_electra", "bert_encoder"),
        ("g4_bert_v2", "bert_encoder_v2"),
        ("g4_prenorm", "bert_encoder"),
        ("g4_talkheads", "encoder_scaffold"),
    ],
)
def test_the_keys_of_a_dict_call_module_are_told_apart(name: str, stem: str, modules):
    found = inspected(modules(name))
    assert places(found) == dict_outputs(stem)
    assert {output.how for output in found.output_names} == {BY_GRAPH}


def test_the_keys_of_a_list_call_module_are_its_two_ends(modules):
    assert places(inspected(modules("g2_small"))) == {
        "transformer_encoder": ("[0]",),
        "transformer_encoder_1": ("[1]",),
    }
    assert places(inspected(modules("g3_small"))) == {"bert_encoder_1": ("[0]",), "bert_encoder_1_1": ("[1]",)}


def test_the_inputs_of_a_signature_are_paired_with_the_call_s(modules):
    assert feeds(inspected(modules("g4_bert_v2"))) == {
        "input_1": ("input_word_ids",),
        "input_2": ("input_mask",),
        "input_3": ("input_type_ids",),
    }
    assert feeds(inspected(modules("g2_small"))) == {
        "input_mask": ("[1]",),
        "input_type_ids": ("[2]",),
        "input_word_ids": ("[0]",),
    }


def rename_inputs(saved_model, names: dict[str, str]) -> None:
    """Gives the inputs of `serving_default` other names, in the same order."""
    graph = objects(saved_model)
    for node in graph.nodes:
        if node.WhichOneof("kind") == "bare_concrete_function":
            concrete = graph.concrete_functions[node.bare_concrete_function.concrete_function_name]
            for part in concrete.canonicalized_input_signature.tuple_value.values:
                fields = part.dict_value.fields
                for old in [name for name in fields if name in names]:
                    fields[names[old]].CopyFrom(fields[old])
                    fields[names[old]].tensor_spec_value.name = names[old]
                    del fields[old]


def swap_arguments(saved_model, one: str, other: str) -> None:
    """Lets the wrapper of a signature hand two of its arguments on in the other's place."""
    for function in saved_model.meta_graphs[0].graph_def.library.function:
        if "signature_wrapper" in function.signature.name:
            for node in function.node_def:
                node.input[:] = [{one: other, other: one}.get(name, name) for name in node.input]


def test_inputs_with_names_that_say_nothing_are_paired_by_what_they_feed(modules, tmp_path):
    def edit(saved_model):
        rename_inputs(saved_model, {"input_1": "a", "input_2": "b", "input_3": "c"})

    found = inspect_edited(modules("g4_bert_v2"), tmp_path / "renamed", edit)
    assert feeds(found) == {"a": ("input_word_ids",), "b": ("input_mask",), "c": ("input_type_ids",)}
    assert places(found) == dict_outputs("bert_encoder_v2")


def test_the_pairing_follows_the_graph_and_not_the_order_of_the_names(modules, tmp_path):
    def edit(saved_model):
        rename_inputs(saved_model, {"input_1": "a", "input_2": "b", "input_3": "c"})
        swap_arguments(saved_model, "input_1", "input_2")

    found = inspect_edited(modules("g4_bert_v2"), tmp_path / "swapped", edit)
    assert feeds(found) == {"a": ("input_mask",), "b": ("input_word_ids",), "c": ("input_type_ids",)}


def encoder(function: Function) -> dict[str, str]:
    """A chain of blocks that all differ, and a pooler; the tensors by their place in the call."""
    states, found = function.op("Mul", "ids", "w"), {}
    for block in range(BLOCKS):
        states = function.op("Tanh", function.op("AddV2", states, function.constant(block / 8)))
        found[f"encoder_outputs[{block}]"] = states
    pooled = function.op("Sigmoid", states)
    return found | {"default": pooled, "pooled_output": pooled, "sequence_output": states}


def deep_module(*, same_graph: bool = True):
    """A dict-call module of twelve blocks, with a signature as Keras makes one: numbered keys, sorted as text."""
    graph_def = new_graph()
    call = Function(graph_def, "call", ["ids", "w"])
    made = encoder(call)
    order = ["default", *(f"encoder_outputs[{i}]" for i in range(BLOCKS)), "pooled_output", "sequence_output"]
    call.returns(**{f"result_{i}": made[place] for i, place in enumerate(order)})
    served = Function(graph_def, "served", ["ids", "w"])
    again = encoder(served)
    if not same_graph:
        again = {place: served.op("Relu", tensor) for place, tensor in again.items()}
    keys = {("net" if i == 0 else f"net_{i}"): place for i, place in enumerate(order)}
    served.returns(**{key: again[keys[key]] for key in sorted(keys)})
    outputs = {
        "default": tensor(""),
        "encoder_outputs": [tensor("") for _ in range(BLOCKS)],
        "pooled_output": tensor(""),
        "sequence_output": tensor(""),
    }
    call_trace = trace(graph_def, "call", {"ids": tensor("ids")}, outputs, ["variables/0"])
    signature = trace(graph_def, "served", {"ids": tensor("ids")}, {key: tensor(key) for key in keys}, ["variables/0"])
    return name_outputs(module([call_trace], {"serving_default": signature}))


def test_with_twelve_blocks_the_sorted_keys_are_no_longer_in_the_structure_s_order():
    found = deep_module()
    assert {name.how for name in found.output_names} == {BY_GRAPH}
    named = places(found)
    assert named["net_2"] == ("encoder_outputs[1]",)
    assert named["net_10"] == ("encoder_outputs[9]",)
    assert named["net_11"] == ("encoder_outputs[10]",)
    assert named["net_12"] == named["net_14"] == ("encoder_outputs[11]", "sequence_output")
    assert named["net"] == named["net_13"] == ("default", "pooled_output")


def test_where_the_graphs_differ_the_rank_of_the_numbers_tells_and_says_so():
    found = deep_module(same_graph=False)
    assert {name.how for name in found.output_names} == {BY_RANK}
    assert places(found)["net_10"] == ("encoder_outputs[9]",)
    assert places(found)["net_2"] == ("encoder_outputs[1]",)
    assert places(found)["net"] == ("default",)


def test_a_signature_of_another_computation_and_other_names_stays_unnamed(modules, tmp_path):
    def change(saved_model):
        for node in node_defs(saved_model, "model/bert_encoder/pooler_transform/Tanh"):
            node.op = "Relu"
        for node in objects(saved_model).nodes:
            if node.WhichOneof("kind") == "bare_concrete_function":
                name = node.bare_concrete_function.concrete_function_name
                fields = objects(saved_model).concrete_functions[name].output_signature.dict_value.fields
                for old, new in (("bert_encoder", "left"), ("bert_encoder_1", "right"), ("bert_encoder_2", "top")):
                    fields[new].CopyFrom(fields[old])
                    del fields[old]

    found = inspect_edited(modules("g4_electra"), tmp_path / "changed", change)
    assert found.output_names == ()


def test_a_module_whose_traces_are_gone_is_named_by_nothing(modules, tmp_path):
    def change(saved_model):
        for node in objects(saved_model).nodes:
            if node.WhichOneof("kind") == "function":
                del node.function.concrete_functions[:]

    assert inspect_edited(modules("g4_electra"), tmp_path / "changed", change).output_names == ()
