"""Readers of single facts, on graphs small enough to be read at a glance."""

from __future__ import annotations

import pytest

from surgery.graphs.dataflow import constant, shortest_decimal
from surgery.graphs.flat import Tensor
from surgery.tables import readers as read
from tests.support.synthetic import Function, anchors, dense


def norm(f: Function, tensor: str, epsilon: float = 1e-12) -> str:
    """LayerNorm as Keras writes it, over the variables `gamma` and `beta`."""
    mean = f.op("Mean", tensor, port="output:0")
    variance = f.op("Mean", f.op("SquaredDifference", tensor, mean, port="z:0"), port="output:0")
    scale = f.op("Rsqrt", f.op("AddV2", variance, f.constant(epsilon, "epsilon"), port="z:0"), name="rsqrt")
    scale = f.op("Mul", scale, f.op("ReadVariableOp", "gamma", port="value:0"), port="z:0")
    shift = f.op(
        "Sub", f.op("ReadVariableOp", "beta", port="value:0"), f.op("Mul", mean, scale, port="z:0"), port="z:0"
    )
    return f.op("AddV2", f.op("Mul", tensor, scale, port="z:0"), shift, name="normed", port="z:0")


def dropout(f: Function, tensor: str, rate: float, scale: float | None = None) -> str:
    """tf.nn.dropout as TensorFlow 2 writes it."""
    scaled = f.op("Mul", tensor, f.constant(1 / (1 - rate) if scale is None else scale), port="z:0")
    drawn = f.op("RandomUniform", f.op("Shape", tensor, port="output:0"), port="output:0")
    kept = f.op("GreaterEqual", drawn, f.constant(rate), port="z:0")
    return f.op("SelectV2", kept, scaled, f.constant(0.0), name="dropped", port="output:0")


def gelu_tanh(f: Function, x: str, factor: float = 0.044715) -> str:
    cubed = f.op("Mul", f.constant(factor), f.op("Pow", x, f.constant(3.0), port="z:0"), port="z:0")
    inner = f.op("Mul", f.constant(0.7978845834732056), f.op("AddV2", x, cubed, port="z:0"), port="z:0")
    gate = f.op("AddV2", f.constant(1.0), f.op("Tanh", inner, name="tanh"), port="z:0")
    return f.op("Mul", f.op("Mul", f.constant(0.5), x, port="z:0"), gate, port="z:0")


def gelu(f: Function, x: str) -> str:
    gate = f.op("AddV2", f.constant(1.0), f.op("Erf", f.op("Mul", x, f.constant(0.70710677), port="z:0")), port="z:0")
    return f.op("Mul", f.op("Mul", f.constant(0.5), x, port="z:0"), gate, port="z:0")


ACTIVATIONS = {
    "gelu_tanh": gelu_tanh,
    "gelu": gelu,
    "relu": lambda f, x: f.op("Relu", x, port="activations:0"),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_named_by_its_operations(name: str):
    def build(f):
        return dense(f, ACTIVATIONS[name](f, dense(f, "x", "inner", "bias")), "outer", "outer_bias")

    graph = anchors(build, "inner", "bias", "outer", "outer_bias")
    assert read.activation(graph, "bias", "outer").value == name


@pytest.mark.parametrize(
    "build",
    [
        lambda f, x: x,
        lambda f, x: f.op("Softplus", x),
        lambda f, x: f.op("Mul", x, f.op("Sigmoid", x), port="z:0"),
        lambda f, x: gelu_tanh(f, x, factor=0.05),
        lambda f, x: f.op("Mul", f.op("Relu", x), f.constant(2.0), port="z:0"),
    ],
    ids=["linear", "softplus", "swish", "other factor", "scaled relu"],
)
def test_an_activation_that_is_none_of_these_is_unknown(build):
    def encoder(f):
        return dense(f, build(f, dense(f, "x", "inner", "bias")), "outer", "outer_bias")

    graph = anchors(encoder, "inner", "bias", "outer", "outer_bias")
    assert read.activation(graph, "bias", "outer").value.startswith("unknown")


@pytest.mark.parametrize("epsilon", [1e-12, 1e-6, 1e-5, 1e-3])
def test_epsilon_is_the_constant_added_to_the_variance(epsilon: float):
    reading = read.layer_norm_epsilon(anchors(lambda f: norm(f, "x", epsilon), "gamma", "beta"), "gamma")
    assert reading == read.Reading(value=epsilon, place="epsilon")


def test_the_epsilon_of_a_fused_norm_is_its_attribute():
    def build(f):
        f.op("FusedBatchNormV3", "x", name="fused", port="y:0")
        f.proto.node_def[-1].attr["epsilon"].f = 1e-3
        scaled = f.op("Mul", "fused:y:0", f.op("ReadVariableOp", "gamma", port="value:0"), port="z:0")
        return f.op("AddV2", scaled, f.op("ReadVariableOp", "beta", port="value:0"), port="z:0")

    assert read.layer_norm_epsilon(anchors(build, "gamma", "beta"), "gamma") == read.Reading(value=1e-3, place="fused")


def test_a_scale_without_a_norm_has_no_epsilon():
    def build(f):
        scaled = f.op("Mul", "x", f.op("ReadVariableOp", "gamma", port="value:0"), port="z:0")
        return f.op("AddV2", scaled, f.op("ReadVariableOp", "beta", port="value:0"), port="z:0")

    assert read.layer_norm_epsilon(anchors(build, "gamma", "beta"), "gamma") is None


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.5])
def test_a_dropout_s_rate_is_read_where_it_acts(rate: float):
    graph = anchors(lambda f: dropout(f, norm(f, "x"), rate), "gamma", "beta")
    assert read.dropout_after_norm(graph, "beta") == read.Reading(value=rate, place="dropped")
    graph = anchors(lambda f: dropout(f, dense(f, "x", "kernel", "bias"), rate), "kernel", "bias")
    assert read.dropout_after_bias(graph, "bias").value == rate


