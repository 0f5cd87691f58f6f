"""What is read of the SavedModels of transformers' TensorFlow classes, and where they lie."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

import surgery
from surgery.errors import ModuleError, SurgeryError, UnexplainedError, UsageError
from surgery.explanation.tokenization import find_tokenization, read_constants
from surgery.formats.keras_metadata import KERAS_METADATA
from tests.support.editing import inspected
from tests.support.sample_names import TRANSFORMERS_SAMPLES

CLASSIFIER = "hf_tf_bert_classifier"
"""A folder as transformers writes it: config and vocabulary, and a classifier's SavedModel in saved_model/1."""
CLASSES = dict(
    zip(
        TRANSFORMERS_SAMPLES,
        ("TFBertModel", "TFElectraModel", "TFAlbertModel", "TFDistilBertModel", "TFRobertaModel"),
        strict=True,
    )
)


@pytest.fixture
def copied(modules, tmp_path) -> Callable[[str], Path]:
    """A copy of a sample, to be changed."""
    return lambda name: Path(shutil.copytree(modules(name), tmp_path / name))


def with_config(folder: Path, old: str, new: str) -> Path:
    """Changes a text in what Keras saved to one of the same length."""
    path = folder / KERAS_METADATA
    before = path.read_bytes()
    assert len(new) == len(old), "protobuf counts the bytes"
    assert old.encode() in before
    path.write_bytes(before.replace(old.encode(), new.encode()))
    return folder


@pytest.mark.parametrize("name", TRANSFORMERS_SAMPLES)
def test_the_encoder_is_found_in_its_layer_with_its_config(name, modules):
    module = inspected(modules(name))
    assert module.format == f"TF2 SavedModel of transformers ({CLASSES[name]})"
    assert module.callables == ("__call__",)
    assert {trace.training for trace in module.traces} == {True, False}
    assert module.training_config.values["transformers_version"] == "4.57.1"
    assert {v.outside for v in module.variables} == {None}
    assert all(v.name.startswith(module.scope) for v in module.variables)
    assert module.scope.startswith("tf_")


def test_its_call_has_the_names_and_the_order_of_its_arguments(modules):
    module = inspected(modules("hf_tf_bert"))
    trace = module.trace("__call__", training=False)
    assert [path for path, _ in trace.flat_inputs] == ["input_ids", "attention_mask", "token_type_ids"]
    placeholders = [node.path for node in trace.open_graph().inputs]
    assert placeholders == ["input_ids", "attention_mask", "token_type_ids"]


def test_a_signature_means_what_the_call_returns(modules):
    module = surgery.inspect(modules("hf_tf_bert")).module
    meanings = {(row.key, row.paths) for row in module.output_names if row.signature == "serving_default"}
    assert meanings == {("last_hidden_state", ("last_hidden_state",)), ("pooler_output", ("pooler_output",))}


def test_every_hyperparameter_of_the_config_is_confirmed_by_the_graph_or_by_shapes(modules):
    inference = surgery.inspect(modules("hf_tf_distilbert")).inference
    kinds: dict[str, set[str]] = {}
    for row in inference.evidence:
        kinds.setdefault(row.field, set()).add(row.kind)
    for field in ("hidden_act", "embedding_dropout", "attention_probs_dropout", "output_dropout"):
        assert kinds[field] == {"config", "graph"}
    # The config of a DistilBERT has no epsilon.
    assert kinds["layer_norm_eps"] == kinds["attention_head_size"] == {"graph"}
    assert inference.architecture["attention_mask_adder"] == pytest.approx(-1e30)


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("hf_tf_bert", '"is_decoder": false', '"is_decoder": true ', "is_decoder is True, expected False"),
        ("hf_tf_bert", '"model_type": "bert"', '"model_type": "bort"', "model_type is 'bort', expected 'bert'"),
        ("hf_tf_bert", '"layer_norm_eps": 1e-12', '"layer_norm_eps": 1e-11', "layer_norm_eps is 1e-11"),
        ("hf_tf_roberta", '"pad_token_id": 1', '"pad_token_id": 0', "pad_token_id is 0"),
        ("hf_tf_electra", '"hidden_act": "gelu"', '"hidden_act": "relu"', "hidden_act is relu"),
    ],
)
def test_a_config_that_says_something_else_than_the_graph_is_refused(name, old, new, words, copied):
    folder = with_config(copied(name), old, new)
    with pytest.raises(SurgeryError) as caught:
        surgery.plan(folder)
    assert words in caught.value.message


def test_damaged_metadata_is_a_damaged_module(copied):
    folder = with_config(copied("hf_tf_albert"), '"is_decoder": false', '"is_decoder": =alse')
    with pytest.raises(ModuleError, match="its parts do not fit together"):
        surgery.inspect(folder)


def test_without_what_keras_saved_it_is_a_saved_model_that_no_table_explains(copied):
    folder = copied("hf_tf_bert")
    (folder / KERAS_METADATA).unlink()
    inspection = surgery.inspect(folder)
    assert inspection.module.format == "TF2 SavedModel"
    assert inspection.inference is None
    with pytest.raises(UnexplainedError):
        surgery.plan(folder)


def test_metadata_that_keras_saved_before_2_5_in_the_object_graph_is_read_there(copied):
    from surgery.formats.keras_metadata import saved_layers
    from surgery.formats.saved_model import read

    folder = copied("hf_tf_bert")
    saved_model = read(folder / "saved_model.pb")
    expected = inspected(folder)
    for layer in saved_layers(folder, saved_model):
        saved_model.meta_graphs[0].object_graph_def.nodes[layer.node].user_object.metadata = layer.metadata
    (folder / KERAS_METADATA).unlink()
    (folder / "saved_model.pb").write_bytes(saved_model.SerializeToString())
    found = inspected(folder)
    assert (found.format, found.scope) == (expected.format, expected.scope)
    assert found.training_config.values == expected.training_config.values


