"""Taps in the original graph of any SavedModel: what the new outputs are, and that nothing else has changed."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.compat.proto import variable_pb2

import surgery
from scripts.tools.runtimes.c_client import run_client
from surgery.errors import UsageError
from surgery.formats import saved_model as saved_model_pb
from surgery.jobs.tap import Tapping
from tests.support.builders.plain_models import LSTM_WORDS
from tests.support.editing import edited
from tests.support.graph_taps import MODELS, fetched, fetched_tf1, served, stored


class Made(NamedTuple):
    """A module's folder, the SavedModel that was tapped from it, its loaded signature, and what tap returned."""

    source: Path
    export: Path
    loaded: Any
    run: Any
    tapping: Tapping


@pytest.fixture(scope="module")
def model(modules, tmp_path_factory):
    """`model("keras3_cnn")` is the folder of a built model, or of a packed sample."""

    @cache
    def make(name: str) -> Path:
        return MODELS[name](tmp_path_factory.mktemp(name) / name) if name in MODELS else modules(name)

    return make


@pytest.fixture(scope="module")
def make(model, tmp_path_factory):
    """`make("half", "mul=product", signature="default")`: a model with tensors as outputs, loaded again."""

    @cache
    def tap(name: str, *tensors: str, signature: str | None = None) -> Made:
        export = tmp_path_factory.mktemp("graph_taps") / "1"
        tapping = surgery.tap(model(name), export, tensors, signature=signature)
        loaded = tf.saved_model.load(str(export))
        return Made(model(name), export, loaded, loaded.signatures[tapping.listing.signature.name], tapping)

    return tap


def values(outputs) -> dict[str, np.ndarray]:
    return {key: value.numpy() for key, value in outputs.items()}


def only(module: Path, match: str, signature: str | None = None) -> str:
    """The name of the one tensor that a pattern matches."""
    (tensor,) = surgery.graph(module, match=match, signature=signature).tensors
    return tensor.name


def bit_equal(made: Made) -> bool:
    return all(check.bit_equal for check in made.tapping.checks)


@pytest.mark.parametrize("name", ["keras3_cnn", "tf_keras_cnn"])
def test_a_cnn_returns_what_its_last_layer_takes(name, model, make):
    pool, relu = only(model(name), "*pool*/Mean"), only(model(name), "*conv*/Relu")
    made = make(name, f"{pool}=features", f"{relu}=maps")
    size = 8 if name == "keras3_cnn" else 16
    found = values(made.run(image=tf.random.stateless_normal([3, size, size, 3], [1, 2])))
    assert bit_equal(made)
    assert set(found) == {"features", "maps", "output_0" if name == "keras3_cnn" else "classes"}
    kernel, bias = (next(v for v in made.run.variables if v.name == f"classes/{k}:0") for k in ("kernel", "bias"))
    logits = found["features"] @ kernel.numpy() + bias.numpy()
    expected = logits if name == "keras3_cnn" else tf.nn.softmax(logits).numpy()
    np.testing.assert_allclose(found.get("output_0", found.get("classes")), expected, atol=1e-6)
    assert found["maps"].min() == 0 < found["maps"].max()


@pytest.mark.parametrize("name", ["keras3_lstm", "tf_keras_lstm"])
def test_an_lstm_returns_its_sequences_and_final_states(name, model, make):
    (loop,) = surgery.graph(model(name)).enclosed
    named = {meaning: tensor for tensor, meaning in loop.meanings.items() if not meaning.startswith("a counter")}
    h, c = named["h, the LSTM's output of the last step"], named["c, the LSTM's memory of the last step"]
    every = named["h, the LSTM's output of every step"]
    sequences = only(model(name), "*/transpose_1")
    made = make(name, f"{sequences}=s", f"{h}=h", f"{c}=c", f"{every}=every")
    kept = np.load(model(name).with_suffix(".npz"))
    found = values(made.run(words=tf.constant(LSTM_WORDS)))
    assert bit_equal(made)
    for key in "shc":
        np.testing.assert_allclose(found[key], kept[key], atol=1e-6)
    np.testing.assert_allclose(found["every"].transpose(1, 0, 2), kept["s"], atol=1e-6)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(made.run(words=tf.constant(LSTM_WORDS))["c"] ** 2)
    kernel = next(v for v in made.run.variables if "recurrent_kernel" in v.name)
    assert np.abs(tape.gradient(loss, kernel)).max() > 0


