"""An edited export takes what a conversion takes: a text export, warm-up requests, and what supplies its tokenizer."""

from __future__ import annotations

import pytest
import tensorflow as tf
import tensorflow_text  # noqa: F401  (registers the operations of the text export)

import surgery
from surgery.edits import KeepBlocks
from surgery.tfserving.served import WARMUP

pytestmark = pytest.mark.usefixtures("short_battery")

TEXTS = ["The quick brown fox jumps over the lazy dog.", "Hello"]


def test_an_edited_export_has_a_text_export_and_warm_up_requests(modules, tmp_path):
    edited = surgery.edit(modules("g3_small"), KeepBlocks("0:2"))
    done = edited.export(tmp_path / "out" / "1", text=True, seq_length=16, warmup=True)
    assert done.text_destination == tmp_path / "out_text" / "1"
    assert done.warmups.keys() == {done.destination, done.text_destination}
    for folder, requests in done.warmups.items():
        assert requests > 0
        assert (folder / WARMUP).is_file()
    outputs = tf.saved_model.load(str(done.text_destination)).signatures["text"](text=tf.constant(TEXTS))
    assert "encoder_outputs_1" in outputs
    assert "encoder_outputs_2" not in outputs
    tokens = outputs["input_mask"].numpy().astype(bool)
    assert tokens.sum(axis=1).max() <= 16
    tensors = tf.saved_model.load(str(done.destination)).signatures["serving_default"](
        input_word_ids=outputs["input_word_ids"],
        input_mask=outputs["input_mask"],
        input_type_ids=tf.zeros_like(outputs["input_mask"]),
    )
    for name, where in (("pooled_output", ...), ("encoder_outputs_1", tokens)):
        assert abs(outputs[name].numpy() - tensors[name].numpy())[where].max() < 1e-5


def test_what_the_text_export_cannot_be_is_refused_before_anything_is_written(modules, tmp_path):
    edited = surgery.edit(modules("g3_small"), KeepBlocks("0:2"))
    steps: list[str] = []
    with pytest.raises(surgery.UsageError, match="seq_length=4000: expected 3 to"):
        edited.export(tmp_path / "out" / "1", text=True, seq_length=4000, progress=lambda step, *_: steps.append(step))
    assert steps == ["inspect"]
    (tmp_path / "out_text" / "1").mkdir(parents=True)
    (tmp_path / "out_text" / "1" / "saved_model.pb").write_bytes(b"")
    with pytest.raises(surgery.UsageError, match="it exists already"):
        edited.export(tmp_path / "out" / "1", text=True)
    assert not (tmp_path / "out").exists()
