"""Modules that would take more time or memory than anybody has: each is refused at once, by a limit with a name."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import surgery
from surgery import limits
from surgery.errors import LimitError, ModuleError
from surgery.formats import saved_model as saved_model_pb
from surgery.formats.checkpoint_index import read_index
from surgery.formats.saved_model import SavedModel
from surgery.sources.checkpoint_tensors import CheckpointTensors
from tests.support.builders.checkpoints import build_released
from tests.support.editing import edited, node_defs, objects
from tests.support.synthetic import CNN, Function, write_saved_model

DEEP = "[" * 100_000 + "]" * 100_000


def refused(name: str, look: Any, *arguments: object, **options: object) -> LimitError:
    with pytest.raises(LimitError, match=rf"the limit {name} is [0-9]+.*, found ") as caught:
        look(*arguments, **options)
    return caught.value


@pytest.fixture
def checkpoint(modules, tmp_path) -> Path:
    """A Hugging Face checkpoint whose blocks share their weights, so that only its config counts them."""
    return shutil.copytree(modules("hf_albert"), tmp_path / "albert")


@pytest.mark.parametrize("name", ["bert_config.json", "bert_model.ckpt.index"])
def test_what_is_no_regular_file_is_not_opened(name, tmp_path):
    """A folder stands for a pipe, for whose writer a test without the check would wait for ever."""
    folder = build_released(tmp_path / "released")
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(ModuleError, match=rf"{re.escape(name)}: it is a folder, a pipe or a device, expected a file"):
        surgery.inspect(folder)


def test_more_operations_and_variables_than_any_model_has(modules, checkpoint):
    refused("nodes", surgery.inspect, modules("g3_small"), limits={"nodes": 1000})
    refused("variables", surgery.inspect, checkpoint, limits={"variables": 10})
    refused("text_bytes", surgery.inspect, checkpoint, limits={"text_bytes": 1000})
    refused("variables", lambda: read_index_within(modules("g3_small"), 10))


def test_graphs_beside_the_graph(modules, tmp_path):
    module = shutil.copytree(modules("g3_small"), tmp_path / "module")
    size = (module / "saved_model.pb").stat().st_size
    (module / "keras_metadata.pb").write_bytes(bytes(size + 1))
    assert (
        "keras_metadata.pb"
        in refused("saved_model_bytes", surgery.scan, module, limits={"saved_model_bytes": size}).message
    )
    with limits.raised({"saved_model_bytes": 1000}):
        refused("saved_model_bytes", CheckpointTensors, module / "variables" / "variables")


def read_index_within(module, variables):
    with limits.raised({"variables": variables}):
        read_index(module / "variables" / "variables.index")


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_json_nested_deeper_than_the_stack(name, checkpoint):
    (checkpoint / name).write_text(DEEP)
    assert f"albert/{name}: " in refused("json_depth", surgery.inspect, checkpoint).message


def test_a_manifest_nested_deeply_or_with_numbers_that_are_none(modules, tmp_path):
    export = shutil.copytree(modules("g3_small"), tmp_path / "export")
    (export / "assets.extra").mkdir()
    manifest = export / "assets.extra" / "surgery.json"
    manifest.write_text("[" * 300 + "]" * 300)
    assert "surgery.json" in refused("json_depth", surgery.serving, export).message
    assert surgery.serving(export, limits={"json_depth": 300})
    manifest.write_text('{"text": {"seq_length": Infinity, "pieces": 0, "vocabulary": ""}}')
    assert surgery.serving(export)


@pytest.mark.parametrize(("key", "limit"), [("num_hidden_layers", "blocks"), ("vocab_size", "config_number")])
def test_numbers_of_a_config(key, limit, checkpoint):
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps(config | {key: 10**9}))
    assert f"config.json of albert: {key}" in refused(limit, surgery.plan, checkpoint).message
    refused("blocks", surgery.plan, checkpoint, assume={"num_hidden_layers": 10**9}, limits={"config_number": 10**9})


def test_objects_far_below_the_root(modules, tmp_path):
    def chain(saved_model: Any) -> None:
        nodes = objects(saved_model).nodes
        owner = nodes[0]
        for _ in range(100_000):
            owner.children.add(node_id=len(nodes), local_name="child")
            owner = nodes.add()

    deep = edited(modules("g3_small"), tmp_path / "deep", chain)
    assert refused("object_depth", surgery.inspect, deep).message.startswith("reading ")
    refused("object_paths", surgery.inspect, deep, limits={"object_depth": 10**6})


def test_a_constant_of_a_few_bytes_with_more_elements_than_memory(modules, tmp_path):
    def swell(saved_model: Any) -> None:
        for node in node_defs(saved_model, ".*"):
            if node.op == "Const":
                node.attr["value"].tensor.tensor_shape.dim.add(size=2**40)

    swollen = edited(modules("g3_small"), tmp_path / "swollen", swell)
    assert "swollen" in refused("constant_elements", surgery.inspect, swollen).message


def test_functions_that_each_call_the_next_twice(modules, tmp_path):
    def double(saved_model: Any) -> None:
        graph_def = saved_model.meta_graphs[0].graph_def
        signature = next(f for f in graph_def.library.function if "signature_wrapper" in f.signature.name)
        Function(graph_def, "f0", ["x"]).returns(y="x")
        for number in range(30):
            function = Function(graph_def, f"f{number + 1}", ["x"])
            (once,) = function.call(f"f{number}", "x")
            function.returns(y=function.call(f"f{number}", once)[0])
        node = signature.node_def.add(name="doubling", op="PartitionedCall", input=["x"])
        node.attr["f"].func.name = "f30"

    doubling = edited(modules("g3_small"), tmp_path / "doubling", double)
    for look in (surgery.inspect, surgery.graph):
        refused("inlined_nodes", look, doubling)


def test_a_library_of_too_many_functions_and_a_file_of_too_many_bytes(modules):
    folder = modules("g3_small")
    refused("functions", surgery.inspect, folder, limits={"functions": 10})
    refused("saved_model_bytes", surgery.inspect, folder, limits={"saved_model_bytes": 1000})


def test_messages_nested_deeper_than_protobuf_reads(tmp_path):
    def field(number: int, content: bytes) -> bytes:
        tag, size, length = number << 3 | 2, len(content), b""
        for value in (tag, size):
            while value > 127:
                length += bytes([value & 127 | 128])
                value >>= 7
            length += bytes([value])
        return length + content

    value = b""
    for _ in range(60):
        value = field(51, field(1, value))  # StructuredValue.list_value.values
    function = field(1, b"f") + field(2, field(3, value))
    path = tmp_path / "saved_model.pb"
    path.write_bytes(field(2, field(7, field(2, function))))  # meta_graphs.object_graph_def.concrete_functions
    error = refused("message_depth", saved_model_pb.read, path)
    assert "cannot be raised" in error.hint
    path.write_bytes(SavedModel(saved_model_schema_version=1).SerializeToString() + b"\xff")
    with pytest.raises(ModuleError, match="do not parse"):
        saved_model_pb.read(path)


@pytest.mark.parametrize("sizes", [(3000, 3000), (2**62,)])
def test_example_inputs_of_a_signature(sizes, tmp_path):
    from surgery.graph_taps.made_inputs import made_batches
    from surgery.module import SignatureInfo, TensorInfo
    from surgery.tfserving.example_inputs import example_inputs

    def signature(*shape: int | None) -> SignatureInfo:
        tensor = TensorInfo(key="x", dtype="float32", shape=shape, name="x:0")
        return SignatureInfo(name="s", inputs=(tensor,), outputs=(), method_name="")

    refused("example_elements", example_inputs, signature(*sizes), 1, 8)
    refused("input_elements", list, made_batches(signature(2**62)))
    # Five free axes of 224 positions are left out, and smaller batches are made.
    assert {batch.arrays["x"].size for batch in made_batches(signature(*[None] * 5))} == {1, 3 * 7**4, 2 * 32**4}


@pytest.mark.parametrize("name", ["²", "٣"])
def test_a_folder_whose_name_is_no_number_to_programs_is_no_version(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exported" / "cnn" / name).mkdir(parents=True)
    folder = write_saved_model(tmp_path / "cnn" / name, CNN)
    assert surgery.inspect(folder).module.name == "module"
    from surgery.export.publish import choose_destination

    assert choose_destination(None, "cnn", overwrite=False) == Path("exported/cnn/1")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file or directory"),
        (b"\xff\xfe[CLS]", "can't decode byte"),
        (b"[PAD]\n[SEP]\n[UNK]\n[MASK]\nword\n", r"\[CLS\] is not among its 5 lines"),
    ],
    ids=["missing", "bytes", "without [CLS]"],
)
def test_a_vocabulary_is_looked_at_before_tensorflow_starts(content, words, modules, tmp_path):
    folder = shutil.copytree(modules("g4_bert_v2"), tmp_path / "bert")
    (vocabulary,) = (folder / "assets").iterdir()
    vocabulary.unlink()
    if content is not None:
        vocabulary.write_bytes(content)
    with pytest.raises(ModuleError, match=words):
        surgery.preprocess(folder, tmp_path / "out", lower_case=True)
    assert not (tmp_path / "out").exists()