@pytest.mark.parametrize("name", ["keras3_lstm", "tf_keras_lstm"])
def test_a_tensor_in_a_loop_s_body_is_refused_by_name_with_what_is_reachable(name, model, tmp_path):
    loop = only(model(name), "*/while")
    (region,) = surgery.graph(model(name)).enclosed
    inside = next(tensor for tensor in sorted(region.inside) if tensor.endswith("MatMul"))
    assert inside.startswith(f"{loop}/")
    with pytest.raises(UsageError) as caught:
        surgery.tap(model(name), tmp_path / "1", [inside])
    assert f"inside the loop {loop} (" in caught.value.message
    assert f"{loop}:4" in caught.value.message
    assert "TensorListStack" in caught.value.message


def test_a_preprocessor_s_table_is_alive_without_the_source(model, make, tmp_path):
    lookup = only(model("preprocessor"), "*LookupTableFindV2")
    made = make("preprocessor", f"{lookup}=ids")
    moved = shutil.move(shutil.copytree(made.export, tmp_path / "copy"), tmp_path / "moved")
    found = served(Path(moved), "serving_default", {"sentences": np.array([b"a b nonsense", b"c"], object)})
    vocabulary = (made.source / "assets" / "vocab.txt").read_text().split()
    assert found["ids"].tolist() == [vocabulary.index("a"), vocabulary.index("b"), 1, vocabulary.index("c")]
    assert found["input_word_ids"].tolist()[1] == [vocabulary.index("c"), 0, 0]
    assert bit_equal(made)


@pytest.fixture(scope="module")
def plain(make):
    return make("plain", "product", "unused=unreturned", "halves:1=second")


X = np.array([[1, 2, 3, 4], [-1, 0.5, 0, 2]], np.float32)


def test_a_plain_object_s_inner_tensors_come_out_also_those_that_lead_nowhere(plain):
    loaded = tf.saved_model.load(str(plain.export))
    found = values(loaded.signatures["serving_default"](tf.constant(X)))
    product = X @ loaded.kernel.numpy()
    np.testing.assert_allclose(found["product"], product, atol=1e-6)
    np.testing.assert_allclose(found["unreturned"], np.maximum(product, 0), atol=1e-6)
    np.testing.assert_allclose(found["second"], ((product + np.arange(6) / 10) * 0.5)[:, 3:], atol=1e-6)
    assert bit_equal(plain)
    assert plain.tapping.taps[2].tensor.name == "halves:1"


def test_what_happens_beside_the_outputs_still_happens_once_and_in_order(plain):
    loaded = tf.saved_model.load(str(plain.export))
    run = loaded.signatures["serving_default"]
    assert [float(run(tf.constant(X))["calls"]) for _ in range(3)] == [1, 2, 3]
    assert float(loaded.calls) == 3
    with pytest.raises(tf.errors.InvalidArgumentError, match="too large"):
        run(tf.constant(X * 1e7))


def test_a_gradient_of_the_model_s_own_and_a_frozen_variable_are_kept(plain):
    loaded = tf.saved_model.load(str(plain.export))
    assert [v.trainable for v in (loaded.kernel, loaded.frozen, loaded.calls)] == [True, False, False]
    with tf.GradientTape() as tape:
        tape.watch(loaded.frozen)
        loss = tf.reduce_sum(loaded.signatures["serving_default"](tf.constant(X))["second"])
    assert {variable.name for variable in tape.watched_variables()} == {"kernel:0", "frozen:0"}
    doubled = 2 * 0.5 * np.concatenate([np.zeros((4, 3)), np.repeat(X.sum(0)[:, None], 3, axis=1)], axis=1)
    np.testing.assert_allclose(tape.gradient(loss, loaded.kernel), doubled, atol=1e-5)


def test_the_other_signatures_and_calls_stay_as_they_were(plain):
    loaded = tf.saved_model.load(str(plain.export))
    assert values(loaded.signatures["ones"]())["one"].tolist() == [0.5, 0.5]
    np.testing.assert_allclose(
        loaded.project(tf.constant(X)), (X @ loaded.kernel.numpy() + np.arange(6) / 10) * 0.5, atol=1e-5
    )


def softmaxes(module: Path, signature: str | None = None) -> tuple[str, ...]:
    """Every attention softmax of an encoder, as `NAME=attention_0` and so on."""
    found = [tensor.name for tensor in surgery.graph(module, signature=signature).tensors if tensor.op == "Softmax"]
    return tuple(f"{name}=attention_{number}" for number, name in enumerate(found))


