"""`surgery diff` of a module with its export, and of an export with each mutation of it: named where it was made."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import surgery
from surgery.formats import saved_model as saved_model_pb
from tests.support.mutations.mutation import ALBERT, BERT
from tests.support.mutations.table import MUTATIONS

CASES = [
    pytest.param(mutation, BERT if BERT in mutation.first else next(iter(mutation.first)), id=f"{number}-{name}")
    for number, mutation in enumerate(MUTATIONS)
    for name in [BERT if BERT in mutation.first else next(iter(mutation.first))]
]


def nodes(folder: Path) -> dict[tuple[str, str], bytes]:
    """Every node of every graph and function, by the function's name and its own."""
    (graph, *_) = saved_model_pb.read(folder / "saved_model.pb").meta_graphs
    bodies: dict[str, Any] = {"": graph.graph_def.node}
    bodies |= {function.signature.name: function.node_def for function in graph.graph_def.library.function}
    return {
        (name, node.name): node.SerializeToString(deterministic=True) for name, body in bodies.items() for node in body
    }


def scope(node: str) -> str:
    return node.rpartition("/")[0]


@pytest.mark.parametrize(("mutation", "name"), CASES)
def test_a_mutation_is_named_where_it_was_made(mutation, name, converted, tmp_path):
    export, folder = converted(name, mutation.forms[0]).export, tmp_path / "mutated"
    weights = mutation.make(export, folder)
    found = surgery.diff(export, folder)
    assert not found.same
    stated = {fact.name for fact in found.manifest if not fact.same}
    assert stated == ({"architecture.num_attention_heads"} if "manifest" in mutation.row else set())
    constants = {fact.name for fact in found.constants if not fact.same}
    changed = {weight.pair.b.variable.name for weight in found.weights if not weight.same}
    assert changed | constants == {re.sub(r":0$", "", weight) for weight in weights}
    assert {asset.name for asset in found.assets} == (
        {"vocab_file"} if "vocabulary" in mutation.row and not weights else set()
    )
    one, other = nodes(export), nodes(folder)
    touched = {key[1] for key in {*one, *other} if one.get(key) != other.get(key)}
    changes = [change for graph in found.operations.differing for change in graph.nodes]
    named = {change.node for change in changes if change.what != "output"}
    assert touched <= named
    # Behind a new operation, old ones of its scope may lead to no output any more.
    assert named - touched <= {change.node for change in changes if change.what == "only A"}
    assert all(node.startswith(tuple(map(scope, touched))) for node in named)
    if mutation.graph is not None and not touched:  # the map of signatures
        outputs = {change.node for change in changes if change.what == "output"}
        signatures = {(one.name, one.only) for one in found.signatures}
        keys = {change.key for one in found.signatures for change in one.changes}
        assert (outputs, signatures, keys) in (
            ({"encoder_outputs_0", "encoder_outputs_1"}, set(), set()),
            ({"hidden_states_0", "hidden_states_1"}, set(), set()),
            (set(), {("serving_default", "")}, {"encoder_outputs_1"}),
            (set(), {("other", "B")}, set()),
        )


@pytest.mark.parametrize(
    ("name", "verdict"), [("g1", "the same weights in another layout"), (ALBERT, "the same weights")]
)
def test_a_module_and_its_export_have_the_same_weights(name, verdict, converted):
    """The first generation has kernels of two axes, exports have kernels of three."""
    found = surgery.diff(converted(name).source, converted(name).export)
    assert found.verdict == verdict
    assert {"variables", "constants", "assets"}.isdisjoint(found.differing)
    assert "signatures" in found.differing


@pytest.mark.parametrize("name", [BERT])
def test_numbers_part_where_the_functions_do(name, converted, tmp_path):
    """The export is the module's function; with another attention scale in its second block it is one up to there."""
    source, export = converted(name)[:2]
    found = surgery.diff(source, export, only="variables", numbers=True)
    assert found.numbers.parts_at is None
    assert {"encoder_outputs_0", "pooled_output"} <= {output.name for output in found.numbers.outputs}
    assert all(output.in_double for output in found.numbers.outputs)
    assert found.differing == ()
    (mutation,) = (m for m in MUTATIONS if m.row == "the attention scale x 1.0001")
    mutation.make(export, tmp_path / "mutated")
    found = surgery.diff(export, tmp_path / "mutated", only="variables", numbers=True)
    assert found.differing == ("numbers",)
    assert found.numbers.parts_at.name == "encoder_outputs_1"
    assert [output.name for output in found.numbers.outputs if output.passed] == [
        "embedding_output",
        "encoder_outputs_0",
    ]
