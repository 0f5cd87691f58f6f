"""What is read of TF1 SavedModels: hub.Modules and plain ones."""

from __future__ import annotations

import shutil

import pytest

import surgery
from surgery.errors import ModuleError
from tests.support.editing import edited, inspected


def test_the_facts_of_a_hub_module(modules):
    module = inspected(modules("tf1_bert_small"))
    assert module.format == "TF1 hub.Module"
    assert sorted(g.tags for g in module.meta_graphs) == [(), ("train",)]
    assert sorted(module.signatures) == ["mlm", "tokenization_info", "tokens"]
    assert [t.key for t in module.signatures["tokens"].inputs] == ["input_ids", "input_mask", "segment_ids"]
    assert [t.key for t in module.signatures["tokens"].outputs] == ["pooled_output", "sequence_output"]
    assert list(module.assets.values()) == ["assets/vocab.txt"]
    assert module.problems == ()


def test_variables_have_their_checkpoint_names_and_shapes(modules):
    variables = {v.name: v for v in inspected(modules("tf1_bert_small")).variables}
    assert variables["bert/embeddings/word_embeddings"].shape == (1200, 48)
    assert variables["bert/encoder/layer_2/attention/self/query/kernel"].shape == (48, 48)
    assert all(v.dtype == "float32" and v.trainable for v in variables.values())
    assert variables["bert/embeddings/word_embeddings"].nbytes == 4 * 1200 * 48


def test_the_shared_block_of_albert_is_listed_once(modules):
    names = [v.name for v in inspected(modules("tf1_albert_small")).variables]
    assert len(names) == len(set(names))
    assert [n for n in names if n.endswith("attention_1/self/query/kernel")] == [
        "bert/encoder/transformer/group_0/inner_group_0/attention_1/self/query/kernel"
    ]


def test_without_its_mark_it_is_a_plain_tf1_saved_model(modules, tmp_path):
    shutil.copytree(modules("tf1_bert_small"), tmp_path / "module")
    (tmp_path / "module" / "tfhub_module.pb").unlink()
    assert inspected(tmp_path / "module").format == "TF1 SavedModel"


def test_attached_messages_are_read_by_meta_graph(modules, tmp_path):
    def attach(saved_model):
        for graph in saved_model.meta_graphs:
            if not graph.meta_info_def.tags:
                graph.collection_def["hub_module_attachments"].bytes_list.value.append(b"\x0a\x05about\x12\x02hi")

    module = inspected(edited(modules("tf1_bert_small"), tmp_path / "module", attach))
    assert module.attached_messages == {(): {"about": b"hi"}, ("train",): {}}


@pytest.mark.parametrize("name", ["variables/variables.index", "assets/vocab.txt"])
def test_a_missing_file_is_named(name: str, modules, tmp_path):
    shutil.copytree(modules("tf1_bert_small"), tmp_path / "module")
    (tmp_path / "module" / name).unlink()
    with pytest.raises(ModuleError, match=name.partition(".")[0]):
        surgery.plan(tmp_path / "module")


@pytest.mark.parametrize(("name", "variables"), [("half_plus_two_v1", 0), ("text_segmenter_tf1", 1)])
def test_published_modules_can_be_inspected(name: str, variables: int, shared):
    found = surgery.inspect(shared(f"real/{name}.tar.gz"))
    assert found.module.format.startswith("TF1")
    assert len(found.module.variables) >= variables
    assert found.inference is None