@pytest.mark.parametrize("name", ["g1_built", "g2_small", "g3_small", "g4_bert_mlm"])
def test_attention_of_every_generation_of_bert_is_what_a_session_reads_from_the_source(name, make, model, tokens):
    taps = softmaxes(model(name))
    made = make(name, *taps)
    assert bit_equal(made)
    inputs = tokens(vocab=100)
    found = values(made.run(**{key: tf.constant(value) for key, value in inputs.items()}))
    expected = fetched(model(name), "serving_default", [tap.partition("=")[0] for tap in taps], inputs)
    assert len(expected) > 2
    for number, value in enumerate(expected):
        assert found[f"attention_{number}"].shape == value.shape
        np.testing.assert_allclose(found[f"attention_{number}"], value, atol=1e-6)


def test_the_listing_says_of_every_tensor_what_tensorflow_says(model):
    from surgery.tf.tapped_signature import written_out

    for name in ("g4_bert_mlm", "tf_keras_lstm"):
        listing = surgery.graph(model(name))
        function = tf.saved_model.load(str(model(name))).signatures["serving_default"]
        body = written_out(function, [tensor.spot for tensor in listing.tensors])
        own = function.inputs[: -len(function.captured_inputs)]
        traced = tf.function(lambda *given: body(*given)[1]).get_concrete_function(  # noqa: B023
            *(tf.TensorSpec.from_tensor(tensor) for tensor in own)
        )
        assert [tensor.dtype for tensor in listing.tensors] == [output.dtype.name for output in traced.outputs]
        for tensor, output in zip(listing.tensors, traced.outputs, strict=True):
            assert output.shape.is_compatible_with(tensor.shape), tensor.name


def test_attention_of_a_tf1_module_is_what_a_session_reads_from_the_source(make, model, tokens):
    taps = softmaxes(model("tf1_bert_small"), "tokens")
    made = make("tf1_bert_small", *taps, signature="tokens")
    names = dict(zip(("input_ids", "input_mask", "segment_ids"), tokens().values(), strict=True))
    found = values(made.run(**{key: tf.constant(value) for key, value in names.items()}))
    fetches = {f"attention_{number}": f"{tap.partition('=')[0]}:0" for number, tap in enumerate(taps)}
    expected = fetched_tf1(made.source, [], fetches, names)
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, atol=1e-6)
    assert bit_equal(made)
    assert {check.output for check in made.tapping.checks} == {*expected, "sequence_output", "pooled_output"}
    loaded = tf.saved_model.load(str(made.export))
    assert set(loaded.signatures) == {"tokens", "mlm", "tokenization_info"}
    assert len(loaded.variables) == 60
    assert all(variable.trainable for variable in loaded.variables)


def test_a_tf1_hub_module_and_a_published_one_are_tapped(make, shared, tmp_path):
    half = make("half", "mul=product", signature="default")
    assert values(half.run(tf.constant([2.0, 5.0]))) == {
        "default": pytest.approx([1, 2.5]),
        "product": pytest.approx([1, 2.5]),
    }
    surgery.tap(shared("real/half_plus_two_v1.tar.gz"), tmp_path / "1", ["mul=half"])
    loaded = tf.saved_model.load(str(tmp_path / "1"))
    found = values(loaded.signatures["default"](tf.constant([4.0])))
    assert (found["half"], found["default"]) == (2, 4)
    assert [variable.trainable for variable in loaded.variables] == [True, True]


def test_a_published_tf1_module_with_tables_and_operations_of_tensorflow_text_is_tapped(shared, tmp_path):
    (relu,) = surgery.graph(shared("real/text_segmenter_tf1.tar.gz"), match="*Relu").tensors
    done = surgery.tap(shared("real/text_segmenter_tf1.tar.gz"), tmp_path / "1", [f"{relu.name}=hidden"])
    assert {check.output for check in done.checks if check.bit_equal} >= {"tokens", "logits", "hidden"}
    run = tf.saved_model.load(str(tmp_path / "1")).signatures["default"]
    found = values(run(text=tf.constant(["新华社北京"])))
    assert found["hidden"].shape == (*found["logits"].shape[:2], 32)


def test_variables_of_an_old_module_are_trainable_as_its_list_of_them_says(model, tmp_path):
    def forget(saved_model) -> None:
        for meta_graph in saved_model.meta_graphs:
            for key in ("variables", "trainable_variables"):
                listed = meta_graph.collection_def[key].bytes_list
                variables = [variable_pb2.VariableDef.FromString(data) for data in listed.value]
                for variable in variables:
                    variable.trainable = False
                kept = variables if key == "variables" else variables[:1]
                listed.value[:] = [variable.SerializeToString() for variable in kept]

    source = edited(model("half"), tmp_path / "half", forget)
    surgery.tap(source, tmp_path / "1", ["mul=product"])
    variables = tf.saved_model.load(str(tmp_path / "1")).variables
    assert {variable.name: variable.trainable for variable in variables} == {"a:0": True, "b:0": False}


