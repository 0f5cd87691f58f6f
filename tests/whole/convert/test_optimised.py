"""The graphs that TensorFlow runs: what its optimiser, with oneDNN, makes of an export's signatures on a CPU.

One process for all exports sets oneDNN before TensorFlow is imported. Processors without VNNI fuse neither GELU nor the
scale and the mask of attention: tiny graphs in that process say what can be expected here.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter

import pytest

from surgery.processes import child
from tests.support.running import ROOT, environment
from tests.support.writing import write

EXPORTS = {
    "tanh": ("g4_bert_mlm", {"taps": ["query", "attention_probs"], "features": ["text=mean/mean"]}),
    "erf, packed": ("exact_gelu_epsilon_1e-3", {"packed": True}),
    "relu": ("relu_epsilon_1e-5", {}),
}
"""A sample and a request, by the name of the export."""
BLOCKS = {"tanh": 3, "erf, packed": 2, "relu": 2}
ACTIVATIONS = {"tanh": "GeluApproximate", "erf, packed": "GeluExact", "relu": "Relu"}
DENSE = {"session": "_MklNativeFusedMatMul", "loaded": "_FusedMatMul"}
"""The fused dense layer, in a v1 Session and as `tf.saved_model.load` runs it."""
PLAIN = {"session": ("_MklMatMul", "_MklBatchMatMulV2"), "loaded": ("MatMul", "BatchMatMulV2")}
SCORES = "_MklFusedBatchMatMulV2"


@pytest.fixture(scope="module")
def optimised(source, tmp_path_factory):
    """What the process has found, exports by name."""
    root = tmp_path_factory.mktemp("optimised")
    folders = {name: write(source(sample), root / name, **asked) for name, (sample, asked) in EXPORTS.items()}
    done = subprocess.run(
        child.command("-m", "tests.support.optimised", *map(str, folders.values())),
        env=environment(TF_ENABLE_ONEDNN_OPTS="1", CUDA_VISIBLE_DEVICES="-1"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    return found["here"], {name: found["exports"][str(folder)] for name, folder in folders.items()}


def products(operations):
    """The products among counted operations."""
    return {name: count for name, count in operations.items() if "MatMul" in name or "Einsum" in name}


def expected(export, loader, here, *, pooled):
    """The products of an encoder with one fused operation for each dense layer, and one for each block's scores."""
    blocks, activation = BLOCKS[export], ACTIVATIONS[export]
    dense = f"{DENSE[loader]}{{BiasAdd%s}}"
    wanted = Counter({dense % "": 3 * blocks, dense % ",Add": 2 * blocks, dense % ",Tanh": int(pooled)})
    wanted[dense % (f",{activation}" if activation == "Relu" or f"BiasAdd,{activation}" in here else "")] += blocks
    matmul, batch_matmul = PLAIN[loader]
    wanted[matmul] += 1  # the embedding of token types, which has no bias
    wanted[batch_matmul] += blocks  # the weighted sum of values
    wanted[f"{SCORES}{{Mul,Add}}" if "Mul,Add" in here else batch_matmul] += blocks
    return dict(+wanted)


@pytest.mark.parametrize("loader", DENSE)
@pytest.mark.parametrize("export", EXPORTS)
def test_the_default_signature_has_one_operation_for_each_dense_layer(export, loader, optimised):
    here, exports = optimised
    found = exports[export][loader]["serving_default"]
    assert products(found) == expected(export, loader, here, pooled=True)


@pytest.mark.parametrize("loader", DENSE)
def test_a_signature_without_padding_has_them_too(loader, optimised):
    here, exports = optimised
    found = exports["tanh"][loader]["text"]
    assert products(found) == expected("tanh", loader, here, pooled=False)


@pytest.mark.parametrize("loader", DENSE)
def test_taps_are_computed_in_a_signature_of_their_own(loader, optimised):
    _, exports = optimised
    assert set(exports["tanh"][loader]) == {"serving_default", "taps", "text"}
    assert not any("Einsum" in name for name in exports["tanh"][loader]["taps"])
