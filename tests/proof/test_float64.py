"""The reference of a checkpoint is what transformers computes; each part of it matters, and no weight row is in it."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from surgery.errors import UnexplainedError
from surgery.explanation import recognition
from surgery.explanation.inferring import infer_architecture
from surgery.proof import bert_formulas, layers
from surgery.proof import float64 as reference
from surgery.proof.battery import Batch
from tests.support.editing import inspected
from tests.support.sample_names import HUGGING_FACE_SAMPLES

CLOSE = 1e-5
OTHER_GELU = {"gelu": "gelu_tanh", "gelu_tanh": "gelu"}
INPUTS = {"input_word_ids": "input_ids", "input_mask": "attention_mask", "input_type_ids": "token_type_ids"}


@pytest.fixture
def opened(modules):
    """A checkpoint by name: module, inference, and what transformers returned, by our names."""

    def make(name: str):
        module = inspected(modules(name))
        theirs = dict(np.load(modules(name) / "expected.npz"))
        return module, infer_architecture(module), theirs

    return make


def batch_of(theirs):
    """Transformers' inputs, and the positions of which it kept the logits."""
    inputs = {ours: theirs[name] for ours, name in INPUTS.items() if name in theirs}
    positions = np.tile(np.arange(2, dtype=np.int32), (len(theirs["input_ids"]), 1))
    return Batch(label="transformers", inputs={**inputs, "masked_lm_positions": positions})


def recorded(module, inference, theirs):
    """What the reference returns on transformers' inputs."""
    batch = batch_of(theirs)
    (found,) = reference.record_float64(module, inference, module.open_tensors(), [batch])
    return found.float64


def expected_outputs(theirs):
    blocks = sum(name.startswith("hidden_states_") for name in theirs) - 1
    found = {f"encoder_outputs_{i}": theirs[f"hidden_states_{i + 1}"] for i in range(blocks)}
    found |= {"embedding_output": theirs["hidden_states_0"], "sequence_output": theirs["last_hidden_state"]}
    ends = {"pooled_output": "pooler_output", "mlm.mlm_logits": "logits"}
    return found | {ours: theirs[name] for ours, name in ends.items() if name in theirs}


def errors(found, theirs):
    """The largest error of each output."""
    expected = expected_outputs(theirs)
    assert found.keys() == expected.keys()
    return {name: float(np.max(np.abs(found[name] - value))) for name, value in expected.items()}


@pytest.mark.parametrize("name", HUGGING_FACE_SAMPLES)
def test_every_hidden_state_is_what_transformers_computes(name: str, opened):
    module, inference, theirs = opened(name)
    found = recorded(module, inference, theirs)
    assert max(errors(found, theirs).values()) <= CLOSE
    assert {value.dtype for value in found.values()} == {np.dtype(np.float64)}


@pytest.mark.parametrize("name", HUGGING_FACE_SAMPLES)
def test_in_float32_the_same_formulas_have_rounding_errors_and_no_others(name: str, opened):
    module, inference, theirs = opened(name)
    (found,) = reference.record_float64(module, inference, module.open_tensors(), [batch_of(theirs)])
    assert {value.dtype for value in found.float32.values()} == {np.dtype(np.float32)}
    assert found.float32.keys() == found.float64.keys()
    for output, exact in found.float64.items():
        error = np.sqrt(np.mean((found.float32[output] - exact) ** 2)) / np.sqrt(np.mean(exact**2))
        assert 1e-9 < error < 2e-6, output


def test_the_expectation_has_padding_and_all_token_types(opened):
    for name in HUGGING_FACE_SAMPLES:
        _, inference, theirs = opened(name)
        assert 0 < theirs["attention_mask"].mean() < 1
        types = inference.architecture.values.get("type_vocab_size", 1)
        assert ("token_type_ids" in theirs) == (types > 1)
        assert types == 1 or set(np.unique(theirs["token_type_ids"])) == set(range(types))


@pytest.mark.parametrize("name", ["hf_roberta", "hf_xlm_roberta"])
def test_the_expectation_of_a_roberta_has_padding_on_the_left_inside_and_on_the_right_shown_and_hidden(name, opened):
    _, _, theirs = opened(name)
    ids, mask = theirs["input_ids"], theirs["attention_mask"]
    padding = ids == 1
    assert padding[:, 0].any()
    assert padding[:, -1].any()
    assert (padding[:, 1:-1] & ~padding[:, :-2] & ~padding[:, 2:]).any()
    assert {(bool(p), bool(m)) for p, m in zip(padding.ravel(), mask.ravel(), strict=True)} == {
        (True, True),
        (True, False),
        (False, True),
        (False, False),
    }


@pytest.mark.parametrize("name", ["hf_roberta", "hf_xlm_roberta"])
@pytest.mark.parametrize(
    "positions",
    [
        lambda ids, padding: np.arange(ids.shape[1]),
        lambda ids, padding: np.arange(ids.shape[1]) + padding + 1,
        lambda ids, padding: np.where(ids == padding, padding, np.arange(ids.shape[1]) + padding + 1),
        lambda ids, padding: np.cumsum(ids != padding, axis=1) + padding,
        lambda ids, padding: np.cumsum(ids != padding, axis=1) * (ids != padding) + padding + 1,
    ],
    ids=["of BERT", "with an offset only", "padding counts", "padding has the position before it", "one further"],
)
def test_other_positions_are_another_function(name, positions, opened, monkeypatch):
    module, inference, theirs = opened(name)
    monkeypatch.setattr(bert_formulas, "position_ids", positions)
    assert errors(recorded(module, inference, theirs), theirs)["embedding_output"] > 0.1


