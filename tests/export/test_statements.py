"""Each statement of a manifest, compared with what the export is. The export is the module with the plan's outputs."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest

import surgery
from surgery.edits import DropBlocks, PruneHeads
from surgery.export.manifest import MANIFEST, make_manifest
from surgery.export.statements import KNOWN, Statements, check_statements, read_statements, unknown_keys
from surgery.module import SignatureInfo, TensorInfo
from surgery.planning.plan import make_plan
from surgery.planning.requests import Request
from surgery.proof.parity import ParityReport, WeightCheck
from tests.support.editing import inspected

NAME = "g4_bert_mlm"
REPORT = ParityReport(
    reference="a module", batches=1, float32_batches=1, outputs=(), weights=WeightCheck(compared=1, mismatches=())
)


class Case:
    """A manifest, and everything that it states something about."""

    def __init__(self, plan, edited=None):
        self.plan, self.edited = plan, edited
        self.hashes = {a.target: f"{number:064x}" for number, a in enumerate(plan.weights.assignments)}
        signatures = tuple(
            SignatureInfo(
                name=name, inputs=(), outputs=tuple(TensorInfo(key=n, dtype="float32", shape=None) for n in outputs)
            )
            for name, outputs in plan.signatures.items()
        )
        self.exported = replace(plan.module, meta_graphs=(replace(plan.module.meta_graphs[0], signatures=signatures),))
        self.manifest = json.loads(json.dumps(make_manifest(plan, self.hashes, REPORT, edited)))

    def check(self, change=lambda manifest: None):
        manifest = copy.deepcopy(self.manifest)
        change(manifest)
        return check_statements(Statements(values=manifest), self.plan, self.exported, self.hashes, self.edited)


@pytest.fixture
def case(modules):
    request = Request(taps=("query@-1",), features=("text=mean@-2:/mean",), depths=(2,))
    return Case(make_plan(inspected(modules(NAME)), Path(), None, request))


@pytest.fixture
def classifier_case(modules):
    module = inspected(modules("hf_tf_distilbert_classifier") / "saved_model" / "1")
    return Case(make_plan(module, Path(), None, Request(keep_head=True)))


@pytest.fixture
def edited_case(modules):
    edited = surgery.edit(modules(NAME), DropBlocks("0"), PruneHeads((1, 3), "-1")).edited
    return Case(edited.plan, edited)


def test_a_manifest_as_it_was_written_states_nothing_wrong(case, edited_case):
    assert case.check() == ()
    assert edited_case.check() == ()


def test_edits_in_the_words_of_earlier_versions_are_true(edited_case):
    applied = [{"edit": "drop blocks 0", "places": 1}, {"edit": "prune heads 1, 3 of blocks -1", "places": 2}]
    assert edited_case.check(setting("edits", "applied", to=applied)) == ()
    applied[0]["edit"] = "drop blocks 1"
    (line,) = edited_case.check(setting("edits", "applied", to=applied))
    assert "drop block 1" in line


def test_what_earlier_versions_did_not_write_is_no_wrong_statement(classifier_case):
    def earlier(manifest):
        del manifest["head"]["hidden"], manifest["source"]["model_type"]

    assert classifier_case.check() == classifier_case.check(earlier) == ()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda manifest: manifest["head"]["hidden"].update(activation="tanh"), "head.hidden.activation says 'tanh'"),
        (lambda manifest: manifest["head"]["hidden"].update(kernel="x"), "head.hidden.kernel says 'x'"),
        (lambda manifest: manifest["source"].update(model_type="bert"), "source.model_type says 'bert'"),
    ],
)
def test_a_statement_about_a_head_that_is_not_true_is_named(change, line, classifier_case):
    (problem,) = classifier_case.check(change)
    assert problem.startswith(f"{MANIFEST}: {line}, expected ")


def setting(*path, to):
    """The change that sets the value at a path of keys and indices."""

    def change(manifest):
        for key in path[:-1]:
            manifest = manifest[key]
        manifest[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (setting("schema", to=2), "schema says 2, expected 1"),
        (setting("source", "format", to="TF1 checkpoint"), "source.format says 'TF1 checkpoint', expected 'TF2 SavedM"),
        (setting("architecture", "family", to="albert"), "architecture.family says 'albert', expected 'bert'"),
        (setting("architecture", "hidden_act", to="gelu"), "architecture.hidden_act says 'gelu', expected 'gelu_tanh'"),
        (setting("architecture", "heads", to=4), "architecture.heads says 4, expected nothing"),
        (setting("architecture", "num_hidden_layers", to=4), "architecture.num_hidden_layers says 4, expected 3"),
        (setting("architecture", "attention_mask_adder", to=-1.0), "architecture.attention_mask_adder says -1.0, exp"),
        (setting("evidence", 0, "value", to="?"), " says '?', expected "),
        (setting("assignments", 1, "sha256", to="ab"), ".sha256 says 'ab', expected '000"),
        (setting("assignments", 1, "shape", to=[1]), ".shape says [1], expected ["),
        (setting("assignments", 1, "trainable", to=False), ".trainable says False, expected True"),
        (setting("assignments", 1, "variable", to="x"), ".variable says 'x', expected '"),
        (setting("assignments", 1, "layout", to="x"), ".layout says 'x', expected '"),
        (lambda manifest: manifest["assignments"].pop(), " says nothing, expected {'shape': ["),
        (setting("dropped", to=[{"variable": "x", "because": "y"}]), "dropped says ['x'], expected ["),
        (setting("kept", to=[]), "kept says [], expected ['do_lower_case']"),
        (setting("outputs", "extra", to=["x"]), "outputs.extra says ['x'], expected nothing"),
        (setting("outputs", "depth_2", to=["x"]), "outputs.depth_2 says ['x'], expected ['embedding_output'"),
        (setting("request", "taps", to=[]), "request.taps says [], expected ['query@-1']"),
        (setting("request", "graph", to="model_garden"), "request.graph says 'model_garden', expected 'fused'"),
        (setting("request", "packed", to=True), "request.packed says True, expected False"),
        (setting("packed", to={}), "packed.text says nothing, expected []"),
        (setting("packed", "text", to=["text"]), "packed.text says ['text'], expected []"),
        (setting("packed", "taps", to=["query_2"]), "packed.taps says ['query_2'], expected nothing"),
        (setting("parity", "passed", to=False), "parity.passed says False, expected True"),
        (setting("edits", to={"applied": []}), "edits says {'applied': []}, expected nothing"),
        (lambda manifest: manifest.pop("assignments"), "assignments."),
        (lambda manifest: manifest.pop("architecture"), "architecture says nothing, expected {'family': 'bert'"),
    ],
)
def test_a_statement_that_is_not_true_is_named_with_both_values(change, line, case):
    found = case.check(change)
    assert found
    assert all(problem.startswith(f"{MANIFEST}: ") and " says " in problem for problem in found)
    assert any(line in problem for problem in found)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (setting("edits", "applied", 0, "places", to=2), "edits.applied says"),
        (setting("edits", "blocks", 0, "origin", to=0), "edits.blocks says"),
        (setting("edits", "blocks", 1, "pruned_heads", to=[0, 3]), "edits.blocks says"),
        (setting("edits", "unchanged", to=["embedding_output", "encoder_outputs_0"]), "edits.unchanged says"),
        (setting("edits", "changed", to=[]), "edits.changed says []"),
        (lambda manifest: manifest["edits"].pop("blocks"), "edits.blocks says nothing"),
        (setting("architecture", "num_hidden_layers", to=3), "architecture.num_hidden_layers says 3, expected 2"),
    ],
)
def test_a_statement_about_an_edit_that_is_not_true_is_named(change, line, edited_case):
    (problem,) = edited_case.check(change)
    assert problem.startswith(f"{MANIFEST}: {line}")


def test_the_source_of_another_module_is_not_compared(case):
    """The same function may come from other files: their names, and what early graphs add to the logits, may differ."""

    def change(manifest):
        manifest["source"].update(sha256={}, format="TF1 checkpoint")
        manifest["architecture"].update(generation="another", attention_mask_adder=-10000.0)
        manifest["assignments"][1].update(variable="x", layout="y")
        manifest.update(dropped=[], kept=[])

    assert case.check(change) == ()
    (problem,) = case.check(lambda manifest: (change(manifest), setting("architecture", "hidden_size", to=3)(manifest)))
    assert "architecture.hidden_size says 3, expected 64" in problem


def test_the_history_of_an_export_is_not_compared_and_an_early_one_has_no_request(case):
    def change(manifest):
        manifest["packages"]["tensorflow"] = "2.3"
        manifest["parity"]["batches"] = 40
        del manifest["request"]

    assert case.check(change) == ()


def test_an_early_export_says_nothing_of_forms_of_graphs_and_of_padding(modules):
    case = Case(make_plan(inspected(modules(NAME)), Path(), None, Request(taps=("query@-1",), graph="model_garden")))

    def change(manifest):
        del manifest["request"]["graph"], manifest["request"]["packed"], manifest["packed"]

    assert case.check(change) == ()
    (problem,) = case.check(lambda manifest: (change(manifest), setting("request", "taps", to=[])(manifest)))
    assert "request.taps says []" in problem


def test_keys_of_another_version_are_listed(case):
    assert unknown_keys(Statements(values=case.manifest)) == ()
    assert unknown_keys(Statements(values={**case.manifest, "licence": "MIT"})) == ("licence",)
    assert case.check(lambda manifest: manifest.update(licence="MIT")) == ()
    assert case.manifest.keys() | {"edits"} == KNOWN


@pytest.mark.parametrize(
    ("content", "problem"), [("{", "cannot be read"), ("[]", "expected a JSON object, found list")]
)
def test_a_damaged_manifest_is_a_problem_and_a_missing_one_is_none(content, problem, case, tmp_path):
    parts = (case.plan, case.exported, case.hashes)
    assert check_statements(read_statements(tmp_path), *parts) == ()
    (tmp_path / MANIFEST).parent.mkdir()
    (tmp_path / MANIFEST).write_text(content)
    (found,) = check_statements(read_statements(tmp_path), *parts)
    assert problem in found
