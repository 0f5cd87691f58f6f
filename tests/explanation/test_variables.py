"""What becomes of a module whose variables are renamed, doubled, resized or more than the table knows."""

from __future__ import annotations

import pytest

from surgery.errors import ContradictionError, UnexplainedError
from surgery.explanation.inferring import infer_architecture
from surgery.explanation.recognition import find_family
from tests.support import editing
from tests.support.editing import inspect_edited, inspected


def change(modules, tmp_path, edit, name: str = "g4_bert_mlm"):
    return inspect_edited(modules(name), tmp_path / name, edit)


@pytest.mark.parametrize("name", ["g4_bert_mlm", "g4_bert_v2", "g2_small"])
def test_a_renamed_variable_is_told_and_named(name: str, modules, tmp_path):
    before = next(v.name for v in inspected(modules(name)).variables if v.name.endswith("layer_1/output/bias"))
    module = change(modules, tmp_path, lambda s: editing.rename_variable(s, before, f"{before}es"), name)
    with pytest.raises(UnexplainedError) as caught:
        find_family(module)
    assert caught.value.details == (f"no row claims {before}es [64]", f"nothing matches {before}")
    assert "of 55" in caught.value.message or "of 60" in caught.value.message


def test_a_surplus_variable_is_told_and_named(modules, tmp_path):
    module = change(modules, tmp_path, lambda s: editing.add_variable(s, "adapter/kernel", (64, 8)))
    with pytest.raises(UnexplainedError, match=r"no row claims adapter/kernel \[64, 8\]"):
        infer_architecture(module)


def test_blocks_must_be_numbered_without_a_gap(modules, tmp_path):
    edit = lambda s: editing.add_variable(s, "transformer/layer_7/output/bias", (64,))  # noqa: E731
    with pytest.raises(UnexplainedError, match=r"nothing matches transformer/layer_7/self_attention/query/kernel"):
        infer_architecture(change(modules, tmp_path, edit))


@pytest.mark.parametrize("shape", [(65,), (64, 1), (0,), ()])
def test_a_variable_of_another_shape_is_a_contradiction_that_names_it(shape, modules, tmp_path):
    edit = lambda s: editing.reshape_variable(s, "transformer/layer_1/output/bias", shape)  # noqa: E731
    with pytest.raises(ContradictionError, match=r"transformer/layer_1/output/bias"):
        infer_architecture(change(modules, tmp_path, edit))


def test_two_shapes_that_disagree_are_both_named(modules, tmp_path):
    edit = lambda s: editing.reshape_variable(s, "type_embeddings/embeddings", (2, 63))  # noqa: E731
    with pytest.raises(ContradictionError) as caught:
        infer_architecture(change(modules, tmp_path, edit))
    assert "type_embeddings/embeddings" in caught.value.message
    assert "word_embeddings/embeddings" in caught.value.message or "position_embedding" in caught.value.message
