"""What can go wrong in one family only is caught there, at the right place."""

from __future__ import annotations

from functools import partial

import pytest

import surgery
from surgery.export.weights import Weights


def transposed_projection(target, array, weight):
    return array.reshape(array.shape[::-1]).T.copy() if target == "embedding_projection/kernel" else None


def swapped_bottleneck_norms(target, array, weight):
    names = {"layer_1/bottleneck_input/norm": "layer_1/kq_shared_bottleneck/norm"}
    names |= {there: here for here, there in names.items()}
    return next((weight(target.replace(here, there)) for here, there in names.items() if here in target), None)


def swapped_softmax_weights(target, array, weight):
    if "layer_1/self_attention/pre_softmax_weight" in target:
        return weight(target.replace("pre_softmax", "post_softmax"))
    if "layer_1/self_attention/post_softmax_weight" in target:
        return weight(target.replace("post_softmax", "pre_softmax"))
    return None


@pytest.mark.parametrize(
    ("name", "change", "first"),
    [
        ("g4_albert", transposed_projection, "embedding_output"),
        ("g4_mobilebert", swapped_bottleneck_norms, "attention_scores_1"),
        ("g4_talkheads", swapped_softmax_weights, "encoder_outputs_1"),
    ],
)
def test_a_mistake_of_one_family_is_caught_where_it_is_made(name, change, first, source, tmp_path, monkeypatch):
    original = Weights.value

    def value(self, target):
        array = original(self, target)
        changed = change(target, array, partial(original, self))
        return array if changed is None else changed

    monkeypatch.setattr(Weights, "value", value)
    with pytest.raises(surgery.ParityError, match=rf"first (output )?to diverge is {first}\b"):
        surgery.convert(source(name), tmp_path / "out" / "1")
    assert not (tmp_path / "out").exists()


def test_mobilebert_keeps_what_its_source_exposes_beyond_the_contract(converted):
    done = converted("g4_mobilebert").conversion
    outputs = done.plan.signatures["serving_default"]
    for stem, count in (("encoder_outputs", 4), ("attention_scores", 3)):
        assert [name for name in outputs if name.startswith(stem)] == [f"{stem}_{i}" for i in range(count)]