def floored_dropout(f: Function, value: str, keep: float, divisor: float | None = None) -> str:
    """tf.nn.dropout as TensorFlow 1 wrote it: `x / keep_prob * floor(keep_prob + random)`."""
    random = f.op("RandomUniform", f.constant(1.0), port="output:0")
    mask = f.op("Floor", f.op("Add", f.constant(keep), random, port="z:0"))
    scaled = f.op("RealDiv", value, f.constant(keep if divisor is None else divisor), port="z:0")
    return f.op("Mul", scaled, mask, name="dropped", port="z:0")


@pytest.mark.parametrize(("keep", "rate"), [(0.9, 0.1), (0.95, 0.05), (0.5, 0.5)])
def test_a_dropout_of_tensorflow_1_is_read_from_what_it_keeps(keep: float, rate: float):
    graph = anchors(lambda f: floored_dropout(f, dense(f, "x", "kernel", "bias"), keep), "kernel", "bias")
    assert read.dropout_after_bias(graph, "bias") == read.Reading(value=rate, place="dropped")
    assert graph.unread_randomness == ()


def masked_dropout(f: Function, tensor: str, rate: float, scale: float | None = None) -> str:
    """tf.nn.dropout between TF 1.14 and 2.5: the scaled tensor times the mask as numbers."""
    scaled = f.op("Mul", tensor, f.constant(1 / (1 - rate) if scale is None else scale), port="z:0")
    drawn = f.op("RandomUniform", f.op("Shape", tensor, port="output:0"), port="output:0")
    kept = f.op("Cast", f.op("GreaterEqual", drawn, f.constant(rate), port="z:0"), port="y:0")
    return f.op("Mul", scaled, kept, name="dropped", port="z:0")


def unscaled_dropout(f: Function, tensor: str, rate: float) -> str:
    drawn = f.op("RandomUniform", f.op("Shape", tensor, port="output:0"), port="output:0")
    kept = f.op("GreaterEqual", drawn, f.constant(rate), port="z:0")
    return f.op("SelectV2", kept, tensor, f.constant(0.0), name="dropped", port="output:0")


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.5, 0.9])
@pytest.mark.parametrize(
    "build",
    [dropout, masked_dropout, lambda f, tensor, rate: floored_dropout(f, tensor, 1 - rate)],
    ids=["TF 2", "TF 1.14", "TF 1"],
)
def test_a_dropout_multiplies_what_it_keeps_by_the_inverse_of_the_share_it_keeps(build, rate: float):
    (found,) = anchors(lambda f: build(f, dense(f, "x", "kernel", "bias"), rate), "kernel", "bias").dropouts
    assert found.rate == rate
    assert found.scale == pytest.approx(1 / (1 - rate), rel=1e-6)
    assert found.keeps_the_mean