@pytest.mark.parametrize("name", HUGGING_FACE_SAMPLES)
@pytest.mark.parametrize(
    ("field", "value", "first"),
    [
        ("hidden_act", None, "encoder_outputs_0"),
        ("hidden_act", "relu", "encoder_outputs_0"),
        ("layer_norm_eps", 1e-3, "embedding_output"),
        ("num_attention_heads", 6, "encoder_outputs_0"),
        ("attention_mask_adder", 0.0, "encoder_outputs_0"),
    ],
)
def test_another_hyperparameter_is_another_function(name, field, value, first, opened):
    module, inference, theirs = opened(name)
    values = dict(inference.architecture.values)
    values[field] = OTHER_GELU[values[field]] if value is None else value
    other = replace(inference, architecture=replace(inference.architecture, values=values))
    found = errors(recorded(module, other, theirs), theirs)
    order = ["embedding_output", *(f"encoder_outputs_{i}" for i in range(3))]
    assert next(output for output in order if found[output] > CLOSE) == first
    assert found["sequence_output"] > 2 * CLOSE


@pytest.mark.parametrize("name", HUGGING_FACE_SAMPLES)
def test_the_weight_rows_are_no_part_of_it(name, opened, monkeypatch):
    module, inference, theirs = opened(name)
    before = recorded(module, inference, theirs)

    def confused(rule):
        """Query and key change places."""
        if rule.target is None:
            return rule
        target = rule.target.replace("/query/", "/?/").replace("/key/", "/query/").replace("/?/", "/key/")
        return replace(rule, target=target)

    def with_confused_rows(family):
        dialects = [replace(dialect, rules=tuple(map(confused, dialect.rules))) for dialect in family.dialects]
        return replace(family, dialects=tuple(dialects))

    monkeypatch.setattr(recognition, "FAMILIES", tuple(map(with_confused_rows, recognition.FAMILIES)))
    other = infer_architecture(module)
    assert {(c.variable.name, c.targets) for c in other.claims} != {
        (c.variable.name, c.targets) for c in inference.claims
    }
    after = recorded(module, other, theirs)
    assert {name: value.tobytes() for name, value in after.items()} == {
        name: value.tobytes() for name, value in before.items()
    }


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("words", "embeddings.words.weight"),
        ("query", "attention.self.queries"),
        ("attention_norm", "attention.LayerNorm"),
        ("pooler", "pooler"),
    ],
)
def test_a_name_that_the_checkpoint_lacks_is_told(field, name, opened):
    module, inference, theirs = opened("hf_bert")
    names = replace(inference.publisher.names, **{field: name})
    renamed = replace(inference, publisher=replace(inference.publisher, names=names))
    with pytest.raises(UnexplainedError, match=rf"reference of hf_bert: expected a weight .*{name}"):
        recorded(module, renamed, theirs)


def test_an_activation_that_it_does_not_know_is_told(opened):
    module, inference, theirs = opened("hf_bert")
    values = {**inference.architecture.values, "hidden_act": "swish"}
    with pytest.raises(UnexplainedError, match="the activation swish is not known; known are gelu"):
        recorded(module, replace(inference, architecture=replace(inference.architecture, values=values)), theirs)


def test_the_activations_are_those_of_the_paper():
    x = np.linspace(-4, 4, 33)
    normal, steps = NormalDist(), math.sqrt(8 / math.pi) * (x + 0.044715 * x**3)
    np.testing.assert_allclose(layers.gelu(x), [value * normal.cdf(value) for value in x], atol=1e-12)
    np.testing.assert_allclose(layers.gelu_tanh(x), x / (1 + np.exp(-steps)), atol=1e-12)
    np.testing.assert_array_equal(layers.relu(x), np.where(x > 0, x, 0))


def test_it_is_described_by_its_config_and_its_precision(opened):
    module, _, _ = opened("hf_bert")
    assert "config.json" in reference.description(module)
    assert "float64" in reference.description(module)


def test_each_block_is_reported_and_no_batch_needs_another(opened):
    module, inference, theirs = opened("hf_albert")
    steps = []
    whole = Batch(label="all", inputs={ours: theirs[name] for ours, name in INPUTS.items()})
    rows = [
        Batch(label=str(i), inputs={name: value[i : i + 1] for name, value in whole.inputs.items()}) for i in range(3)
    ]
    found = reference.record_float64(
        module, inference, module.open_tensors(), [whole, *rows], progress=lambda *step: steps.append(step)
    )
    assert steps == [(0, 3), (1, 3), (2, 3), (3, 3)]
    for name, value in found[0].float64.items():
        np.testing.assert_allclose(np.concatenate([side.float64[name] for side in found[1:]]), value, atol=1e-12)


def test_the_dense_layers_of_a_block_compute_the_tokens_of_all_batches_in_one_product(opened, monkeypatch):
    module, inference, theirs = opened("hf_bert")
    whole = {ours: theirs[name] for ours, name in INPUTS.items()}
    first = {name: value[:1, :5] for name, value in whole.items()}
    tokens = whole["input_mask"].size + 5
    computed, call = [], layers.Dense.__call__
    monkeypatch.setattr(layers.Dense, "__call__", lambda dense, x: computed.append(x.shape) or call(dense, x))
    batches = [Batch(label="all", inputs=whole), Batch(label="the start of a row", inputs=first)]
    reference.record_float64(module, inference, module.open_tensors(), batches)
    layers_of_blocks = [shape for shape in computed if shape[0] == tokens]
    assert len(layers_of_blocks) == 3 * 6 * 2, "three blocks, six layers, two precisions"
    assert len(computed) == len(layers_of_blocks) + 2 * 2, "the pooler, on two batches in two precisions"