@pytest.mark.parametrize("name", ["reference_variables", "reference_variables_hub"])
def test_reference_variables_of_tf1_become_variables_that_can_be_trained(name, make):
    made = make(name, "hidden", "unreturned")
    tags, x = (["serve"], "x") if name == "reference_variables" else ([], "x")
    fetches = {"y": "y:0", "hidden": "hidden:0", "unreturned": "unreturned:0"}
    expected = fetched_tf1(made.source, tags, fetches, {x: X})
    with tf.GradientTape() as tape:
        found = made.run(x=tf.constant(X))
        loss = tf.reduce_sum(found["hidden"])
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value, atol=1e-6)
    by_name = {variable.name: variable for variable in made.run.variables}
    trainable = {key for key, variable in by_name.items() if variable.trainable}
    assert trainable == {"kernel:0", "parts/part_0:0", "parts/part_1:0"}
    np.testing.assert_allclose(tape.gradient(loss, by_name["kernel:0"]), X.T @ (expected["hidden"] > 0), atol=1e-5)


def test_a_tf1_loop_s_result_a_branch_s_and_a_tensor_in_a_called_function_are_reached(make, model, tmp_path):
    made = make("tf1_control_flow", "loop/Exit_1=looped", "cond/Merge=branch", "half", "ids")
    found = values(made.run(tf.constant([b"blue", b"green", b"nothing"])))
    ids = np.array([2.0, 1.0, -1.0])
    np.testing.assert_allclose(found["looped"], ids * 4.5)
    np.testing.assert_allclose(found["branch"], ids * 4.5)
    np.testing.assert_allclose(found["half"], found["total"])
    assert found["ids"].tolist() == ids.tolist()
    with pytest.raises(UsageError, match=r"inside the loop loop/while_context .* reachable are loop/Exit_1"):
        surgery.tap(model("tf1_control_flow"), tmp_path / "1", ["loop/step"])
    with pytest.raises(UsageError, match=r"inside the branch Greater .* reachable are cond/Merge"):
        surgery.tap(model("tf1_control_flow"), tmp_path / "1", ["cond/minus"])
    surgery.tap(made.export, tmp_path / "again", ["cond/Merge=once_more"])
    again = tf.saved_model.load(str(tmp_path / "again")).signatures["serving_default"]
    assert values(again(tf.constant([b"blue", b"blue"])))["once_more"].tolist() == [-9, -9]


@pytest.mark.parametrize("name", ["keras3_lstm", "plain", "reference_variables", "g3_small"])
def test_every_variable_is_stored_once(name, make, model):
    taps = {"g3_small": softmaxes(model("g3_small")), "plain": ("product", "unused=unreturned", "halves:1=second")}
    tensor = surgery.graph(model(name)).tensors[-1].name
    made = make(name, *taps.get(name, (f"{tensor}=more",)))
    before, after = stored(made.source), stored(made.export)
    assert len(after) == made.tapping.variables == (4 if name == "reference_variables" else len(before))
    assert sum(map(np.prod, after.values())) == sum(map(np.prod, before.values()))


def test_a_c_program_and_a_session_run_the_tapped_signature(make, model, tokens, client):
    made = make("g3_small", *softmaxes(model("g3_small")))
    (meta_graph,) = saved_model_pb.read(made.export / "saved_model.pb").meta_graphs
    signature = meta_graph.signature_def["serving_default"]
    inputs = tokens(shape=(2, 5))
    fetches = {key: info.name for key, info in signature.outputs.items()}
    found = run_client(client, made.export, {signature.inputs[k].name: v for k, v in inputs.items()}, fetches)
    assert set(found) == {"bert_encoder_1", "bert_encoder_1_1", *(f"attention_{layer}" for layer in range(4))}
    for key, value in served(made.export, "serving_default", inputs).items():
        np.testing.assert_allclose(found[key], value, atol=1e-5)


def test_a_module_that_was_tapped_can_be_tapped_again(make, model, tmp_path):
    made = make("g3_small", *softmaxes(model("g3_small")))
    first = softmaxes(made.export)[0].partition("=")[0]
    assert first == softmaxes(made.source)[0].partition("=")[0]
    with pytest.raises(UsageError, match="the signature has an output of that name, attention_0"):
        surgery.tap(made.export, tmp_path / "1", [f"{first}=attention_0"])
