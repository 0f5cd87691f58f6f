"""Classification heads: Hugging Face classifiers are read, and the heads of modules become such classifiers."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import load_file

import surgery
from scripts.tools.interop.cases import RATES
from surgery.checkpoints import naming
from surgery.checkpoints.classifier import labelling_of
from surgery.checkpoints.kept import Kept
from surgery.cli.main import main
from surgery.errors import ContradictionError, ParityError, UnexplainedError, UsageError
from surgery.explanation.assignment import map_weights
from surgery.explanation.heads import DenseHead, HiddenLayer, Labelling, OtherHead
from surgery.export.manifest import MANIFEST
from surgery.families import FAMILIES
from surgery.jobs import checkpoint as job
from surgery.tables.publisher import Names
from tests.support.builders import hugging_face
from tests.support.editing import edited, node_defs, objects

NAMES = ("no", "yes", "ask | again\n`")
ASSUME = dict.fromkeys(RATES, 0.1)
WITHOUT_TEXTS = {"assume": ASSUME, "tokenizer": False}


def config_of(done):
    return json.loads((done.destination / "config.json").read_text())


@pytest.fixture(scope="module")
def estimator(modules, tmp_path_factory):
    """The checkpoint of a classifier that an Estimator exported."""
    return surgery.checkpoint(modules("tf1_estimator"), tmp_path_factory.mktemp("estimator") / "out", **WITHOUT_TEXTS)


def test_a_classifier_of_hugging_face_has_its_head_with_the_labels_names(tmp_path):
    module = hugging_face.build_classifier(tmp_path / "m", problem_type="multi_label_classification")
    plan = surgery.plan(module)
    assert isinstance(plan.head, DenseHead)
    assert (plan.head.kernel.name, plan.head.transposed, plan.head.labels) == ("classifier.weight", True, 3)
    assert plan.head.labelling == Labelling(names=NAMES, problem="multi_label_classification", dropout=None)
    assert plan.signatures["classifier"] == ("logits",)
    assert plan.weights.by_target["classifier/kernel"].shape == (48, 3)
    assert plan.weights.dropped == ()
    shown = CliRunner().invoke(main, ["inspect", str(module)]).stdout
    assert "Head: a dense layer on the pooled output, 3 labels" in shown
    assert "as the signature classifier" in shown
    assert "--keep-head" not in shown


WITH_HIDDEN_LAYER = {"hf_distilbert": "relu", "hf_electra": "gelu", "hf_xlm_roberta": "tanh"}
"""The activation of the hidden layer in the head of a class, by the sample of its encoder."""


@pytest.mark.parametrize("sample", WITH_HIDDEN_LAYER)
def test_a_head_with_a_hidden_layer_has_the_activation_of_its_class(sample, tmp_path):
    module = hugging_face.build_classifier(tmp_path / "m", sample, hidden=True)
    plan, act = surgery.plan(module), WITH_HIDDEN_LAYER[sample]
    kernel = "pre_classifier.weight" if sample == "hf_distilbert" else "classifier.dense.weight"
    assert (plan.head.hidden.kernel.name, plan.head.hidden.activation, plan.head.reads) == (
        kernel,
        act,
        "sequence_output",
    )
    assert plan.weights.by_target["classifier/dense/kernel"].shape == (48, 48)
    assert plan.weights.dropped == ()
    shown = CliRunner().invoke(main, ["inspect", str(module)], env={"COLUMNS": "120"}).stdout
    assert f"Head: a dense layer with {act} on the first token (48), 3 labels" in shown
    assert f"{kernel} [dense hidden]" in shown
    stored = load_file(module / "model.safetensors")
    del stored["classifier.bias" if sample == "hf_distilbert" else "classifier.dense.bias"]
    hugging_face.save_file(stored, module / "model.safetensors", {"format": "pt"})
    assert isinstance(surgery.plan(module).head, OtherHead)


def test_the_names_and_the_classes_tell_of_the_same_layers():
    """The computation has the activation from the names, the rebuilt head from the class."""
    publishers = [dialect.publisher for family in FAMILIES for dialect in family.dialects if dialect.publisher]
    written = [publisher for publisher in publishers if publisher.library and isinstance(publisher.names, Names)]
    assert {publisher.library.head.hidden_act for publisher in written} == {"", "relu", "gelu", "tanh"}
    for publisher in written:
        names = publisher.names
        assert (names.classifier_act, bool(names.classifier_hidden)) == (
            publisher.library.head.hidden_act,
            bool(publisher.library.head.hidden_act),
        )


DROPOUTS = {"hf_albert": "classifier_dropout_prob", "hf_distilbert": "seq_classif_dropout"}


@pytest.mark.parametrize("sample", ["hf_bert", "hf_albert", *WITH_HIDDEN_LAYER])
def test_a_classifier_comes_back_bit_by_bit_with_what_its_config_says(sample, tmp_path):
    stated = {"problem_type": "regression", DROPOUTS.get(sample, "classifier_dropout"): 0.3}
    module = hugging_face.build_classifier(tmp_path / "m", sample, hidden=sample in WITH_HIDDEN_LAYER, **stated)
    done = surgery.checkpoint(module, tmp_path / "out", tokenizer=False)
    before, after = (load_file(folder / "model.safetensors") for folder in (module, done.destination))
    assert {name: value.tobytes() for name, value in after.items()} == {n: v.tobytes() for n, v in before.items()}
    theirs = json.loads((module / "config.json").read_text())
    ours = config_of(done)
    assert {key: theirs.get(key) for key in ("architectures", "id2label", "label2id", *stated)} == {
        key: ours.get(key) for key in ("architectures", "id2label", "label2id", *stated)
    }


@pytest.mark.parametrize(
    ("sample", "architectures", "because"),
    [
        ("hf_bert", None, "names no class"),
        ("hf_bert", ["BertForTokenClassification"], "it labels every token"),
        ("hf_albert", ["AlbertForMultipleChoice"], "the pooled outputs of several texts"),
        ("hf_bert", ["MyClassifier"], "it is not known what its head reads"),
        ("hf_electra", ["ElectraForSequenceClassification"], "the checkpoint has no classifier/kernel"),
        ("hf_xlm_roberta", ["XLMRobertaForTokenClassification"], "it labels every token"),
    ],
)
def test_another_head_under_the_same_names_is_named_and_not_taken_for_one(sample, architectures, because, tmp_path):
    module = hugging_face.build_classifier(tmp_path / "m", sample, architectures=architectures)
    plan = surgery.plan(module)
    assert isinstance(plan.head, OtherHead)
    assert because in plan.head.because
    assert set(plan.signatures) == {"serving_default"}
    assert {row.variable.name for row in plan.weights.dropped} == {"classifier.weight", "classifier.bias"}
    with pytest.raises(UsageError, match=f"keep_head.*{because}"):
        surgery.plan(module, keep_head=True)
    with pytest.raises(UsageError, match=f"(?s){because}.*drop_head=True"):
        surgery.checkpoint(module, tmp_path / "out", tokenizer=False)
    done = surgery.checkpoint(module, tmp_path / "out", tokenizer=False, drop_head=True)
    assert not [name for name in load_file(done.destination / "model.safetensors") if "classifier" in name]


@pytest.mark.parametrize(
    ("config", "error", "reason"),
    [
        ({"id2label": {"0": "no", "1": "yes"}}, ContradictionError, "id2label names 2 labels, .* weights have 3"),
        ({"id2label": ["no", "yes", "maybe"]}, ContradictionError, "names 0 labels"),
        ({"problem_type": "ranking"}, UnexplainedError, "problem_type is 'ranking', known are regression"),
        ({"classifier_dropout": 1.5}, UnexplainedError, "classifier_dropout is 1.5, expected a rate"),
    ],
)
def test_a_config_that_no_head_can_have_is_refused(config, error, reason, tmp_path):
    module = hugging_face.build_classifier(tmp_path / "m", **config)
    with pytest.raises(error, match=reason):
        surgery.plan(module)


def test_a_classifier_without_its_pooler_or_its_bias_is_not_taken_for_one(tmp_path):
    for pattern, because in (("pooler", "has no pooler"), ("classifier.bias", "has no classifier/bias")):
        module = hugging_face.build_classifier(tmp_path / pattern)
        tensors = load_file(module / "model.safetensors")
        hugging_face.save_file(hugging_face.lacking(pattern)(tensors), module / "model.safetensors", {"format": "pt"})
        assert because in surgery.plan(module).head.because


def test_the_head_of_an_estimator_becomes_a_classifier(estimator, modules):
    config, tensors = config_of(estimator), load_file(estimator.destination / "model.safetensors")
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert config["id2label"] == {"0": "LABEL_0", "1": "LABEL_1"}
    assert config["problem_type"] == "single_label_classification"
    assert "classifier_dropout" not in config
    module = estimator.planned.plan.module
    by_name = {variable.name: variable for variable in module.variables}
    for name, variable in (("classifier.weight", "output_weights"), ("classifier.bias", "output_bias")):
        np.testing.assert_array_equal(tensors[name], module.open_tensors().read(by_name[variable]))
    card = (estimator.destination / "README.md").read_text()
    assert "pipeline_tag: text-classification" in card
    assert "AutoModelForSequenceClassification" in card
    assert "`classifier_dropout`: nothing in the source shows it" in card


def test_labels_are_named_by_the_caller_one_for_each(modules, tmp_path):
    done = surgery.checkpoint(modules("tf1_estimator"), tmp_path / "out", labels=NAMES[1:], **WITHOUT_TEXTS)
    assert config_of(done)["id2label"] == {"0": NAMES[1], "1": NAMES[2]}
    card = (done.destination / "README.md").read_text()
    assert "| `1` | `ask \\| again\\n'` |" in card
    for labels in ("yes", ("a", "b", "c"), ("a", "a")):
        with pytest.raises(UsageError, match="has 2 labels, expected a name of its own for each"):
            surgery.checkpoint(modules("tf1_estimator"), tmp_path / "no", labels=labels, **WITHOUT_TEXTS)
    with pytest.raises(UsageError, match="no classification head is written"):
        surgery.checkpoint(modules("g2_small"), tmp_path / "no", labels=("a", "b"))
    found = CliRunner().invoke(main, ["checkpoint", str(modules("g2_small")), str(tmp_path / "no"), "--label", "a"])
    assert "--label a: no classification head" in found.stderr


@pytest.mark.parametrize(
    ("activations", "problem"),
    [
        (("softmax", "log_softmax"), "single_label_classification"),
        (("sigmoid",), "multi_label_classification"),
        (("softmax", "sigmoid"), None),
    ],
)
def test_the_activations_behind_the_logits_tell_the_kind_of_problem_where_they_agree(activations, problem, estimator):
    planned = estimator.planned
    head = replace(planned.head, outputs={"logits": "linear", **{name: name for name in activations}})
    keys = planned.form.library.head
    assert labelling_of(planned.plan.module, head, keys, ()).problem == problem


def test_a_head_without_a_bias_gets_zeros(modules, tmp_path):
    """The class has a bias: one that adds nothing is the same function."""

    def without_bias(saved):
        (node,) = (node for node in saved.meta_graphs[0].graph_def.node if node.name == "probabilities")
        node.input[:] = ["MatMul"]

    module = edited(modules("tf1_estimator"), tmp_path / "edited", without_bias)
    done = surgery.checkpoint(module, tmp_path / "out", **WITHOUT_TEXTS)
    tensors = load_file(done.destination / "model.safetensors")
    bias = tensors["classifier.bias"]
    assert done.accounting.tensors == len(tensors) - 1  # no variable of the module has the bits of these zeros
    assert (bias.shape, bias.dtype, bias.any()) == ((2,), np.float32, np.False_)
    assert done.planned.form.zeros == {"classifier.bias"}
    assert "`classifier.bias` is made of zeros" in (done.destination / "README.md").read_text()
    assert str(done.to_dict()["head"]["zeros"]) == "['classifier.bias']"


def test_a_head_is_left_out_when_asked_and_needs_its_pooler(modules, tmp_path):
    done = surgery.checkpoint(modules("tf1_estimator"), tmp_path / "out", drop_head=True, **WITHOUT_TEXTS)
    assert config_of(done)["architectures"] == ["BertModel"]
    assert "the classification head is left out, as asked" in {row.because for row in done.planned.left_out}
    with pytest.raises(UsageError, match=r"(?s)drop_pooler=True: the classification head .*drop_head=True"):
        surgery.checkpoint(modules("tf1_estimator"), tmp_path / "no", drop_pooler=True, **WITHOUT_TEXTS)
    with pytest.raises(UsageError, match="has no classification head that can be left out"):
        surgery.checkpoint(modules("g2_small"), tmp_path / "no", drop_head=True)


def test_a_class_whose_head_computes_something_else_is_refused(modules, estimator):
    """ElectraForSequenceClassification has a layer of its own before the labels. No class has two heads."""
    electra, masked = (surgery.plan(modules(name)) for name in ("g4_electra", "g4_bert_mlm"))
    assert isinstance(estimator.planned.head, DenseHead)
    head = replace(estimator.planned.head, bias=None)
    refusal = r"(?s)ElectraModel has no place for a class.* a dense layer on the .*a layer with gelu .*drop_head=True"
    with pytest.raises(UsageError, match=refusal):
        naming.choose_form(electra.module, electra.inference, Kept(assignments=electra.weights.assignments, head=head))
    other = replace(head, hidden=HiddenLayer(kernel=head.kernel, transposed=False, bias=head.kernel, activation="tanh"))
    encoder = surgery.plan(modules("g2_small"))
    with pytest.raises(UsageError, match=r"(?s)BertModel has no place for a class.* with tanh .*drop_head=True"):
        naming.choose_form(encoder.module, encoder.inference, Kept(assignments=encoder.weights.assignments, head=other))
    with pytest.raises(UsageError, match=r"(?s)both \.mlm and a classification head.*drop_head=True"):
        naming.choose_form(masked.module, masked.inference, Kept(assignments=masked.weights.assignments, head=head))


def test_a_hidden_layer_of_another_width_than_transformers_makes_is_refused(modules):
    plan = surgery.plan(modules("hf_tf_distilbert_classifier"), keep_head=True)
    kernel = replace(plan.head.hidden.kernel, shape=(24, 32))
    head = replace(plan.head, hidden=replace(plan.head.hidden, kernel=kernel))
    weights = map_weights(plan.module, plan.inference, head)
    because = r"(?s)a hidden layer of 32: DistilBertForSequenceClassification has one of 24.*drop_head=True"
    with pytest.raises(UsageError, match=because):
        naming.choose_form(plan.module, plan.inference, Kept(assignments=weights.assignments, head=head))


@pytest.mark.parametrize("key", ["id2label", "problem_type", "architectures"])
def test_a_config_that_says_something_else_of_the_head_is_never_published(key, modules, tmp_path, monkeypatch):
    other = {
        "id2label": {"0": "LABEL_1", "1": "LABEL_0"},
        "problem_type": "regression",
        "architectures": ["BertForTokenClassification"],
    }
    write = job._write_json

    def changed(path, content):
        write(path, content | {key: other[key]} if key in content else content)

    monkeypatch.setattr(job, "_write_json", changed)
    with pytest.raises(ParityError, match="nothing was published"):
        surgery.checkpoint(modules("tf1_estimator"), tmp_path / "out", **WITHOUT_TEXTS)
    assert list(tmp_path.iterdir()) == []


def test_what_a_manifest_states_of_the_labels_is_carried_and_what_cannot_be_is_not(estimator, modules, tmp_path):
    """The sample stands in for an export: only the manifest beside it says what its labels are."""
    folder = shutil.copytree(modules("tf1_estimator"), tmp_path / "export")
    (folder / MANIFEST).parent.mkdir(exist_ok=True)
    stated = {"labels": 2, "names": ["a", "b"], "problem": "regression", "dropout": 0.2}
    for changed, labelling in (
        ({}, Labelling(names=("a", "b"), problem="regression", dropout=0.2)),
        ({"names": ["a"], "dropout": 7, "problem": "x"}, replace(estimator.planned.labelling, names=None)),
        ({"labels": 3}, estimator.planned.labelling),
    ):
        (folder / MANIFEST).write_text(json.dumps({"head": stated | changed}))
        done = surgery.checkpoint(folder, tmp_path / "out", overwrite=True, **WITHOUT_TEXTS)
        assert done.planned.labelling == labelling


def test_the_graph_of_a_saved_model_shows_the_hidden_layer(modules, tmp_path):
    """TFDistilBertForSequenceClassification: ReLU on the first token. Its config names GELU, for the blocks."""
    module = modules("hf_tf_distilbert_classifier")
    plan = surgery.plan(module, keep_head=True)
    assert (plan.head.hidden.activation, plan.head.hidden.transposed, plan.head.labels) == ("relu", False, 3)
    assert plan.head.hidden.kernel.name.endswith("pre_classifier/kernel")
    done = surgery.checkpoint(module, tmp_path / "out", tokenizer=False)
    assert config_of(done)["architectures"] == ["DistilBertForSequenceClassification"]
    assert config_of(done)["seq_classif_dropout"] == 0.2
    written = load_file(done.destination / "model.safetensors")
    assert [name for name in written if "classifier" in name] == [
        f"{layer}.{leaf}" for layer in ("classifier", "pre_classifier") for leaf in ("bias", "weight")
    ]


def changed_classifier(modules, tmp_path, change):
    """The folder of the classifier, whose graph has been changed."""
    folder = Path(shutil.copytree(modules("hf_tf_distilbert_classifier"), tmp_path / "m"))
    edited(folder / "saved_model" / "1", tmp_path / "edited", change)
    shutil.copy(tmp_path / "edited" / "saved_model.pb", folder / "saved_model" / "1")
    return folder


@pytest.mark.parametrize(("found", "instead"), [("Relu", "Sigmoid"), ("Relu", "Tanh"), ("strided_slice", "[:, 1]")])
def test_a_graph_that_computes_something_else_of_the_first_token_is_read_as_that(found, instead, modules, tmp_path):
    def changed(saved):
        nodes = [node for node in node_defs(saved, f".*{found}") if _acts_for_the_head(node)]
        assert nodes
        for node in nodes:
            if found == "Relu":
                node.op = instead
            else:
                node.input[1] = node.input[2]  # it begins where it ended

    folder = changed_classifier(modules, tmp_path, changed)
    head = surgery.plan(folder).head
    if instead == "Tanh":
        assert head.hidden.activation == "tanh"
        with pytest.raises(
            UsageError, match=r"(?s)DistilBertForSequenceClassification has a layer with relu.*drop_head"
        ):
            surgery.checkpoint(folder, tmp_path / "out", tokenizer=False)
    else:
        assert isinstance(head, OtherHead)
        assert "logits comes from a product of" in head.because


def test_a_hidden_layer_whose_bias_is_one_number_cannot_be_kept(modules, tmp_path):
    def one_number(saved):
        for node in objects(saved).nodes:
            if node.variable.name.endswith("pre_classifier/bias"):
                node.variable.shape.dim[0].size = 1

    head = surgery.plan(changed_classifier(modules, tmp_path, one_number)).head
    assert isinstance(head, OtherHead)
    assert "its bias has the shape [1], expected [24]" in head.because


def _acts_for_the_head(node):
    return node.op == "Relu" or (node.op == "StridedSlice" and node.attr["shrink_axis_mask"].i == 2)


@pytest.mark.parametrize(("stated", "name"), [("xlm-roberta", "XLMRobertaModel"), (7, "RobertaModel")])
def test_an_export_goes_home_as_the_model_that_its_manifest_names(stated, name, modules, tmp_path):
    """RoBERTa, XLM-R and CamemBERT are one function. The sample without its config stands in for an export."""
    plan = surgery.plan(modules("hf_roberta"))
    (tmp_path / MANIFEST).parent.mkdir()
    (tmp_path / MANIFEST).write_text(json.dumps({"source": {"model_type": stated}}))
    module = replace(plan.module, config=None, folder=str(tmp_path))
    assert naming.choose_form(module, plan.inference, Kept(assignments=plan.weights.assignments)).class_name == name
