"""The signatures of an export, as a server sees them, and the files beside them."""

from __future__ import annotations

import json
from hashlib import sha256
from importlib.metadata import version

import pytest
import tensorflow as tf

from surgery.export.manifest import MANIFEST, report_data
from surgery.formats import saved_model as saved_model_pb

INT32, FLOAT = 3, 1
INPUTS = {"input_word_ids", "input_mask", "input_type_ids"}


def signatures(export):
    (meta_graph,) = saved_model_pb.read(export / "saved_model.pb").meta_graphs
    assert list(meta_graph.meta_info_def.tags) == ["serve"]
    return {n: s for n, s in meta_graph.signature_def.items() if n != "__saved_model_init_op"}


def facts(tensors):
    return {key: (info.dtype, [axis.size for axis in info.tensor_shape.dim]) for key, info in tensors.items()}


@pytest.mark.parametrize(("name", "hidden", "blocks"), [("g1", 64, 3), ("g3_small", 48, 4), ("g4_bert_mlm", 64, 3)])
def test_the_default_signature_names_every_block_output(name, hidden, blocks, converted):
    signature = signatures(converted(name).export)["serving_default"]
    sequence = (FLOAT, [-1, -1, hidden])
    assert signature.method_name == "tensorflow/serving/predict"
    assert facts(signature.inputs) == {key: (INT32, [-1, -1]) for key in INPUTS}
    assert facts(signature.outputs) == {
        "pooled_output": (FLOAT, [-1, hidden]),
        "sequence_output": sequence,
        "embedding_output": sequence,
        **{f"encoder_outputs_{i}": sequence for i in range(blocks)},
    }


def test_the_input_tensors_carry_the_inputs_names(converted):
    signature = signatures(converted("g1").export)["serving_default"]
    assert {key: info.name for key, info in signature.inputs.items()} == {
        key: f"serving_default_{key}:0" for key in INPUTS
    }


def test_an_mlm_module_has_an_mlm_signature_and_another_module_has_none(converted):
    found = signatures(converted("g4_bert_mlm").export)
    assert set(found) == {"serving_default", "mlm"}
    assert facts(found["mlm"].inputs) == {key: (INT32, [-1, -1]) for key in {*INPUTS, "masked_lm_positions"}}
    outputs = facts(found["mlm"].outputs)
    assert outputs["mlm_logits"] == (FLOAT, [-1, -1, 1200])
    assert set(outputs) == {*facts(found["serving_default"].outputs), "mlm_logits"} - {"embedding_output"}
    assert set(signatures(converted("g3_small").export)) == {"serving_default"}


def test_the_plan_says_beforehand_which_outputs_there_will_be(converted):
    for name in ("g1", "g4_bert_v2"):
        done = converted(name)
        found = {key: set(facts(s.outputs)) for key, s in signatures(done.export).items()}
        assert {key: set(outputs) for key, outputs in done.conversion.plan.signatures.items()} == found


def test_the_manifest_says_where_the_export_came_from(converted):
    done = converted("g4_bert_mlm")
    manifest = json.loads((done.export / MANIFEST).read_text())
    assert manifest == json.loads(json.dumps(done.conversion.manifest))
    assert manifest["source"]["name"] == "g4_bert_mlm"
    assert manifest["source"]["tensorflow_version"] == "2.20.0"
    for file, digest in manifest["source"]["sha256"].items():
        assert sha256((done.source / file).read_bytes()).hexdigest() == digest
    assert manifest["packages"]["tensorflow"] == version("tensorflow")
    assert manifest["packages"]["tf-models-official"] == version("tf-models-official")
    assert str(done.source.parent) not in json.dumps(manifest)