def test_a_classifier_has_its_head_around_the_encoder(modules):
    inspection = surgery.inspect(modules(CLASSIFIER))
    outside = {v.name for v in inspection.module.variables if v.outside is not None}
    scope = "tf_bert_for_sequence_classification/"
    assert outside == {f"{scope}classifier/kernel", f"{scope}classifier/bias"}
    assert (inspection.head.labels, inspection.head.outputs) == (3, {"logits": "linear"})
    convention = inspection.inference.convention
    assert convention.outputs["embedding_output"] == "hidden_states[0]"
    assert convention.outputs["encoder_outputs_2"] == "hidden_states[3]"
    assert not any("attention" in output for output in convention.outputs), "taps are made anew, if asked for"


def test_what_the_config_says_of_the_labels_goes_with_the_head(modules, copied, tmp_path):
    assert surgery.inspect(modules(CLASSIFIER)).head.labelling.names is None, "LABEL_0 is no name"
    inner = copied(CLASSIFIER) / "saved_model" / "1"
    names = ("badness", "neither", "quality")  # as long as LABEL_0
    for number, name in enumerate(names):
        with_config(inner, f'"{number}": "LABEL_{number}"', f'"{number}": "{name}"')
    assert surgery.inspect(inner).head.labelling.names == names
    done = surgery.checkpoint(inner, tmp_path / "hf", tokenizer=False)
    config = json.loads((done.destination / "config.json").read_text())
    assert config["architectures"] == ["BertForSequenceClassification"]
    assert config["id2label"] == {str(number): name for number, name in enumerate(names)}


def test_the_outer_folder_the_inner_one_and_the_archive_are_one_module(modules, tmp_path):
    outer = modules(CLASSIFIER)
    archive = tmp_path / "classifier.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(outer, "anything")
    inner, *others = surgery.plan(outer / "saved_model" / "1"), surgery.plan(outer), surgery.plan(archive)
    assert inner.module.assets == {}
    for plan in others:
        assert plan.module.fingerprint == inner.module.fingerprint
        assert plan.module.assets == {"vocab_file": "../../vocab.txt"}
        assert bool(plan.module.constants["do_lower_case"]) is False
    assert others[0].module.name == outer.name


def test_nothing_says_the_casing_of_a_sentencepiece_model_but_its_own_config(modules, tmp_path):
    """Model Garden's exporter lower-cases for every such model. transformers did not write its modules."""
    shutil.copytree(modules("hf_tf_albert"), tmp_path / "albert" / "saved_model" / "1")
    (tmp_path / "albert" / "spiece.model").write_bytes(b"pieces")
    with pytest.raises(UsageError, match="nothing says whether its texts are lower-cased"):
        surgery.checkpoint(tmp_path / "albert", tmp_path / "refused")
    (tmp_path / "albert" / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    module = surgery.inspect(tmp_path / "albert").module
    found = find_tokenization(module, read_constants(module))
    assert (found.file.resolve(), found.lower_case) == (tmp_path / "albert" / "spiece.model", False)


def test_a_folder_with_keras_s_weights_alone_says_what_to_write(copied):
    outer = copied(CLASSIFIER)
    shutil.rmtree(outer / "saved_model")
    (outer / "tf_model.h5").write_bytes(b"\x89HDF")
    with pytest.raises(ModuleError, match=r"found tf_model\.h5") as caught:
        surgery.plan(outer)
    assert "save_pretrained(folder, saved_model=True)" in caught.value.hint


def test_of_several_versions_the_last_is_meant_and_a_checkpoint_beside_them_wins(modules, copied):
    outer = copied(CLASSIFIER)
    shutil.copytree(modules("hf_tf_bert"), outer / "saved_model" / "10")
    assert surgery.inspect(outer).module.format.endswith("(TFBertModel)")
    shutil.copytree(modules("hf_bert"), outer, dirs_exist_ok=True)
    assert surgery.inspect(outer).module.format == "Hugging Face checkpoint"


def test_a_checkpoint_has_the_tensors_of_the_model_bit_by_bit(modules, tmp_path):
    """By names that transformers' own rule gives, not by the rows of the tables."""
    from safetensors.numpy import load_file

    for name in TRANSFORMERS_SAMPLES:
        done = surgery.checkpoint(modules(name), tmp_path / name, tokenizer=False)
        module = inspected(modules(name))
        tensors, values = load_file(done.destination / "model.safetensors"), module.open_tensors()
        assert len(tensors) == len(module.variables)
        for variable in module.variables:
            path = variable.name.split("/")[2:]
            leaf = {"kernel": "weight", "gamma": "weight", "beta": "bias", "embeddings": "weight"}.get(
                path[-1], path[-1]
            )
            torch_name = re.sub(r"_\._", ".", ".".join([*path[:-1], leaf]))
            value = values.read(variable)
            expected = value.T if path[-1] == "kernel" else value
            assert tensors[torch_name].tobytes() == expected.tobytes(order="C"), (name, torch_name)
        config = json.loads((done.destination / "config.json").read_text())
        assert config["architectures"] == [CLASSES[name].removeprefix("TF")]
        their = module.training_config.values
        same = {key: value for key, value in config.items() if key in their and key != "architectures"}
        assert same == {key: their[key] for key in same}
        assert {"model_type", "vocab_size"} <= same.keys()
