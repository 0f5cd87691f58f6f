"""SavedModelHandler in Beam's RunInference: by name, for strings and arrays, pickled, batched, metered."""

import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.ml.inference import base
from apache_beam.ml.inference.base import KeyedModelHandler, RunInference
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that

import surgery
from surgery.beam import SavedModelHandler

NAME = "unusual_sizes"


def tokens(lengths, vocab=100, seed=4):
    """Examples of different lengths, as int arrays without batch axis."""
    random = np.random.default_rng(seed)
    return [
        {
            "input_word_ids": random.integers(0, vocab, length),
            "input_mask": np.ones(length, np.int64),
            "input_type_ids": random.integers(0, 2, length),
        }
        for length in lengths
    ]


def alone(model, example):
    """What the loaded export returns for one example in a batch of its own."""
    feeds = {name: tf.constant(value[None], tf.int32) for name, value in example.items()}
    return {name: value.numpy()[0] for name, value in model.signatures["serving_default"](**feeds).items()}


def run(elements, handler):
    """The predictions of a pipeline on the local runner, in any order, and its metrics."""
    with tempfile.TemporaryDirectory() as folder:

        def keep(results):  # it is pickled on its way, and so is what it closes over
            Path(folder, "found").write_bytes(pickle.dumps(results))

        pipeline = beam.Pipeline(FnApiRunner())
        assert_that(pipeline | beam.Create(elements) | RunInference(handler), keep)
        result = pipeline.run()
        result.wait_until_finish()
        return pickle.loads(Path(folder, "found").read_bytes()), result.metrics()


@pytest.fixture(scope="module")
def everything(converted):
    """The sample with all its outputs, loaded."""
    return SavedModelHandler(converted(NAME).export).load_model()


@pytest.fixture(scope="module")
def pooled(converted):
    """The sample with one of its outputs, loaded."""
    return SavedModelHandler(converted(NAME).export, outputs=["pooled_output"]).load_model()


def test_arrays_of_different_lengths_are_run_together_and_come_back_without_padding(everything, load):
    examples = tokens((3, 9, 1, 11))
    for example, row in zip(examples, everything.run(examples), strict=True):
        expected = alone(load(NAME), example)
        assert set(row) == set(expected)
        for name, value in expected.items():
            assert row[name].shape == value.shape
            np.testing.assert_allclose(row[name], value, atol=2e-6, err_msg=name)


def test_a_row_that_masks_everything_is_not_padded(pooled, load):
    examples = tokens((4, 10))
    examples[0]["input_mask"][:] = 0
    for example, row in zip(examples, pooled.run(examples), strict=True):
        np.testing.assert_allclose(row["pooled_output"], alone(load(NAME), example)["pooled_output"], atol=2e-6)


def test_only_the_outputs_named_are_returned_and_unknown_names_say_which_there_are(converted):
    export = converted(NAME).export
    model = SavedModelHandler(export, outputs=["encoder_outputs_1"]).load_model()
    assert set(model.run(tokens((3,)))[0]) == {"encoder_outputs_1"}
    with pytest.raises(surgery.UsageError, match="no output nope") as caught:
        SavedModelHandler(export, outputs=["nope"]).load_model()
    assert "encoder_outputs_1" in str(caught.value)
    with pytest.raises(surgery.UsageError, match="no signature nope"):
        SavedModelHandler(export, "nope").load_model()
    with pytest.raises(surgery.ModuleError):
        SavedModelHandler(export.parent / "nowhere").load_model()


def test_examples_that_do_not_fit_the_signature_are_refused(everything):
    (example,) = tokens((3,))
    del example["input_mask"]
    with pytest.raises(surgery.UsageError, match="expected input_mask, input_type_ids, input_word_ids"):
        everything.run([example])
    assert everything.run([]) == []


