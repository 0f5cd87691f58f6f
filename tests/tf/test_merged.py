"""Merged graphs in double precision, run by TensorFlow: against numpy in float64."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.compat.proto import graph_pb2

from surgery.graphs.flat import FlatGraph
from surgery.graphs.merging import Input, Part
from surgery.tf.merged import has_kernel, import_merged, new_merging
from tests.support.graph_defs import DOUBLE, FLOAT, INT64, add
from tests.support.variable_inputs import with_variables_as_inputs

RANDOM = np.random.default_rng(7)
X = RANDOM.normal(size=(5, 8)).astype(np.float32)
WEIGHTS = {f"w{n}": RANDOM.normal(size=(8, 8)).astype(np.float32) for n in range(3)}
BIASES = {f"b{n}": RANDOM.normal(size=8).astype(np.float32) for n in range(3)}


class Run(NamedTuple):
    """What a graph in double precision returned.

    Attributes:
        values: Its outputs by name.
        lacking: What lacks for the others.
        operations: The operations of the imported graph.
    """

    values: dict[str, np.ndarray]
    lacking: dict[str, tuple[str, ...]]
    operations: list[tf.Operation]


def run_in_double(compute, inputs, variables=None, *, change=lambda graph_def: None, as_inputs=False) -> Run:
    """Traces `compute(*inputs, **variables)`, which returns outputs by name, and runs it in float64 in a v1 Session.

    `change` edits the traced GraphDef. With `as_inputs`, variables are float64 inputs.
    """
    held = {name: tf.Variable(value) for name, value in (variables or {}).items()}
    specs = [tf.TensorSpec([None] * value.ndim, value.dtype) for value in inputs]
    traced = tf.function(lambda *given: compute(*given, **held), input_signature=specs, autograph=False)
    graph = traced.get_concrete_function().graph
    placeholders = {placeholder.name: tensor for tensor, placeholder in graph.captures}
    names = {id(variable.handle): name for name, variable in held.items()}
    given = [tensor.name for tensor in graph.inputs if tensor.name not in placeholders]
    graph_def = graph_pb2.GraphDef.FromString(graph.as_graph_def().SerializeToString())
    change(graph_def)
    outputs = graph.structured_outputs
    flat = FlatGraph.of_graph_def(graph_def, [*given, *placeholders], [tensor.name for tensor in outputs.values()])
    merging = new_merging()
    merging.add(
        Part(
            graph=flat,
            inputs={
                node: Input(name=str(number), dtype=value.dtype.name)
                for number, (node, value) in enumerate(zip(flat.inputs, inputs, strict=False))
            },
            variables={
                node: names[id(tensor)]
                for node, tensor in zip(flat.inputs[len(given) :], placeholders.values(), strict=True)
            },
            outputs=dict(zip(outputs, flat.outputs, strict=True)),
        )
    )
    merged = with_variables_as_inputs(merging.result(), "float64") if as_inputs else merging.result()
    with tf.Graph().as_default() as imported, tf.compat.v1.Session() as session:
        made = {
            name: tf.compat.v1.get_variable(name, initializer=value, use_resource=True)
            for name, value in (variables or {}).items()
        }
        bound: dict[str, Any] = {free: made[name].handle for free, name in merged.variables.items()}
        feeds = {}
        for free, source in merged.inputs.items():
            bound[free] = tf.compat.v1.placeholder(source.dtype)
            feeds[bound[free]] = variables[source.name] if source.name in made else inputs[int(source.name)]
        twin = import_merged(merged, bound, double=True)
        session.run([variable.initializer for variable in made.values()])
        return Run(session.run(dict(twin.tensors), feeds), dict(twin.lacking), imported.get_operations())


def exact(array):
    return np.asarray(array, np.float64)


def close(found, expected):
    """Whether an array is the expected one but for a few roundings of float64."""
    return found.dtype == np.float64 and np.abs(found - expected).max() <= 1e-14 * np.abs(expected).max()


def dense(x, w0, w1, w2, b0, b1, b2):
    for w, b in ((w0, b0), (w1, b1), (w2, b2)):
        x = tf.tanh(tf.nn.bias_add(tf.matmul(x, tf.transpose(w)), b) * 0.1)
    return {"y": x}


def dense_in_numpy():
    x = exact(X)
    for number in range(3):
        x = np.tanh((x @ exact(WEIGHTS[f"w{number}"]).T + exact(BIASES[f"b{number}"])) * 0.1)
    return x


@pytest.mark.parametrize("as_inputs", [False, True])
def test_layers_are_computed_in_float64_from_float32_variables(as_inputs):
    found = run_in_double(dense, [X], {**WEIGHTS, **BIASES}, as_inputs=as_inputs)
    assert close(found.values["y"], dense_in_numpy())
    reads = [operation for operation in found.operations if operation.type == "ReadVariableOp"]
    assert all(operation.outputs[0].dtype == tf.float32 for operation in reads)


def test_a_weight_is_widened_only_when_what_it_is_multiplied_with_is_there():
    found = run_in_double(dense, [X], {**WEIGHTS, **BIASES})
    casts = [op for op in found.operations if op.type == "Cast" and op.outputs[0].shape.rank == 2]
    waiting = [op for op in casts if {waited.type for waited in op.control_inputs} == {"Tanh"}]
    assert len(waiting) == 2, "the first product waits for the input only"


@pytest.mark.parametrize(("transposed", "left_transposed"), [(True, False), (False, False), (False, True)])
def test_a_large_kernel_is_widened_in_parts_one_after_another(transposed, left_transposed, monkeypatch):
    monkeypatch.setattr("surgery.graphs.large_products.LARGE", 24)
    monkeypatch.setattr("surgery.graphs.double.LARGE", 24)
    table = RANDOM.normal(size=(11, 8) if transposed else (8, 11)).astype(np.float32)
    x = np.ascontiguousarray(X.T) if left_transposed else X

    def compute(x, table):
        product = tf.matmul(tf.tanh(x), table, transpose_a=left_transposed, transpose_b=transposed)
        return {"y": product * 0.5, "table": table + 0.0}

    found = run_in_double(compute, [x], {"table": table})
    kernel = exact(table.T if transposed else table)
    assert close(found.values["y"], np.tanh(exact(X)) @ kernel * 0.5)
    assert found.values["table"].tobytes() == exact(table).tobytes()
    slices = [op for op in found.operations if op.type == "Slice"]
    assert [op.outputs[0].shape.as_list() for op in slices] == (
        [[3, 8], [3, 8], [3, 8], [2, 8]] if transposed else [[8, 3], [8, 3], [8, 3], [8, 2]]
    )
    assert [waited.type for op in slices for waited in op.control_inputs] == ["Tanh", "MatMul", "MatMul", "MatMul"]


def test_rows_are_gathered_in_float32_and_widened():
    table = {"table": RANDOM.normal(size=(11, 3)).astype(np.float32)}
    ids = np.array([[1, 10], [0, 1]], np.int32)
    for as_inputs in (False, True):
        found = run_in_double(lambda ids, table: {"y": tf.gather(table, ids) * 3.0}, [ids], table, as_inputs=as_inputs)
        assert found.values["y"].tobytes() == (exact(table["table"])[ids] * 3).tobytes()


def test_rows_are_gathered_batch_by_batch_if_the_graph_does_so():
    table = {"table": RANDOM.normal(size=(2, 7, 3)).astype(np.float32)}
    ids = np.array([[6, 0], [1, 1]], np.int32)

    def compute(ids, table):
        rows = tf.raw_ops.ResourceGather(resource=table.handle, indices=ids, dtype=tf.float32, batch_dims=1)
        return {"y": rows, "nd": tf.raw_ops.ResourceGatherNd(resource=table.handle, indices=ids, dtype=tf.float32)}

    for as_inputs in (False, True):
        found = run_in_double(compute, [ids % 2], table, as_inputs=as_inputs).values
        assert found["y"].tolist() == [exact(table["table"])[row, ids[row] % 2].tolist() for row in (0, 1)]
        assert found["nd"].tolist() == [exact(table["table"])[row, column].tolist() for row, column in ids % 2]


def test_outputs_may_be_variables_inputs_and_constants():
    def compute(x, ids, w):
        return {"w": tf.identity(w), "x": tf.identity(x), "ids": tf.identity(ids), "c": tf.fill([2], 0.1)}

    ids = np.arange(3, dtype=np.int64)
    found = run_in_double(compute, [X, ids], {"w": WEIGHTS["w0"]}).values
    assert found["w"].tobytes() == exact(WEIGHTS["w0"]).tobytes()
    assert found["x"].tobytes() == exact(X).tobytes()
    assert found["ids"].tobytes() == ids.tobytes()
    assert found["c"].tolist() == [0.1, 0.1]


def test_constants_given_as_one_value_stand_for_all_elements():
    value = np.float32(0.3)

    def give_one_value(graph_def):
        node = next(node for node in graph_def.node if node.op == "Const" and node.attr["value"].tensor.dtype == 1)
        tensor = node.attr["value"].tensor
        assert tensor.tensor_content
        del tensor.float_val[:]
        tensor.tensor_content = b""
        tensor.float_val.append(value)

    plain = np.full((5, 8), value) + np.arange(8, dtype=np.float32)
    found = run_in_double(lambda x: {"y": x * tf.constant(plain)}, [X], change=give_one_value).values["y"]
    assert found.tobytes() == (exact(X) * float(value)).tobytes()


def test_roundings_of_one_formula_are_the_same_function():
    float32 = np.float32

    def compute(x):
        return {
            "divided": x / float32(0.9) / tf.sqrt(float32(8)),
            "multiplied": x * float32(1 / 0.9) * float32(1 / np.sqrt(8)),
            "other": x * float32(1 / 0.9 * 1.0001) * float32(1 / np.sqrt(8)),
        }

    found = run_in_double(compute, [X]).values
    expected = exact(X) / 0.9 / np.sqrt(8)
    assert close(found["divided"], expected)
    assert close(found["multiplied"], expected)
    assert not close(found["other"], expected)


def test_a_constant_without_elements_is_none_in_float64_too():
    empty = np.zeros((0, 8), np.float32)
    found = run_in_double(lambda x: {"y": tf.concat([x, tf.constant(empty)], 0) * 2.0}, [X]).values["y"]
    assert found.tobytes() == (exact(X) * 2).tobytes()


def test_loops_and_conditions_read_their_variables_in_float64():
    def compute(x, steps, w0, b0):
        def step(number, x, kept):
            return number + 1, tf.tanh(tf.matmul(x, w0)), kept.write(number, x)

        kept = tf.TensorArray(tf.float32, size=steps)
        _, x, kept = tf.while_loop(lambda number, *_: number < steps, step, (0, x, kept))
        y = tf.cond(tf.reduce_sum(x) > 1e9, lambda: x, lambda: tf.cond(steps > 1, lambda: x * b0, lambda: x - b0))
        return {"y": y, "kept": kept.stack()}

    found = run_in_double(compute, [X, np.array(3, np.int32)], {"w0": WEIGHTS["w0"], "b0": BIASES["b0"]})
    assert {"While", "StatelessWhile"} & {operation.type for operation in found.operations}
    expected = [exact(X)]
    for _ in range(3):
        expected.append(np.tanh(expected[-1] @ exact(WEIGHTS["w0"])))
    assert close(found.values["y"], expected[-1] * exact(BIASES["b0"]))
    assert close(found.values["kept"], np.stack(expected[:-1]))


def test_an_operation_without_a_float64_kernel_is_named_and_only_what_depends_on_it_is_left_out():
    image = RANDOM.normal(size=(1, 4, 4, 3)).astype(np.float32)
    scale = {"scale": np.array([1, 2, 3], np.float32)}

    def compute(image, scale):
        normal, *_ = tf.compat.v1.nn.fused_batch_norm(image, scale, scale, is_training=True)
        quantised = tf.quantization.fake_quant_with_min_max_args(image)
        looped = tf.while_loop(
            lambda number, _: number < 2,
            lambda number, x: (number + 1, tf.quantization.fake_quant_with_min_max_args(x)),
            (0, image),
        )[1]
        return {
            "sum": tf.exp(normal) + quantised,
            "quantised": quantised,
            "looped": looped,
            "shape": tf.shape(image),
            "fine": tf.square(image) * scale,
        }

    found = run_in_double(compute, [image], scale)
    fake = "FakeQuantWithMinMaxArgs"
    assert found.lacking == {"sum": (fake, "FusedBatchNormV3"), "quantised": (fake,), "looped": (fake,)}
    assert found.values.keys() == {"shape", "fine"}
    assert close(found.values["fine"], np.square(exact(image)) * scale["scale"])


@pytest.mark.parametrize(
    ("op", "attributes", "runs"),
    [
        ("AvgPool3D", {"T": FLOAT}, True),
        ("AvgPool3D", {"T": DOUBLE}, False),  # its definition allows float64, and no kernel does
        ("ParseExample", {"Tdense": [FLOAT, INT64]}, True),
        ("ParseExample", {"Tdense": [DOUBLE, INT64]}, False),  # a list of types
        ("MatMul", {"T": DOUBLE}, True),
        ("__inference_f_1", {"T": DOUBLE}, True),  # a function
    ],
)
def test_an_operation_has_a_kernel_for_its_types_or_has_none(op, attributes, runs):
    graph_def = graph_pb2.GraphDef()
    add(graph_def.node, "y", op, **attributes)
    assert has_kernel(graph_def.node[0]) == runs


def test_types_that_the_file_leaves_out_are_widened_too():
    def leave_out(graph_def):
        node = next(node for node in graph_def.node if node.op == "StatelessRandomUniformV2")
        del node.attr["dtype"]

    def compute(x):
        return {"y": x + tf.random.stateless_uniform([5, 8], seed=[1, 2])}

    found = run_in_double(compute, [X], change=leave_out).values["y"] - exact(X)
    assert ((found >= 0) & (found < 1)).all()
    assert len(np.unique(found.astype(np.float32))) == found.size


def test_two_random_operations_stay_two():
    def compute(x):
        return {"y": tf.random.uniform([50]) - tf.random.uniform([50]), "x": x}

    assert np.abs(run_in_double(compute, [X]).values["y"]).min() > 0
