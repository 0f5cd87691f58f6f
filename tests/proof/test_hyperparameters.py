"""Numbers that no output shows, read in every graph. A changed copy of a module stands for the module's export."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from surgery.formats import object_graph
from surgery.planning.plan import make_plan
from surgery.proof.contract import check_contract
from surgery.proof.hyperparameters import check_hyperparameters
from tests.support.editing import inspect_edited, inspected, objects, replace_constants

BERT = "g4_bert_dropouts"
SAMPLES = (BERT, "g4_prenorm", "g4_albert_dropout", "g4_mobilebert_layer_norm", "g4_electra")


@pytest.fixture
def plan(modules):
    """The plan of a sample by name."""
    return lambda name: make_plan(inspected(modules(name)), Path())


@pytest.fixture
def problems(modules, plan, tmp_path):
    """`problems(name, pattern, before, after)`: the lines about a copy with these constants changed."""

    def run(name, pattern, before, after):
        changed = inspect_edited(
            modules(name), tmp_path / "changed", lambda pb: replace_constants(pb, pattern, before, after)
        )
        planned = plan(name)
        return list(check_hyperparameters(planned.module, changed, planned.inference, planned.outputs))

    return run


@pytest.mark.parametrize("name", SAMPLES)
def test_an_export_with_the_same_numbers_has_no_problem(name, plan):
    planned = plan(name)
    assert list(check_hyperparameters(planned.module, planned.module, planned.inference, planned.outputs)) == []


@pytest.mark.parametrize("adder", [-1e8, -500.0])
@pytest.mark.parametrize(
    ("name", "place"),
    [
        (BERT, "transformer/layer_1/self_attention"),
        ("g4_prenorm", "transformer/layer_2/self_attention"),
        ("g4_albert_dropout", "transformer/self_attention"),
        ("g4_mobilebert_layer_norm", "transformer_layer_1/attention"),
    ],
)
def test_another_adder_in_one_block_is_named_with_its_place(name, place, adder, problems):
    (problem,) = problems(name, f"{place}/.*", -1e9, adder)
    assert problem.startswith("attention_mask_adder: the module has -1e+09")
    assert f"the export {adder:.7g}" in problem
    assert place in problem


def test_the_adder_of_the_model_garden_encoder_is_no_breach_and_another_is(modules, plan, tmp_path):
    """A module with -10000 is rebuilt by an encoder that adds -1e9, so that its export may have either."""
    planned, early = plan(BERT), {"attention_mask_adder": -10000.0}
    architecture = planned.inference.architecture
    inference = replace(planned.inference, architecture=replace(architecture, values={**architecture.values, **early}))
    assert list(check_hyperparameters(planned.module, planned.module, inference, planned.outputs)) == []
    for adder, breaches in ((-10000.0, 0), (-1e6, 1)):
        changed = inspect_edited(
            modules(BERT), tmp_path / str(adder), lambda pb, adder=adder: replace_constants(pb, ".*", -1e9, adder)
        )
        found = list(check_hyperparameters(planned.module, changed, inference, planned.outputs))
        assert len(found) == breaches
        assert all("-10000 (or -1e+09, as Model Garden's encoder has it)" in problem for problem in found)


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        (BERT, "transformer/layer_2/output_layer_norm/batchnorm/add/y"),
        ("g4_albert_dropout", "embeddings/layer_norm/batchnorm/add/y"),
        ("g4_mobilebert_layer_norm", "transformer_layer_1/ffn_layer_0/norm/batchnorm/add/y"),
    ],
)
def test_another_epsilon_in_one_norm_is_named_with_its_place(name, pattern, problems):
    (problem,) = problems(name, pattern, 1e-12, 1e-11)
    assert problem.startswith("layer_norm_eps: the module has 1e-12, the export 1e-11")
    assert pattern in problem


@pytest.mark.parametrize(
    ("name", "place", "field"),
    [
        (BERT, "transformer/layer_1/self_attention/dropout_3/dropout", "attention_probs_dropout"),
        (BERT, "transformer/layer_2/dropout_2/dropout", "output_dropout"),
        ("g4_albert_dropout", "transformer/self_attention/dropout_3/dropout_1", "attention_probs_dropout"),
        ("g4_mobilebert_layer_norm", "transformer_layer_1/attention/dropout/dropout", "attention_probs_dropout"),
    ],
)
def test_another_scale_of_what_a_dropout_keeps_is_named_with_its_place(name, place, field, problems, plan):
    rate = plan(name).inference.architecture[field]
    right = 1.0 / (1.0 - rate)
    (problem,) = problems(name, f"{place}/Const", right, 1.5)
    assert problem.startswith(
        f"{field}: what a rate of {rate} keeps is multiplied by 1.5 instead of {right:.7g} by the"
    )
    assert place in problem


def test_a_scale_that_the_module_has_wrong_is_said_of_the_module(modules, plan, tmp_path):
    place = "transformer/layer_1/dropout_2/dropout"
    module = inspect_edited(
        modules(BERT), tmp_path / "changed", lambda pb: replace_constants(pb, f"{place}/Const", 1.25, 1.2)
    )
    planned = make_plan(module, Path())
    found = check_hyperparameters(module, plan(BERT).module, planned.inference, planned.outputs)
    (problem,) = found
    assert "keeps is multiplied by 1.2 instead of 1.25 by the module" in problem
    assert place in problem


def test_another_rate_in_one_block_is_named_with_its_place(problems):
    place = "transformer/layer_0/dropout/dropout"
    found = problems(BERT, f"{place}/GreaterEqual/y", 0.05, 0.06)
    assert found[0].startswith("attention_output_dropout: the module has 0.05, the export 0.06, in ")
    assert place in found[0]


def add_signature(saved_model):
    signatures = saved_model.meta_graphs[0].signature_def
    signatures["extra"].CopyFrom(signatures["serving_default"])


def add_meta_graph(saved_model):
    saved_model.meta_graphs.add().CopyFrom(saved_model.meta_graphs[0])
    saved_model.meta_graphs[1].meta_info_def.tags[:] = ["serve", "gpu"]


def add_trace(saved_model):
    graph = objects(saved_model)
    call = graph.nodes[object_graph.children(graph, object_graph.ROOT)["__call__"]].function
    call.concrete_functions.append(call.concrete_functions[0])


def add_form(saved_model):
    """A trace that says nothing of training."""
    add_trace(saved_model)
    graph, library = objects(saved_model), saved_model.meta_graphs[0].graph_def.library
    call = graph.nodes[object_graph.children(graph, object_graph.ROOT)["__call__"]].function
    own = call.concrete_functions.pop()
    library.function.add().CopyFrom(next(body for body in library.function if body.signature.name == own))
    library.function[-1].signature.name = "other"
    graph.concrete_functions["other"].CopyFrom(graph.concrete_functions[own])
    given = graph.concrete_functions["other"].canonicalized_input_signature.tuple_value.values
    del given[0].tuple_value.values[1:]
    call.concrete_functions.append("other")


def fix_shape(saved_model):
    sizes = saved_model.meta_graphs[0].signature_def["serving_default"].inputs["input_mask"].tensor_shape.dim
    sizes[0].size, sizes[1].size = 1, 128


def change_dtype(saved_model):
    saved_model.meta_graphs[0].signature_def["serving_default"].inputs["input_mask"].dtype = 9


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (fix_shape, "signature serving_default: expected inputs int32 [?, ?], found input_mask int32 [1, 128]"),
        (change_dtype, "signature serving_default: expected inputs int32 [?, ?], found input_mask int64 [?, ?]"),
        (add_trace, "__call__: 2 traces take a dict with training=True, and a module has one"),
        (add_form, "__call__: a trace takes a dict with training=None, and nothing proves what it computes"),
        (add_signature, "signature extra: nobody asked for it, and nothing proves what it computes"),
        (add_meta_graph, "meta graph with the tags gpu, serve: nobody asked for it, and nothing compares it"),
    ],
)
def test_what_nobody_asked_for_breaks_the_contract(edit, problem, modules, plan, tmp_path):
    planned = plan(BERT)
    parts = (planned.inference, planned.weights, planned.outputs)
    changed = inspect_edited(modules(BERT), tmp_path / "changed", edit)
    assert problem in check_contract(planned.module, changed, *parts)
    assert problem not in check_contract(planned.module, planned.module, *parts)
