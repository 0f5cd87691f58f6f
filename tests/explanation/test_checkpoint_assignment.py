"""What may stand beside the encoder in a checkpoint, and what may not; and a norm that only some of them have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from surgery.errors import UnexplainedError
from surgery.explanation.assignment import AssignmentMap, map_weights
from surgery.explanation.inferring import infer_architecture
from surgery.module import InspectedModule, VariableInfo
from tests.support.editing import inspected

ALBERT_BLOCK = "bert/encoder/transformer/group_0/inner_group_0"


def mapped(module: InspectedModule) -> AssignmentMap:
    return map_weights(module, infer_architecture(module))


def listed_beside(module: InspectedModule, *names: str, like: str = "") -> InspectedModule:
    """The module with more variables, of the shape of another, or vectors of 3."""
    shape = next((v.shape for v in module.variables if v.name == like), (3,))
    more = tuple(VariableInfo(name=name, dtype="float32", shape=shape, trainable=True) for name in names)
    return replace(module, variables=(*module.variables, *more))


def test_a_second_norm_of_the_shared_block_takes_its_own_place(modules):
    module = inspected(modules("tf1_albert_checkpoint"))
    second = [f"{ALBERT_BLOCK}/LayerNorm_1/{leaf}" for leaf in ("gamma", "beta")]
    module = listed_beside(module, *second, like=f"{ALBERT_BLOCK}/LayerNorm/gamma")
    targets = {a.target: a.variable.name for a in mapped(module).assignments}
    for leaf in ("gamma", "beta"):
        assert targets[f"transformer/self_attention_layer_norm/{leaf}"] == f"{ALBERT_BLOCK}/LayerNorm/{leaf}"
        assert targets[f"transformer/output_layer_norm/{leaf}"] == f"{ALBERT_BLOCK}/LayerNorm_1/{leaf}"


def test_half_of_a_second_norm_is_refused(modules):
    module = inspected(modules("tf1_albert_checkpoint"))
    with pytest.raises(UnexplainedError, match=r"LayerNorm_1/beta|LayerNorm_1/gamma"):
        mapped(listed_beside(module, f"{ALBERT_BLOCK}/LayerNorm_1/gamma", like=f"{ALBERT_BLOCK}/LayerNorm/gamma"))


@pytest.mark.parametrize(
    ("name", "beside", "because"),
    [
        ("tf1_bert_checkpoint", "bert/encoder/layer_0/output/dense/kernel/adam_m", "slot of the optimiser"),
        ("tf1_bert_checkpoint", "bert/embeddings/word_embeddings/adam_v", "slot of the optimiser"),
        ("tf1_bert_checkpoint", "cls/predictions/output_bias/lamb_v", "slot of the optimiser"),
        (
            "tf1_albert_checkpoint",
            f"{ALBERT_BLOCK}/LayerNorm/gamma/AdamWeightDecayOptimizer_1",
            "slot of the optimiser",
        ),
        ("tf1_bert_checkpoint", "cls/seq_relationship/output_weights/adam_m", "slot of the optimiser"),
        ("tf1_bert_checkpoint", "global_step", "counter"),
        ("tf1_bert_checkpoint", "beta1_power", "counter"),
        ("tf1_albert_checkpoint", "cls/seq_relationship/output_bias", "next-sentence head"),
        ("tf1_bert_checkpoint", "cls/squad/output_weights", "question-answering head"),
        ("tf1_bert_checkpoint", "output_bias", "classification head"),
        ("hf_bert", "embeddings.position_ids", "buffer"),
        ("hf_bert", "cls.seq_relationship.weight", "next-sentence head"),
        ("hf_bert", "cls.predictions.decoder.weight", "shares it with the word embeddings"),
        ("hf_bert", "classifier.bias", "classification head that is no part of the encoder"),
        ("hf_bert", "classifier.dense.weight", "classification head that is no part of the encoder"),
        ("hf_bert", "qa_outputs.weight", "question-answering head"),
        ("hf_electra", "discriminator_predictions.dense_prediction.bias", "discriminator's head"),
        ("hf_electra", "generator_lm_head.weight", "shares it with the word embeddings"),
        ("hf_albert", "predictions.decoder.weight", "shares it with the word embeddings"),
        ("hf_albert", "sop_classifier.classifier.weight", "sentence-order head"),
    ],
)
def test_what_training_leaves_in_a_checkpoint_is_dropped_with_the_reason(name, beside, because, modules):
    module = inspected(modules(name))
    weights = mapped(listed_beside(module, beside))
    assert weights.assignments == mapped(module).assignments
    (dropped,) = weights.dropped
    assert dropped.variable.name == beside
    assert because in dropped.because


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("tf1_bert_checkpoint", "bert/encoder/layer_0/adapter/kernel"),
        ("tf1_bert_checkpoint", "bert/encoder/layer_0/output/dense/kernel/ExponentialMovingAverage"),
        ("tf1_bert_checkpoint", "cls/seq_relationship"),
        ("hf_bert", "encoder.layer.0.adapter.weight"),
        ("hf_bert", "embeddings.task_type_embeddings.weight"),
        ("hf_bert", "bert.classifier.weight"),
    ],
)
def test_a_variable_that_no_row_of_a_checkpoint_knows_is_refused_by_name(name, beside, modules):
    with pytest.raises(UnexplainedError, match=rf"no row claims {beside} \[3\]"):
        mapped(listed_beside(inspected(modules(name)), beside))


def test_a_weight_that_stands_with_and_without_its_scope_is_refused(modules):
    module = inspected(modules("hf_bert"))
    with pytest.raises(UnexplainedError, match=r"pooler\.dense\.bias and bert\.pooler\.dense\.bias"):
        mapped(listed_beside(module, "bert.pooler.dense.bias", like="pooler.dense.bias"))
