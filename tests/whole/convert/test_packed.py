"""Exports that leave padding out, against those in Model Garden's form: tokens are equal, rows of padding are zeros."""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np
import pytest
import tensorflow as tf

import surgery
from surgery.explanation.tokenization import Tokenization
from surgery.formats import saved_model
from surgery.graphs.functions import reachable
from surgery.scanning.gate import clear_folder
from surgery.tf.loading import loaded_objects
from surgery.tf.session import SavedModelSession
from surgery.tf.text_export import write_text_model
from tests.support.mutations.mutation import BERT, MOBILEBERT
from tests.support.tapping import run_signatures
from tests.support.writing import write

CLOSE = 1e-5
MASK = np.array(
    [
        [1, 1, 1, 1, 1, 1, 1],
        [1, 1, 1, 0, 0, 0, 0],
        [1, 0, 0, 1, 0, 1, 0],
        [0, 1, 0, 1, 1, 0, 0],
        [1, -1, 0, 1, -3, 0, 0],
        [0, 1, 2, -1, 2, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
    ],
    np.int32,
)
"""Full, ragged, with holes, without position 0, other values than 1, and nothing but padding."""
EMPTY = 6
KEPT = (MASK != 0) | (np.arange(MASK.shape[1]) == 0) | ~np.any(MASK > 0, axis=1, keepdims=True)
INPUTS = {
    "input_word_ids": np.arange(MASK.size, dtype=np.int32).reshape(MASK.shape) * 13 % 200,
    "input_mask": MASK,
    "input_type_ids": np.arange(MASK.size, dtype=np.int32).reshape(MASK.shape) // 4 % 2,
}
ASKED = {
    "taps": ["attention_probs@0", "query@-1"],
    "features": ["text=mean@-2:/mean_max", "first=sum/cls", "words=concat@1,embedding,1"],
    "signatures": ["cls=pooled_output", "hidden_states"],
    "depths": [1],
}
ADDED = ("Identity", "NoOp", "StatefulPartitionedCall")
"""Operations of which a trace has more each time it is saved."""
MAPS = ("attention_probs", "attention_scores")


def shown(name: str, value: np.ndarray) -> np.ndarray:
    """An output of which all but the kept positions are zeros; its axes that count positions are known by its name."""
    if value.ndim == 2:
        return value
    if name.startswith(MAPS):
        return value * (KEPT[:, None, :, None] & KEPT[:, None, None, :])
    return value * KEPT.reshape(*KEPT.shape, *[1] * (value.ndim - 2))


@pytest.fixture(scope="module")
def written(source, tmp_path_factory):
    """The export of a sample with everything in ASKED, in the packed form and in Model Garden's."""

    @cache
    def make(name):
        root = tmp_path_factory.mktemp("written")
        packed = write(source(name), root / "packed", packed=True, **ASKED)
        return packed, write(source(name), root / "whole", graph="model_garden", **ASKED)

    return make


@pytest.fixture(scope="module")
def forms(converted, written):
    """What the signatures of the packed form return, and those of Model Garden's; with `asked`, they are more."""

    @cache
    def run(name, asked=False):
        exports = written(name) if asked else [converted(name, form).export for form in ("packed", "model_garden")]
        return tuple(run_signatures(export, INPUTS) for export in exports)

    return run


@pytest.mark.parametrize(("name", "asked"), [(BERT, False), (BERT, True), (MOBILEBERT, False)])
def test_tokens_are_model_gardens_and_padding_is_zero(name, asked, forms):
    packed, whole = forms(name, asked)
    assert packed.keys() == whole.keys()
    assert len(packed) == (8 if asked else 1)
    for signature, outputs in packed.items():
        assert outputs.keys() == whole[signature].keys()
        for output, value in outputs.items():
            expected = shown(output, whole[signature][output])
            assert value.shape == expected.shape
            assert np.abs(value - expected)[:EMPTY].max() <= CLOSE, (signature, output)
            assert np.array_equal(value == 0, expected == 0), (signature, output)


@pytest.mark.parametrize(("name", "asked"), [(BERT, True), (MOBILEBERT, False)])
def test_a_text_of_nothing_but_padding_is_computed_as_a_whole(name, asked, forms):
    for outputs in forms(name, asked)[0].values():
        for value in outputs.values():
            assert np.isfinite(value).all()
            assert value.ndim == 2 or value[EMPTY].all()


@pytest.mark.parametrize("name", [BERT, MOBILEBERT])
def test_the_call_leaves_no_padding_out(name, converted, forms):
    called = tf.saved_model.load(str(converted(name, "packed").export))({k: tf.constant(v) for k, v in INPUTS.items()})
    served = forms(name)[1]["serving_default"]
    for output, value in called.items():
        values = {f"{output}_{i}": x for i, x in enumerate(value)} if isinstance(value, list) else {output: value}
        for key, found in values.items():
            if key in served:
                assert np.abs(found - served[key]).max() <= CLOSE, key
    assert np.asarray(called["sequence_output"])[~KEPT].all()


@pytest.mark.parametrize("name", [BERT])
def test_a_text_export_leaves_out_what_its_tensor_export_leaves_out(name, written, tmp_path):
    export, _ = written(name)
    vocabulary = Tokenization(file=export / "assets" / "vocab.txt", pieces=False, lower_case=True, why="")
    with loaded_objects(clear_folder(export)) as encoder:
        write_text_model(encoder, vocabulary, 16, 0, tmp_path / "texts")
    texts = np.array([b"a b c d e f", b"a", b""], object)
    with SavedModelSession(clear_folder(tmp_path / "texts"), ("serve",)) as session:
        outputs = session.signature("text")({"text": texts})
        pooled, alone = (session.signature("text_text")({"text": some})["text"] for some in (texts, texts[1:2]))
    mask = outputs["input_mask"] != 0
    assert mask.sum(1).tolist() == [8, 3, 2]
    assert np.array_equal(outputs["sequence_output"].any(-1), mask)
    assert np.array_equal(outputs["encoder_outputs_0"].any(-1), mask)
    assert np.abs(pooled[1] - alone[0]).max() <= CLOSE


@pytest.mark.parametrize("name", [BERT])
def test_model_gardens_form_and_every_training_trace_have_the_modules_own_operations(name, source, converted):
    module = traced(source(name))
    assert module[False]["Einsum"] == 8 * 3
    for form in ("packed", "model_garden"):
        export = traced(converted(name, form).export)
        assert export[True] == module[True]
        assert (export[False] == module[False]) is (form == "model_garden")


def traced(folder):
    """The operations of a module's traces, by whether they are for training; without what saving adds."""
    library = saved_model.read(folder / "saved_model.pb").meta_graphs[0].graph_def.library
    bodies = {body.signature.name: body for body in library.function}
    found = {}
    for trace in surgery.inspect(folder).module.traces:
        called = [bodies[trace.function], *reachable(library, bodies[trace.function].node_def)]
        operations = Counter(node.op for body in called for node in body.node_def)
        found[trace.training] = {op: count for op, count in operations.items() if op not in ADDED}
    return found
