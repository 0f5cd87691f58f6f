"""Files that are no module are named as what they are, by their content, with what gets further. Nothing is loaded."""

from __future__ import annotations

import json
import shlex
import zipfile
from pathlib import Path

import pytest
from tensorboard.compat.proto import graph_pb2

import surgery
from surgery.errors import ModuleError

HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(100)


def packed(**members: str) -> bytes:
    path = Path("packed.zip")
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "."), text)
    return path.read_bytes()


def keras(version: str, config: str = "{}") -> bytes:
    return packed(metadata__json=json.dumps({"keras_version": version}), config__json=config)


def graph(*nodes: tuple[str, str, list[str]]) -> bytes:
    made = graph_pb2.GraphDef()
    for name, op, inputs in nodes:
        node = made.node.add(name=name, op=op, input=inputs)
        if op == "Const":
            node.attr["value"].tensor.tensor_content = bytes(5000)
    return made.SerializeToString()


FROZEN = [
    ("x", "Placeholder", []),
    ("w", "Const", []),
    ("read", "Identity", ["w"]),
    ("y", "MatMul", ["x:0", "read", "^idle"]),
    ("idle", "NoOp", []),
    ("probabilities", "Softmax", ["y"]),
]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def refused(path: str) -> ModuleError:
    with pytest.raises(ModuleError) as caught:
        surgery.inspect(path)
    return caught.value


@pytest.mark.parametrize("name", ["it's mine.keras", "renamed.zip", "model"])
def test_a_keras_file_is_known_by_its_content_and_its_line_is_quoted(name):
    Path(name).write_bytes(keras("3.10.0"))
    error = refused(name)
    assert "it is a Keras model (.keras)" in error.message
    folder = Path(name).stem if "." in name else "model_2"
    line = f"keras.models.load_model({name!r}).export({folder!r})"
    assert f"    import keras\n    {line}\n" in error.hint
    assert error.hint.endswith(f"surgery inspect {shlex.quote(folder)}")


@pytest.mark.parametrize(
    ("version", "config", "lines"),
    [
        ("2.20.1", "{}", "import tf_keras\n    tf_keras.models.load_model('m.keras').export('m')"),
        (
            "3.10.0",
            '{"class_name": "KerasLayer"}',
            "import tensorflow_hub, tf_keras\n    tf_keras.models.load_model('m.keras', "
            "custom_objects={'KerasLayer': tensorflow_hub.KerasLayer}).export('m')",
        ),
    ],
)
def test_a_keras_file_is_opened_by_the_keras_that_wrote_it(version, config, lines):
    Path("m.keras").write_bytes(keras(version, config))
    assert lines in refused("m.keras").hint


def test_an_export_beside_the_file_is_not_overwritten():
    Path("m.keras").write_bytes(keras("3.10.0"))
    Path("m").mkdir()
    assert ".export('m_2')" in refused("m.keras").hint


@pytest.mark.parametrize(
    ("name", "content", "what", "lead"),
    [
        ("m.h5", HDF5 + b"model_config", "a file of HDF5", "keras.models.load_model('m.h5').export('m')"),
        ("m.weights.h5", HDF5, "a file of HDF5", "model.load_weights('m.weights.h5')\n    model.export('m')"),
        ("m.bin", b"\x18\0\0\0TFL3" + bytes(20), "a LiteRT model", "cannot be turned back"),
        ("m.safetensors", b"\x02\0\0\0\0\0\0\0{}", "weights alone", "config.json"),
        ("pytorch_model.bin", b"\x80\x02}", "the weights of PyTorch, in a pickle", "runs the code in it"),
        ("m.onnx", b"\x08\x07", "an ONNX model", "cannot be turned back"),
        ("m.ckpt.data-00000-of-00001", b"\0" * 9, "one file of a TF1 checkpoint", "Put m.ckpt.index beside it"),
        ("4", b"\x1f\x8b\x08\0", "an archive under another name", "mv 4 4.tar.gz"),
        ("m.tar", b"<!DOCTYPE html><html>", "a page of the web", "the address leads to a page"),
        ("w.bin", b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS", "git lfs pull"),
        ("variables.pb", graph(("v", "VarHandleOp", [])), "a graph alone", "no values in this file (1 of them)"),
    ],
)
def test_a_file_is_named_as_what_it_is(name, content, what, lead):
    Path(name).write_bytes(content)
    error = refused(name)
    assert f"it is {what}" in error.message
    assert lead in error.hint


@pytest.mark.parametrize("name", ["frozen graph.pb", "frozen graph.bin"])
def test_a_frozen_graph_is_written_with_its_own_inputs_and_outputs(name):
    Path(name).write_bytes(graph(*FROZEN))
    error = refused(name)
    assert "it is a graph alone (GraphDef)" in error.message
    assert f"Path({name!r}).read_bytes()" in error.hint
    ends = "{'x': g.get_tensor_by_name('x:0')}, {'probabilities': g.get_tensor_by_name('probabilities:0')})"
    assert ends in error.hint
    assert "surgery graph 'frozen graph'" in error.hint


def test_a_damaged_graph_is_named_all_the_same():
    Path("cut.pb").write_bytes(graph(*FROZEN)[:-40])
    error = refused("cut.pb")
    assert "it is a graph alone" in error.message
    assert "SavedModel from which it was made" in error.hint


def test_a_file_of_a_folder_names_the_folder(modules):
    folder = modules("g3_small")
    error = refused(str(folder / "saved_model.pb"))
    assert "it is the graph of a SavedModel, without its variables" in error.message
    assert str(folder) in error.hint
    error = refused(str(folder / "variables" / "variables.index"))
    assert "it is the checkpoint of a SavedModel" in error.message
    assert error.hint == f"did you mean {folder}?"
    checkpoint = modules("hf_bert")
    for name in ("config.json", "model.safetensors"):
        assert str(checkpoint) in refused(str(checkpoint / name)).hint


def test_a_renamed_saved_model_gets_its_name_back(modules):
    Path("bert.pb").write_bytes((modules("g3_small") / "saved_model.pb").read_bytes())
    assert "mv bert.pb saved_model.pb" in refused("bert.pb").hint


def test_weights_beside_their_config_are_a_renaming_away():
    Path("config.json").write_text("{}")
    Path("bert.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    assert "mv bert.safetensors model.safetensors" in refused("bert.safetensors").hint
    Path("pytorch_model.bin").write_bytes(b"\x80\x02}")
    assert "from_pretrained('.').save_pretrained('pytorch_model', safe_serialization=True)" in (
        refused("pytorch_model.bin").hint
    )


def test_a_folder_of_such_a_file_names_it_too():
    Path("runs").mkdir()
    Path("runs/best.keras").write_bytes(keras("3.10.0"))
    error = refused("runs")
    assert "best.keras is a Keras model" in error.hint
    assert "keras.models.load_model('runs/best.keras').export('runs/best')" in error.hint


def test_a_folder_of_an_archive_leads_to_the_archive():
    Path("fetched").mkdir()
    Path("fetched/bert.tar.gz").write_bytes(b"\x1f\x8b")
    assert refused("fetched").hint == "did you mean fetched/bert.tar.gz?"


def test_a_file_given_for_an_export_is_named_too():
    Path("m.keras").write_bytes(keras("3.10.0"))
    for run in (lambda: surgery.serving("m.keras"), lambda: surgery.verify("m.keras", "m.keras")):
        with pytest.raises(ModuleError, match=r"opening the export .*m\.keras: it is a Keras model") as caught:
            run()
        assert "keras.models.load_model(" in caught.value.hint
