"""Reading `saved_model.pb`: a message, or a ModuleError that says what is wrong with the file."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from surgery.errors import ModuleError
from surgery.formats import saved_model as saved_model_pb


def test_a_sample_has_one_meta_graph_with_functions_and_objects(modules):
    saved_model = saved_model_pb.read(modules("g4_bert_mlm") / "saved_model.pb")
    assert saved_model.saved_model_schema_version == 1
    (graph,) = saved_model.meta_graphs
    assert list(graph.meta_info_def.tags) == ["serve"]
    assert graph.graph_def.library.function
    assert graph.object_graph_def.nodes


def test_a_tf1_module_has_two_meta_graphs(modules):
    saved_model = saved_model_pb.read(modules("tf1_bert_small") / "saved_model.pb")
    assert sorted(tuple(graph.meta_info_def.tags) for graph in saved_model.meta_graphs) == [(), ("train",)]


def test_writing_a_message_again_keeps_what_it_says(modules, tmp_path):
    before = saved_model_pb.read(modules("g3_small") / "saved_model.pb")
    (tmp_path / "saved_model.pb").write_bytes(before.SerializeToString())
    assert saved_model_pb.read(tmp_path / "saved_model.pb") == before


def test_a_missing_file_is_a_module_error(tmp_path):
    with pytest.raises(ModuleError, match="No such file"):
        saved_model_pb.read(tmp_path / "saved_model.pb")


@pytest.mark.parametrize("content", [b"", b"\x08\x01", b"no protobuf at all", b"\x00" * 64, b"\xff" * 64, b"\x12\x00"])
def test_garbage_is_a_module_error_that_names_the_file(content: bytes, tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(ModuleError, match=r"saved_model\.pb: expected") as caught:
        saved_model_pb.read(tmp_path / "saved_model.pb")
    assert f"{len(content)} bytes" in str(caught.value)
    assert caught.value.hint


def test_random_bytes_are_a_module_error(tmp_path):
    path = tmp_path / "saved_model.pb"
    for seed in range(50):
        path.write_bytes(random.Random(seed).randbytes(200))
        with pytest.raises(ModuleError):
            saved_model_pb.read(path)


def test_deeper_nesting_than_protobuf_allows_is_a_module_error(tmp_path):
    nested = b""
    for _ in range(200):
        nested = b"\x12" + bytes([len(nested) & 0x7F | 0x80, len(nested) >> 7]) + nested
    (tmp_path / "saved_model.pb").write_bytes(nested)
    with pytest.raises(ModuleError):
        saved_model_pb.read(tmp_path / "saved_model.pb")


def test_the_declared_message_does_not_clash_with_tensorflow_s_own():
    """Both live in one process when a conversion runs; TensorFlow is not needed to show that the names differ."""
    name = saved_model_pb.SavedModel.DESCRIPTOR.full_name
    assert name == "surgery.SavedModel"
    code = "from surgery.formats import saved_model; import sys; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
