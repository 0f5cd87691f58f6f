"""What no output of the default signature shows belongs to an export too: every trace and every list."""

from __future__ import annotations

import pytest

import surgery
from surgery.formats import object_graph
from surgery.jobs.steps import judge, open_export
from tests.support.conversions import two_batches
from tests.support.editing import double_a_weight, edited, keep_traces, objects
from tests.support.graph_defs import add


@pytest.fixture
def problems(converted, recorded, tmp_path):
    """What is said of a tampered copy of an export; it must say something."""

    def run(tamper, name="g1"):
        tamper(converted(name).export, tmp_path / "tampered")
        report = judge(recorded(name, two_batches), open_export(tmp_path / "tampered"))
        assert not report.passed
        return report.failure()

    return run


def drop_child(saved_model, name):
    children = objects(saved_model).nodes[object_graph.ROOT].children
    del children[next(i for i, child in enumerate(children) if child.local_name == name)]


def swap_query_and_key(saved_model, functions):
    """Binds the two kernels of block 1 the wrong way round in these concrete functions only."""
    graph = objects(saved_model)
    for name in functions:
        function = graph.concrete_functions[name]
        bound = list(function.bound_inputs)
        names = [graph.nodes[node].variable.name.removesuffix(":0") for node in bound]
        query, key = (names.index(f"transformer/layer_1/self_attention/{part}/kernel") for part in ("query", "key"))
        bound[query], bound[key] = bound[key], bound[query]
        del function.bound_inputs[:]
        function.bound_inputs.extend(bound)


def traces(converted, name, *, training, kind):
    module = surgery.inspect(converted(name).export).module
    return [t.function for t in module.traces if t.training is training and isinstance(t.inputs, kind)]


@pytest.mark.parametrize("left", [dict, list], ids=["list gone", "dict gone"])
def test_a_form_of_call_that_is_gone_is_missed(left, problems, converted):
    kept = [f for training in (True, False) for f in traces(converted, "g1", training=training, kind=left)]
    problems(lambda export, copy: edited(export, copy, lambda pb: keep_traces(pb, "__call__", kept)))


def test_a_list_call_that_computes_something_else_is_caught(problems, converted):
    functions = traces(converted, "g1", training=False, kind=list)
    problems(lambda export, copy: edited(export, copy, lambda pb: swap_query_and_key(pb, functions)))


@pytest.mark.parametrize("kind", [dict, list])
def test_a_training_trace_that_uses_other_weights_is_caught(kind, problems, converted):
    functions = traces(converted, "g1", training=True, kind=kind)
    problems(lambda export, copy: edited(export, copy, lambda pb: swap_query_and_key(pb, functions)))


def quantize_results(saved_model, functions):
    """Rounds what these concrete functions return, by an operation that has no kernel for double precision."""
    for function in saved_model.meta_graphs[0].graph_def.library.function:
        for number, (key, tensor) in enumerate(function.ret.items() if function.signature.name in functions else ()):
            name = add(function.node_def, f"rounded_{number}", "FakeQuantWithMinMaxArgs", tensor)
            function.ret[key] = f"{name}:outputs:0"


@pytest.mark.parametrize(("kind", "training"), [(list, False), (list, True)])
def test_a_call_that_double_precision_cannot_compute_is_caught_too(kind, training, problems, converted):
    functions = traces(converted, "g1", training=training, kind=kind)
    message = problems(lambda export, copy: edited(export, copy, lambda pb: quantize_results(pb, functions)))
    assert ("nothing compares it" if training else "in float32, it differs") in message


def test_a_second_trace_of_one_form_is_caught_before_or_behind_the_first(problems, converted):
    (function,) = traces(converted, "g1", training=False, kind=dict)

    def add_another(saved_model):
        graph, library = objects(saved_model), saved_model.meta_graphs[0].graph_def.library
        (own,) = [body for body in library.function if body.signature.name == function]
        library.function.add().CopyFrom(own)
        library.function[-1].signature.name = "another"
        graph.concrete_functions["another"].CopyFrom(graph.concrete_functions[function])
        swap_query_and_key(saved_model, ["another"])
        (call,) = [node.function for node in graph.nodes if function in node.function.concrete_functions]
        call.concrete_functions.insert(0, "another")

    message = problems(lambda export, copy: edited(export, copy, add_another))
    assert "__call__: 2 traces take a dict with training=False" in message
    assert "once more, in another way" in message


@pytest.mark.parametrize("where", ["__call__", "signature serving_default"])
def test_a_graph_that_writes_a_variable_is_caught_although_its_data_is_the_same(where, problems, converted):
    exported = open_export(converted("g1").export)
    called = {trace.function for trace in exported.traces}
    nodes = exported.saved_model.meta_graphs[0].graph_def.node
    served = {name for node in nodes if "signature_wrapper" in (name := node.attr["f"].func.name)}
    functions = called if where == "__call__" else served
    message = problems(lambda export, copy: edited(export, copy, lambda pb: double_a_weight(pb, functions)))
    assert f"{where}: it has an operation AssignAddVariableOp" in message


@pytest.mark.parametrize("attribute", ["variables", "trainable_variables"])
def test_a_list_that_fine_tuning_reads_is_missed_when_it_is_gone(attribute, problems):
    message = problems(lambda export, copy: edited(export, copy, lambda pb: drop_child(pb, attribute)))
    assert attribute in message


def test_a_missing_vocabulary_is_missed(problems):
    assert "vocab_file" in problems(lambda export, copy: edited(export, copy, lambda pb: drop_child(pb, "vocab_file")))
