"""Gradients in double precision, of graphs whose variables are float64 inputs: of a module's, and of its export's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from surgery.module import InspectedModule
from surgery.proof.compared import Compared
from surgery.tf.merged import import_merged, new_merging
from tests.support.variable_inputs import with_variables_as_inputs

Arrays = Mapping[str, np.ndarray]


def gradients(
    module: InspectedModule, compared: Compared, scalars: Sequence[Sequence[str]], inputs: Arrays
) -> list[tuple[float, dict[str, np.ndarray]]]:
    """For each list of outputs, a fixed scalar of them, and its gradient for every variable that leads to it, by name.

    All are float64. The scalar is the sum of all elements with fixed random weights, the same ones for
    [batch, seq, hidden] and for [batch * seq, hidden].
    """
    merging = new_merging(differentiable=True)
    for part in compared.parts:
        merging.add(part)
    merged = with_variables_as_inputs(merging.result(), "float64")
    variables = {variable.name: variable for variable in module.variables}
    config = tf.compat.v1.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True  # the graph runs once: rewriting it takes longer
    with tf.Graph().as_default(), tf.compat.v1.Session(config=config) as session:
        bound = {free: tf.compat.v1.placeholder(given.dtype) for free, given in merged.inputs.items()}
        twin = import_merged(merged, bound, double=True)
        assert not twin.lacking
        read = module.open_tensors().read
        feeds: dict[Any, np.ndarray] = {}
        weights: dict[str, Any] = {}
        for free, given in merged.inputs.items():
            if given.name in variables:
                weights[given.name] = bound[free]
                feeds[bound[free]] = read(variables[given.name])
            else:
                feeds[bound[free]] = inputs[given.name]
        wanted = []
        for names in scalars:
            scalar = tf.add_n([projection(twin.tensors[name]) for name in names])
            found = zip(weights, tf.gradients(scalar, list(weights.values())), strict=True)
            wanted.append((scalar, {name: tf.convert_to_tensor(value) for name, value in found if value is not None}))
        fetched: list[tuple[float, dict[str, np.ndarray]]] = session.run(wanted, feeds)
        return fetched


def projection(tensor: Any) -> Any:
    """The sum of a tensor's elements with fixed random weights."""
    assert tensor.dtype == tf.float64
    weights = tf.random.stateless_normal([tf.size(tensor)], seed=[3, 1], dtype=tf.float64)
    return tf.reduce_sum(tf.reshape(tensor, [-1]) * weights)