@pytest.mark.parametrize(
    ("build", "scale"),
    [
        (lambda f, x: dropout(f, x, 0.1, 1 / 0.8), 1.25),
        (lambda f, x: dropout(f, x, 0.1, 1 / 0.9 * (1 + 1e-5)), 1 / 0.9 * (1 + 1e-5)),
        (lambda f, x: masked_dropout(f, x, 0.1, 1 / 0.8), 1.25),
        (lambda f, x: floored_dropout(f, x, 0.9, 0.8), 1.25),
        (lambda f, x: unscaled_dropout(f, x, 0.1), 1.0),
    ],
)
def test_another_scale_is_read_as_it_is(build, scale: float):
    (found,) = anchors(lambda f: build(f, dense(f, "x", "kernel", "bias")), "kernel", "bias").dropouts
    assert found.rate == 0.1
    assert found.scale == pytest.approx(scale, rel=1e-6)
    assert not found.keeps_the_mean


def test_randomness_that_is_no_known_dropout_is_not_taken_for_none():
    def build(f):
        random = f.op("RandomUniform", f.constant(1.0), name="noise", port="output:0")
        return f.op("AddV2", dense(f, "x", "kernel", "bias"), random, port="z:0")

    assert [node.path for node in anchors(build, "kernel", "bias").unread_randomness] == ["noise"]


def test_a_dropout_in_front_of_a_kernel_is_told_from_one_behind_its_bias():
    graph = anchors(lambda f: dense(f, dropout(f, "x", 0.3), "kernel", "bias"), "kernel", "bias")
    assert read.dropout_before(graph, "kernel").value == 0.3
    assert read.dropout_after_bias(graph, "bias").value == 0.0


def test_no_random_operation_is_a_rate_of_zero():
    graph = anchors(lambda f: norm(f, "x"), "gamma", "beta")
    reading = read.dropout_after_norm(graph, "beta")
    assert reading.value == 0.0
    assert reading.place.startswith("no random operation")


def attention(f: Function, scale: float, adder: float | None = -1e9) -> str:
    query = f.op("Mul", dense(f, "x", "query", "query_bias"), f.constant(scale), name="scaled", port="z:0")
    logits = f.op("Einsum", query, "x", port="output:0")
    if adder is not None:
        masked = f.op(
            "Mul", f.op("Sub", f.constant(1.0), "x", port="z:0"), f.constant(adder), name="masked", port="z:0"
        )
        logits = f.op("AddV2", logits, masked, port="z:0")
    return f.op("Softmax", logits, port="softmax:0")


@pytest.mark.parametrize("size", [8, 12, 16, 64])
def test_the_head_size_is_read_from_the_scale(size: int):
    graph = anchors(lambda f: attention(f, size**-0.5), "query", "query_bias")
    assert read.head_size(graph, "query_bias") == read.Reading(value=size, place="scaled")


def test_a_division_by_the_root_is_a_scale_too():
    def build(f):
        query = f.op("RealDiv", dense(f, "x", "query", "query_bias"), f.constant(4.0), port="z:0")
        return f.op("Softmax", f.op("Einsum", query, "x", port="output:0"), port="softmax:0")

    assert read.head_size(anchors(build, "query", "query_bias"), "query_bias").value == 16


@pytest.mark.parametrize("adder", [-10000.0, -1e9])
def test_the_mask_adder_is_what_padding_is_multiplied_with(adder: float):
    graph = anchors(lambda f: attention(f, 0.25, adder), "query", "query_bias")
    assert read.mask_adder(graph, "query_bias").value == adder


def test_attention_without_a_mask_has_no_adder():
    assert read.mask_adder(anchors(lambda f: attention(f, 0.25, None), "query", "query_bias"), "query_bias") is None


def test_a_variable_that_the_graph_does_not_use_has_no_readings():
    graph = anchors(lambda f: norm(f, "x"), "gamma", "beta")
    assert read.layer_norm_epsilon(graph, "absent") is None
    assert read.head_size(graph, "absent") is None
    assert read.dropout_before(graph, "absent") is None
    assert read.activation(graph, "absent", "absent") is None


def test_constants_are_seen_through_casts_and_computed_values_are_none():
    graph = anchors(lambda f: f.op("Cast", f.op("Identity", f.constant(2.5), port="output:0")), "unused")
    assert constant(graph.graph.outputs[0]) == 2.5
    assert constant(Tensor(graph.graph.inputs[0], "0")) is None


def test_float32_constants_read_as_their_authors_wrote_them():
    assert shortest_decimal(9.999999960041972e-13) == 1e-12
    assert shortest_decimal(0.05000000074505806) == 0.05
    assert shortest_decimal(-1000000000.0) == -1e9
