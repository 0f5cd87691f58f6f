"""What replaces `hub.load_module_spec`, against the answers of tensorflow_hub 0.12.

They stand in tensorflow_hub_0_12.json, recorded by tensorflow_hub 0.12.0 on TensorFlow 2.20 in a throwaway environment:
`pip install --no-deps tensorflow-hub==0.12.0`, `PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=python` for its old protobuf
modules, and a bare package in the place of its `__init__`, which also imports an estimator that TensorFlow no longer
has. There `tensorflow_hub.config._run()` and `tensorflow_hub.module.load_module_spec(folder)` were asked, for each of
`get_tags()`: `get_signature_names`, `get_input_info_dict` and `get_output_info_dict` (`dtype.name`, `get_shape()`,
`is_sparse`) and `get_attached_message`, whose bytes are written in hex. The last entry is the module that `attach`
makes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import surgery
from surgery.module import InspectedModule, TensorInfo
from tests.support.editing import edited

ANSWERS = json.loads((Path(__file__).parent / "tensorflow_hub_0_12.json").read_text())
ATTACHED = "tf1_bert_small with attached messages"
MESSAGES = {
    (): (b"\x0a\x05about\x12\x02hi", b"\x0a\x05other\x12\x03\x08\x96\x01"),
    ("train",): (b"\x0a\x05about\x12\x08training",),
}
"""Messages in wire form, by the tags of the meta graph that they are attached to."""


def attach(saved_model: Any) -> None:
    for graph in saved_model.meta_graphs:
        messages = MESSAGES[tuple(graph.meta_info_def.tags)]
        graph.collection_def["hub_module_attachments"].bytes_list.value.extend(messages)


@pytest.fixture(params=ANSWERS)
def asked(request, modules, tmp_path) -> tuple[InspectedModule, list[dict[str, Any]]]:
    """A module, and what tensorflow_hub 0.12 answered for each of its tag sets."""
    folder = (
        edited(modules("tf1_bert_small"), tmp_path / "module", attach)
        if request.param == ATTACHED
        else modules(request.param)
    )
    return surgery.inspect(folder).module, ANSWERS[request.param]


def as_recorded(tensors: dict[str, TensorInfo]) -> dict[str, Any]:
    return {
        key: {"dtype": t.dtype, "shape": None if t.shape is None else list(t.shape), "sparse": False}
        for key, t in tensors.items()
    }


def test_the_tag_sets_are_those_of_tensorflow_hub(asked):
    module, answers = asked
    assert sorted(module.tag_sets) == [tuple(answer["tags"]) for answer in answers]


def test_signature_names_are_those_of_tensorflow_hub(asked):
    module, answers = asked
    for answer in answers:
        assert sorted(module.signature_names(answer["tags"])) == sorted(answer["signatures"])


def test_inputs_and_outputs_are_those_of_tensorflow_hub(asked):
    module, answers = asked
    for answer in answers:
        for name, signature in answer["signatures"].items():
            assert as_recorded(module.input_info(name, answer["tags"])) == signature["inputs"]
            assert as_recorded(module.output_info(name, answer["tags"])) == signature["outputs"]


def test_attached_messages_are_those_of_tensorflow_hub(asked):
    module, answers = asked
    for answer in answers:
        messages = answer["attached_messages"]
        assert {key: module.attached_message(key, answer["tags"]).hex() for key in messages} == messages
        assert module.attached_messages[tuple(answer["tags"])].keys() == messages.keys()


def test_without_tags_the_inference_graph_is_meant(modules):
    module = surgery.inspect(modules("tf1_bert_small")).module
    (inference,) = (answer for answer in ANSWERS["tf1_bert_small"] if not answer["tags"])
    assert sorted(module.signature_names()) == sorted(inference["signatures"])
    assert as_recorded(module.input_info("tokens")) == inference["signatures"]["tokens"]["inputs"]


def test_an_unknown_signature_tag_set_or_message_is_a_key_error_that_names_those_there_are(modules):
    module = surgery.inspect(modules("tf1_bert_small")).module
    with pytest.raises(KeyError, match=r"no signature 'default'; there are .*tokens"):
        module.input_info()
    with pytest.raises(KeyError, match=r"no meta graph with the tags .*serve.*train"):
        module.signature_names(["serve"])
    with pytest.raises(KeyError, match="no attached message 'about'; there are"):
        module.attached_message("about")
    with pytest.raises(KeyError, match=r"no meta graph with the tags .*serve.*train"):
        module.attached_message("about", ["serve"])