def test_the_manifest_holds_the_architecture_with_its_evidence_and_the_proof(converted):
    done = converted("g4_bert_dropouts")
    manifest = json.loads((done.export / MANIFEST).read_text())
    architecture = manifest["architecture"]
    assert architecture["family"] == "bert"
    assert [architecture[field] for field in ("num_hidden_layers", "hidden_size", "num_attention_heads")] == [3, 48, 4]
    assert (architecture["output_dropout"], architecture["attention_probs_dropout"]) == (0.2, 0.05)
    known = {evidence["field"] for evidence in manifest["evidence"]}
    assert known == architecture.keys() - {"family", "generation"}
    assert all(evidence["place"] for evidence in manifest["evidence"])
    assert all([*evidence] == ["field", "value", "source", "place", "count"] for evidence in manifest["evidence"])
    assert {evidence["source"] for evidence in manifest["evidence"]} == {"graph", "names", "shapes"}
    assert manifest["parity"] == json.loads(json.dumps(report_data(done.conversion.report)))
    assert manifest["parity"]["passed"] is True
    assert manifest["outputs"] == {key: list(names) for key, names in done.conversion.plan.signatures.items()}
    assert manifest["kept"] == ["do_lower_case"]
    assert manifest["dropped"] == []


@pytest.mark.parametrize("name", ["g1", "g4_bert_v2"])
def test_every_hash_in_the_manifest_is_that_of_the_exported_tensor(name, converted, load):
    done = converted(name)
    rows = json.loads((done.export / MANIFEST).read_text())["assignments"]
    loaded = load(name)
    variables = loaded.mlm.variables if hasattr(loaded, "mlm") else loaded.variables
    exported = {v.name.removesuffix(":0"): v for v in variables}
    assert {row["target"] for row in rows} == exported.keys() - {"do_lower_case"}
    for row in rows:
        value = exported[row["target"]].numpy()
        assert sha256(value.tobytes()).hexdigest() == row["sha256"]
        assert list(value.shape) == row["shape"]
    assert {row["variable"] for row in rows} == {a.variable.name for a in done.conversion.plan.weights.assignments}


@pytest.mark.parametrize("name", ["g1", "g4_bert_mlm", "g4_electra"])
def test_each_weight_is_on_disk_once(name, converted):
    done = converted(name)
    tensors = tf.train.list_variables(str(done.export / "variables" / "variables"))
    sizes = sorted(tuple(shape) for key, shape in tensors if key != "_CHECKPOINTABLE_OBJECT_GRAPH")
    assert sizes == sorted([*(a.shape for a in done.conversion.plan.weights.assignments), ()])


def test_the_vocabulary_and_its_case_are_kept(converted, load):
    done = converted("g4_bert_mlm")
    vocab = (done.source / "assets" / "vocab.txt").read_bytes()
    assert (done.export / "assets" / "vocab.txt").read_bytes() == vocab
    loaded = load("g4_bert_mlm")
    assert loaded.vocab_file.asset_path.numpy().decode() == str(done.export / "assets" / "vocab.txt")
    assert bool(loaded.do_lower_case) is True
    assert bool(load("no_encoder_outputs").do_lower_case) is False


def test_a_module_without_a_vocabulary_gets_none(converted, load):
    assert not hasattr(load("no_vocab"), "vocab_file")
    assert not hasattr(load("no_vocab"), "do_lower_case")
    assert not list((converted("no_vocab").export / "assets").glob("*"))


def test_no_keras_object_hangs_on_the_export(converted, load):
    meta_graph = saved_model_pb.read(converted("g4_bert_v2").export / "saved_model.pb").meta_graphs[0]
    identifiers = {node.user_object.identifier for node in meta_graph.object_graph_def.nodes}
    assert not any("keras" in identifier for identifier in identifiers)
    assert not (converted("g4_bert_v2").export / "keras_metadata.pb").exists()
    assert len(load("g4_bert_v2").regularization_losses) == 0


def test_the_encoder_is_traced_once_for_each_training_mode(converted):
    library = saved_model_pb.read(converted("g4_bert_mlm").export / "saved_model.pb").meta_graphs[0].graph_def.library
    attention = [f.signature.name for f in library.function if sum(n.op == "Softmax" for n in f.node_def) >= 3]
    assert len(attention) == 2


def test_mobilebert_keeps_what_its_source_exposes_beyond_the_contract(converted):
    outputs = converted("g4_mobilebert").conversion.plan.signatures["serving_default"]
    for stem, count in (("encoder_outputs", 4), ("attention_scores", 3)):
        assert [name for name in outputs if name.startswith(stem)] == [f"{stem}_{i}" for i in range(count)]