@pytest.mark.parametrize("value", [7.9, 2**32 + 7, np.nan])
def test_a_number_that_is_no_id_does_not_become_one(value, pooled):
    (example,) = tokens((3,))
    example["input_word_ids"] = np.array([1, value, 2])
    with pytest.raises(surgery.UsageError, match=f"the inputs have {value}, which is no int32"):
        pooled.run([example])


@pytest.mark.parametrize(("key", "value"), [("input_mask", 2), ("input_mask", -1), ("input_type_ids", 99)])
def test_values_that_mean_nothing_are_refused_by_example_and_value(key, value, pooled):
    examples = tokens((3, 5))
    examples[1][key][4] = value
    with pytest.raises(surgery.UsageError, match=f"input {key}, row 1, position 4: expected .*, found {value}"):
        pooled.run(examples)


def test_a_model_that_sees_padding_is_not_padded(converted, load):
    """MobileBERT's embedding joins each token with the next: beside a longer row it would return something else."""
    model = SavedModelHandler(converted("g4_mobilebert").export).load_model()
    examples = tokens((3, 9, 3))
    for example, row in zip(examples, model.run(examples), strict=True):
        expected = alone(load("g4_mobilebert"), example)
        for name, value in expected.items():
            np.testing.assert_allclose(row[name], value, atol=2e-6, err_msg=name)


class Lengths(tf.Module):
    """Two outputs, of which one fails for what is no number."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="x")])
    def serve(self, x):
        return {"length": tf.strings.length(x), "number": tf.strings.to_number(x)}


def test_what_is_not_asked_for_is_not_computed(tmp_path):
    module = Lengths()
    tf.saved_model.save(module, str(tmp_path / "lengths"), signatures=module.serve)
    assert SavedModelHandler(tmp_path / "lengths", outputs=["length"]).load_model().run(["abc"]) == [{"length": 3}]
    with pytest.raises(surgery.ModuleError, match="abc"):
        SavedModelHandler(tmp_path / "lengths").load_model().run(["abc"])


class Labels(tf.Module):
    """Outputs with and without a row for each example."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, name="x")])
    def serve(self, x):
        return {"twice": 2 * x, "names": tf.constant(["cat", "dog", "cow"]), "positive": tf.boolean_mask(x, x > 0)}


def test_an_output_without_a_row_for_each_example_is_refused(tmp_path):
    """Each of three examples would get the name of its own number."""
    module = Labels()
    tf.saved_model.save(module, str(tmp_path / "labels"), signatures=module.serve)
    with pytest.raises(surgery.UsageError, match=r"no row for each example: names \[3\]") as caught:
        SavedModelHandler(tmp_path / "labels").load_model()
    assert "it has positive, twice" in str(caught.value)
    model = SavedModelHandler(tmp_path / "labels", outputs=["twice", "positive"]).load_model()
    assert [row["twice"] for row in model.run([1, 2])] == [2, 4]
    with pytest.raises(surgery.UsageError, match=r"output positive has the shape \[1\] for a batch of 2"):
        model.run([1, -1])
    with pytest.raises(surgery.UsageError, match=r"2\.5, which is no int32"):
        model.run([1, 2.5])


class Adder(tf.Module):
    """A SavedModel that Keras did not write, without a mask."""

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, name="x")])
    def serve(self, x):
        return {"sum": tf.reduce_sum(x, axis=1)}


def test_without_a_mask_nothing_is_padded(tmp_path):
    module = Adder()
    tf.saved_model.save(module, str(tmp_path / "adder"), signatures=module.serve)
    model = SavedModelHandler(tmp_path / "adder").load_model()
    assert [row["sum"] for row in model.run([np.array([1.0, 2.0]), np.array([3.0, 4.0])])] == [3.0, 7.0]
    with pytest.raises(surgery.UsageError, match="no input_mask by which padding is safe"):
        model.run([np.array([1.0]), np.array([3.0, 4.0])])


