"""The gradient of every weight is the module's, in double precision: without dropout, and with the same masks."""

from __future__ import annotations

from collections import defaultdict
from functools import cache

import numpy as np
import pytest

from surgery.jobs.steps import open_export
from surgery.proof.battery import make_battery
from surgery.proof.calls import CALL
from surgery.proof.compared import names_in, of_export, of_module, trained
from tests.support.editing import edited
from tests.support.gradients import gradients
from tests.support.synthetic import FLOAT

MOST = 1e-9
"""The largest difference of a gradient, as a share of its norm."""
ROUNDING = 1e-14
"""The same, as a share of the largest gradient. That of a key's bias is zero but for rounding: softmax does not see
what all logits of a row share."""


@pytest.fixture(scope="module")
def of_the_module(converted):
    """`of_the_module(name)` has values and gradients of a fixed scalar of the module: of its inference traces, and of
    its training traces."""

    @cache
    def find(name):
        plan = converted(name).conversion.plan
        return gradients(plan.module, of_module(plan.module, plan.inference, plan.outputs), wanted(plan), inputs(plan))

    return find


def of_the_export(plan, folder):
    """The same of an export's calls, by the module's variables."""
    names = frozenset(names_in(of_module(plan.module, plan.inference, plan.outputs)))
    exported = open_export(folder)
    compared = of_export(exported, plan.inference, plan.outputs, names)
    inferred, drawn = wanted(plan)
    called = [
        next(name for name, like in compared.same_as.items() if like == output and "(dict)" in name)
        for output in inferred
    ]
    found = gradients(exported, compared, [called, drawn], inputs(plan))
    return [(value, by_variable(plan.weights, gradient)) for value, gradient in found]


def wanted(plan):
    """The outputs of inference and of training of which the scalars are made."""
    logits = {name: f"{name}_logits" for name in plan.inference.submodels}
    outputs = ("pooled_output", "sequence_output")
    return (
        [*outputs, *(f"{name}.{output}" for name, output in logits.items())],
        [f"{trained(CALL)}.{o}" for o in outputs] + [f"{trained(name)}.{output}" for name, output in logits.items()],
    )


def inputs(plan):
    """A batch whose masks have holes and whose rows all have tokens (surgery.proof.battery.KINDS)."""
    return make_battery(plan.inference.architecture)[7].inputs


def by_variable(weights, found):
    """Gradients by target in the layout of the module's variables. Those of a variable's targets are added."""
    sums = defaultdict(float)
    for target, gradient in found.items():
        way = weights.by_target[target]
        sums[way.variable.name] += way.layout.inverse().apply(gradient, weights.sizes)
    return dict(sums)


def wrong(expected, found):
    """The variables whose gradients differ, or are there on one side only."""
    largest = max(np.linalg.norm(gradient) for gradient in expected.values())
    return (found.keys() ^ expected.keys()) | {
        name
        for name, gradient in expected.items()
        if name in found
        and np.linalg.norm(found[name] - gradient) > MOST * np.linalg.norm(gradient) + ROUNDING * largest
    }


@pytest.mark.parametrize(
    "name", ["g1", "g4_bert_mlm", "g4_albert_dropout", "g4_mobilebert", "g4_talkheads", "tf1_bert_small"]
)
def test_the_gradient_of_every_weight_is_the_modules_in_double_precision(name, converted, of_the_module):
    plan = converted(name).conversion.plan
    expected, found = of_the_module(name), of_the_export(plan, converted(name).export)
    values = [value for value, _ in expected]
    assert values[0] != pytest.approx(values[1], rel=1e-3), "dropout acts"
    assert [value for value, _ in found] == pytest.approx(values, rel=1e-11)
    assigned = {assignment.variable.name for assignment in plan.weights.assignments}
    for (_, theirs), (_, ours) in zip(expected, found, strict=True):
        assert theirs.keys() == assigned
        assert all(gradient.any() for gradient in theirs.values())
        assert wrong(theirs, ours) == set()


def stop_at_softmax(function, block):
    """Makes the attention of one block a constant for gradients. No value changes."""
    node = next(node for node in function.node_def if node.op == "Softmax" and f"layer_{block}/" in node.name)
    function.node_def.add(name="stopped", op="StopGradient", input=node.input).attr["T"].type = FLOAT
    node.input[:] = ["stopped:output:0"]


@pytest.mark.parametrize("name", ["g4_bert_mlm"])
def test_a_stopped_gradient_is_found_in_what_lies_before_it_and_nowhere_else(name, converted, of_the_module, tmp_path):
    stopped = {"inference": 1, "training": 2}

    def stop(saved_model):
        for function in saved_model.meta_graphs[0].graph_def.library.function:
            types = {node.op for node in function.node_def}
            if "Softmax" in types:
                stop_at_softmax(function, stopped["training" if "RandomUniform" in types else "inference"])

    export = edited(converted(name).export, tmp_path / "export", stop)
    expected, found = of_the_module(name), of_the_export(converted(name).conversion.plan, export)
    assert [value for value, _ in found] == pytest.approx([value for value, _ in expected], rel=1e-11)
    for block, (_, theirs), (_, ours) in zip(stopped.values(), expected, found, strict=True):
        differing = wrong(theirs, ours)
        attention = f"transformer/layer_{block}/self_attention"
        lost = {f"{attention}/{of}/{kind}" for of in ("query", "key") for kind in ("kernel", "bias")}
        assert {weight for weight in differing if weight.startswith(f"transformer/layer_{block}")} == lost
        assert "word_embeddings/embeddings" in differing
        later = (f"transformer/layer_{block + 1}", "pooler", "bert/cls")
        assert not any(weight.startswith(later) for weight in differing)
