"""Which operations write: those that change a variable, a table or a file, and all that nobody knows."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from tensorboard.compat.proto import meta_graph_pb2

from surgery.proof.effects import check_effects, writes
from tests.support.synthetic import Function

WRITING = """
AssignVariableOp AssignAddVariableOp ResourceScatterUpdate ScatterAdd ApplyAdam CountUpTo StridedSliceAssign
LookupTableInsertV2 LookupTableImportV2 InitializeTableFromTextFileV2 SaveV2 RestoreV2 WriteFile PrintV2
EagerPyFunc StackPushV2 OfAStranger
"""
OTHERS = "MatMul ScatterNd ReadVariableOp ResourceGather ResourceGatherNd LookupTableFindV2 RandomUniform f"


@pytest.mark.parametrize("op", WRITING.split())
def test_what_changes_a_variable_a_table_or_a_file_writes(op):
    assert writes(op, ())


@pytest.mark.parametrize("op", OTHERS.split())
def test_what_computes_or_reads_does_not(op):
    assert not writes(op, {"f"})


def test_random_numbers_are_for_training_only():
    meta_graph = meta_graph_pb2.MetaGraphDef()
    for name in ("infer", "train"):
        function = Function(meta_graph.graph_def, name, ["x"])
        (drawn,) = function.call("drawing", "x")
        function.returns(y=drawn)
    drawing = Function(meta_graph.graph_def, "drawing", ["x"])
    drawing.returns(y=drawing.op("RandomUniform", "x"))
    infer, train = (
        SimpleNamespace(callable="__call__", function=name, training=name == "train") for name in ("infer", "train")
    )
    saved_model = SimpleNamespace(meta_graphs=[meta_graph])
    assert not list(check_effects(SimpleNamespace(saved_model=saved_model, traces=[train])))
    (problem,) = check_effects(SimpleNamespace(saved_model=saved_model, traces=[train, infer]))
    assert problem == "__call__: it has an operation RandomUniform, which draws random numbers, and it does not train"