def test_it_pickles_before_and_after_it_has_loaded(converted):
    handler = SavedModelHandler(converted(NAME).export, outputs=["pooled_output"], threads=1, max_batch_size=3)
    expected = handler.load_model().run(tokens((5,)))[0]["pooled_output"]
    copy = pickle.loads(pickle.dumps(handler))
    np.testing.assert_array_equal(copy.load_model().run(tokens((5,)))[0]["pooled_output"], expected)
    assert copy.batch_elements_kwargs() == {"max_batch_size": 3}


def test_run_inference_batches_as_told_and_measures(converted, load):
    examples = tokens([4] * 17)
    handler = SavedModelHandler(
        converted(NAME).export, outputs=["pooled_output"], threads=1, min_batch_size=5, max_batch_size=5
    )
    found, metrics = run(list(enumerate(examples)), KeyedModelHandler(handler))
    assert sorted(key for key, _ in found) == list(range(17))
    for key, prediction in found:
        expected = alone(load(NAME), examples[key])["pooled_output"]
        np.testing.assert_allclose(prediction.inference["pooled_output"], expected, atol=2e-6)
        assert prediction.model_id == str(converted(NAME).export)
    named = metrics.query(MetricsFilter().with_namespace(handler.get_metrics_namespace()))
    counters = {counter.key.metric.name: counter.committed for counter in named["counters"]}
    assert counters["num_inferences"] == 17
    distributions = {each.key.metric.name: each.committed for each in named["distributions"]}
    assert distributions["inference_request_batch_size"].max == 5
    assert distributions["inference_request_batch_size"].count == 4
    # 17 examples of 3 inputs of 4 int64; the keyed handler counts its pickled keys as well.
    assert distributions["inference_request_batch_byte_size"].sum >= 17 * 3 * 4 * 8
    # How far the process's peak has grown, which for a small model in a process that has had larger ones is nothing.
    assert distributions["model_byte_size"].count == 1
    assert base._get_current_process_memory_in_bytes() > 10**8


def test_bytes_are_those_of_the_values():
    handler = SavedModelHandler("anywhere")
    assert handler.get_num_bytes(["abc", b"de", "ü"]) == 7
    assert handler.get_num_bytes(tokens((3, 5))) == 8 * 3 * 8


def test_texts_are_bucketed_by_beam_itself_when_asked(text_exports):
    handler = SavedModelHandler(
        text_exports("g3_small")[1], "text", ["sequence_output"], batch_length_fn=len, batch_bucket_boundaries=[8, 16]
    )
    found, _ = run(["a", "a b c a b c a b", ""], handler)
    assert {each.example: each.inference["sequence_output"].shape for each in found} == {
        "a": (3, 48),
        "": (2, 48),
        "a b c a b c a b": (10, 48),
    }


def test_a_model_may_be_shared_by_processes(converted):
    examples = tokens((5, 5))
    shared = SavedModelHandler(converted(NAME).export, outputs=["pooled_output"], large_model=True)
    own = SavedModelHandler(converted(NAME).export, outputs=["pooled_output"])
    found, _ = run(examples, shared)
    expected, _ = run(examples, own)
    by_ids = {tuple(each.example["input_word_ids"]): each.inference["pooled_output"] for each in expected}
    assert len(found) == 2
    for each in found:
        np.testing.assert_allclose(
            each.inference["pooled_output"], by_ids[tuple(each.example["input_word_ids"])], atol=1e-6
        )


def test_arguments_beside_the_inputs_are_refused(converted):
    with pytest.raises(ValueError, match="training"):
        (
            beam.Pipeline()
            | beam.Create([1])
            | RunInference(SavedModelHandler(converted(NAME).export), inference_args={"training": False})
        )


def test_beams_own_handler_does_not_take_an_export(converted):
    """The reason why this one exists; should it ever take one, the docstring is to be changed."""
    code = (
        "from apache_beam.ml.inference.tensorflow_inference import TFModelHandlerNumpy as Handler\n"
        f"Handler({str(converted(NAME).export)!r}).load_model()"
    )
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Unable to load the TensorFlow model" in done.stderr
