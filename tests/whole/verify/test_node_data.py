"""The errors of a comparison as node data: each value at the operations that compute the output, in every graph."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from surgery.graphs.model_explorer import WORST
from surgery.jobs.node_data import FILES, files_of
from surgery.jobs.steps import open_export
from surgery.proof.parity import MAX_DIFFERENCE

GRAPH = {"name", "results", "thresholds", "gradient"}
"""Keys of a graph's node data that are written; `GraphNodeData` of Model Explorer's `node_data_builder` has more."""


@pytest.fixture
def made(converted):
    """The files of a report's outputs, and the operations by graph and id."""

    def make(name, change=lambda diff: diff):
        done = converted(name)
        export = open_export(done.export)
        report = done.conversion.report
        report = replace(report, outputs=tuple(map(change, report.outputs)))
        graph_def = export.inference_graph.graph_def
        nodes = {"main": {str(number): node for number, node in enumerate(graph_def.node)}}
        for function in graph_def.library.function:
            own = {str(number): node for number, node in enumerate(function.node_def, 1)}
            nodes[function.signature.name] = own
        return files_of(report, done.conversion.plan, export), nodes, report

    return make


def at(file, nodes):
    """The operations with a value: name, type and value, in any graph."""
    return [
        (nodes[graph][number].name, nodes[graph][number].op, found["value"])
        for graph, data in file.items()
        for number, found in data["results"].items()
    ]


@pytest.mark.parametrize("name", ["g4_bert_mlm"])
def test_each_value_is_at_the_operation_that_computes_the_output(name, made):
    # A value by which an output is known again. Signatures share functions, which show the largest value of all.
    numbers: dict[tuple[bool, str], float] = {}

    def numbered(diff):
        key = ("training" in diff.name, diff.name.rpartition(".")[2])
        return replace(diff, difference=numbers.setdefault(key, (1 + len(numbers)) * 1e-13))

    files, nodes, report = made(name, numbered)
    values = {diff.name: diff.difference for diff in report.outputs}
    found = at(files["difference.json"], nodes)
    assert ("Tanh", values["pooled_output"]) in [(op, value) for _, op, value in found]
    for block in range(2):  # the last one is the sequence output, too
        name_of = [
            name for name, op, value in found if value == values[f"encoder_outputs_{block}"] and op != "Identity"
        ]
        assert any(f"layer_{block}/" in name for name in name_of), name_of
        trained = values[f"__call__(training=True).encoder_outputs_{block}"]
        assert any(f"layer_{block}" in name for name, _, value in found if value == trained)
    calls = {op for graph, data in files["difference.json"].items() if graph == "main" for op in _types(data, nodes)}
    assert calls == {"StatefulPartitionedCall"}
    assert set(values.values()) <= {value for *_, value in found}


def _types(data, nodes):
    return [nodes["main"][number].op for number in data["results"]]


@pytest.mark.parametrize("name", ["g4_bert_mlm"])
def test_the_files_have_the_form_that_model_explorer_reads(name, made):
    def broken(diff):
        return replace(diff, difference=math.inf) if diff.name == "encoder_outputs_1" else diff

    files, nodes, report = made(name, broken)
    assert list(files) == list(FILES) == ["difference.json", "module_error.json", "export_error.json"]
    for file in files.values():
        for graph, data in file.items():
            assert graph in nodes
            assert data.keys() <= GRAPH
            assert data["results"].keys() <= nodes[graph].keys()
            assert all({"value"} <= result.keys() <= {"value", "bgColor"} for result in data["results"].values())
    worst = [result for data in files["difference.json"].values() for result in data["results"].values()]
    assert {"value": "infinite", "bgColor": WORST} in worst
    bounds = [data["thresholds"][0]["value"] for data in files["difference.json"].values()]
    assert set(bounds) == {MAX_DIFFERENCE}
    (pooled,) = (diff for diff in report.outputs if diff.name == "pooled_output")
    assert ("Tanh", pooled.export_error / pooled.rms) in [
        (op, value) for _, op, value in at(files["export_error.json"], nodes)
    ]
