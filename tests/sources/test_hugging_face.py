"""What is read of Hugging Face checkpoints, and what is said of damaged ones and of pickles."""

from __future__ import annotations

import json
import pickle
import re
import struct
from pathlib import Path

import numpy as np
import pytest

import surgery
from surgery.errors import ModuleError, UnexplainedError
from tests.support.builders import hugging_face
from tests.support.builders.common import change_config
from tests.support.builders.hugging_face import build
from tests.support.editing import inspected

WEIGHTS = "model.safetensors"


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    """A BERT checkpoint, to be changed."""
    return build(tmp_path / "bert")


def refused(module: object, *words: str) -> ModuleError:
    with pytest.raises(ModuleError) as caught:
        surgery.plan(str(module))
    for word in words:
        assert word in str(caught.value)
    return caught.value


def test_the_facts_of_a_checkpoint(modules):
    module = inspected(modules("hf_electra"))
    assert module.format == "Hugging Face checkpoint"
    assert module.assets == {"vocab_file": "vocab.txt"}
    assert (module.config.file, module.config.values["model_type"]) == ("config.json", "electra")
    assert set(module.fingerprint) == {"config.json", WEIGHTS}
    assert (module.traces, module.meta_graphs, module.problems) == ((), (), ())
    assert module.constants == {}


def test_its_tensors_are_listed_with_names_shapes_and_dtypes(modules):
    variables = {v.name: v for v in inspected(modules("hf_bert")).variables}
    assert len(variables) == 55
    assert list(variables) == sorted(variables)
    assert variables["embeddings.word_embeddings.weight"].shape == (1200, 48)
    assert variables["encoder.layer.2.intermediate.dense.weight"].shape == (96, 48)
    assert {(v.dtype, v.trainable) for v in variables.values()} == {("float32", True)}
    assert variables["pooler.dense.weight"].nbytes == 4 * 48 * 48


def test_values_are_read_one_at_a_time_as_they_are_stored(modules):
    module = inspected(modules("hf_bert"))
    tensors = module.open_tensors()
    tensors.check(module.variables)
    header, body = parts(modules("hf_bert") / WEIGHTS)
    for variable in module.variables:
        begin, end = header[variable.name]["data_offsets"]
        assert tensors.read(variable).tobytes() == body[begin:end]
        assert tensors.read(variable).shape == variable.shape


def test_a_buffer_of_whole_numbers_is_not_trainable(tmp_path):
    module = inspected(build(tmp_path / "bert", hugging_face.scoped("bert")))
    (buffer,) = [v for v in module.variables if v.name == "bert.embeddings.position_ids"]
    assert (buffer.dtype, buffer.shape, buffer.trainable, buffer.nbytes) == ("int64", (1, 64), False, 512)


@pytest.mark.parametrize("model", ["bert", "albert", "electra"])
def test_a_checkpoint_with_scope_and_early_names_has_the_weights_of_the_bare_model(model: str, modules, tmp_path):
    changes = hugging_face.scoped(model), hugging_face.early_names
    scoped = surgery.plan(build(tmp_path / "scoped", *changes, sample=f"hf_{model}")).weights
    bare = surgery.plan(modules(f"hf_{model}")).weights

    def places(weights):
        later = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias", f"{model}.": ""}
        name = re.compile("|".join(map(re.escape, later)))
        return {a.target: (name.sub(lambda old: later[old[0]], a.variable.name), a.layout) for a in weights.assignments}

    assert places(scoped) == places(bare)
    assert [d.variable.name for d in scoped.dropped] == [f"{model}.embeddings.position_ids"]


@pytest.mark.parametrize(
    ("said", "constants"),
    [('{"do_lower_case": true}', {"do_lower_case": True}), ('{"do_lower_case": "yes"}', {}), ("[]", {}), ("{", {})],
)
def test_the_tokenizer_s_own_config_may_say_whether_it_lowers_case(said: str, constants, checkpoint):
    (checkpoint / "tokenizer_config.json").write_text(said, encoding="utf-8")
    found = surgery.plan(checkpoint).module.constants
    assert {name: value.item() for name, value in found.items()} == constants


def test_a_sentencepiece_model_is_its_tokenizer_also_beside_a_vocabulary(checkpoint):
    (checkpoint / "spiece.model").write_bytes(b"pieces")
    assert surgery.plan(checkpoint).module.assets == {"sp_model_file": "spiece.model"}


def parts(path: Path) -> tuple[dict, bytes]:
    """Header and bytes of a safetensors file: the header's length, a JSON object, then the tensors' bytes."""
    data = path.read_bytes()
    end = 8 + struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:end]), data[end:]


BYTE_PAIRS = {
    "bpe_vocab_file": "vocab.json",
    "bpe_merges_file": "merges.txt",
    "tokenizer_config_file": "tokenizer_config.json",
}


@pytest.mark.parametrize(
    ("sample", "files"),
    [
        ("hf_distilbert", {"vocab_file": "vocab.txt"}),
        ("hf_roberta", BYTE_PAIRS),
        ("hf_xlm_roberta", {"xlm_roberta_sp_model_file": "sentencepiece.bpe.model"}),
    ],
)
def test_the_tokenizer_s_files_are_known_by_what_they_are(sample, files, modules):
    assert inspected(modules(sample)).assets == files


@pytest.mark.parametrize(
    ("tokenizer", "model_type", "attribute"),
    [
        ({"tokenizer_class": "XLMRobertaTokenizerFast"}, "bert", "xlm_roberta_sp_model_file"),
        ({}, "xlm-roberta", "xlm_roberta_sp_model_file"),
        ({"tokenizer_class": "CamembertTokenizer"}, "xlm-roberta", "fairseq_sp_model_file"),
        ({}, "bert", "fairseq_sp_model_file"),
    ],
)
def test_the_tokenizer_s_class_says_how_the_ids_of_pieces_are_moved(tokenizer, model_type, attribute, checkpoint):
    (checkpoint / "sentencepiece.bpe.model").write_bytes(b"pieces")
    (checkpoint / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    change_config(checkpoint / "config.json", model_type=model_type)
    assert inspected(checkpoint).assets == {attribute: "sentencepiece.bpe.model"}


def test_a_file_cut_anywhere_is_a_damaged_checkpoint(checkpoint):
    path = checkpoint / WEIGHTS
    whole = path.read_bytes()
    header = 8 + struct.unpack("<Q", whole[:8])[0]
    for length in (0, 1, 7, 8, 9, header // 2, header - 1, header, header + 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        refused(checkpoint, str(path), "truncated or damaged")


@pytest.mark.parametrize(
    "content", [b"\xff" * 64, b"PK\x03\x04" + bytes(64), struct.pack("<Q", 2) + b"[]", struct.pack("<Q", 2) + b"{}more"]
)
def test_another_file_under_the_name_is_a_damaged_checkpoint(content: bytes, checkpoint):
    (checkpoint / WEIGHTS).write_bytes(content)
    refused(checkpoint, str(checkpoint / WEIGHTS), "truncated or damaged")


def test_a_header_that_promises_more_than_there_is_is_a_damaged_checkpoint(checkpoint):
    header, body = parts(checkpoint / WEIGHTS)
    header["pooler.dense.bias"]["shape"] = [49]
    text = json.dumps(header).encode()
    (checkpoint / WEIGHTS).write_bytes(struct.pack("<Q", len(text)) + text + body)
    refused(checkpoint, str(checkpoint / WEIGHTS), "truncated or damaged")


def test_missing_files_are_named(checkpoint):
    (checkpoint / WEIGHTS).rename(checkpoint / "tf_model.h5")
    refused(checkpoint, "expected model.safetensors beside config.json, found tf_model.h5")
    (checkpoint / "tf_model.h5").unlink()
    refused(checkpoint, "expected model.safetensors beside config.json, found no weights")
    (checkpoint / "config.json").unlink()
    (checkpoint / WEIGHTS).write_bytes(b"")
    refused(checkpoint, "expected config.json beside model.safetensors")


def test_weights_in_several_files_are_not_read_in_part(checkpoint):
    (checkpoint / WEIGHTS).rename(checkpoint / "model-00001-of-00002.safetensors")
    (checkpoint / "model.safetensors.index.json").write_text("{}", encoding="utf-8")
    refused(checkpoint, "spread over several files", "model.safetensors.index.json")


class Trap:
    """A pickle that leaves a file behind when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "epoch_3.ckpt"])
def test_a_pickle_is_refused_and_never_opened(name: str, checkpoint, tmp_path):
    (checkpoint / WEIGHTS).unlink()
    trap = pickle.dumps(Trap(tmp_path / "sprung"))
    (checkpoint / name).write_bytes(trap)
    error = refused(checkpoint, f"{name} is a pickle", "would run whatever code it holds")
    assert "safe_serialization=True" in error.hint
    with pytest.raises(ModuleError):
        surgery.inspect(checkpoint)
    assert not (tmp_path / "sprung").exists()
    pickle.loads(trap)
    assert (tmp_path / "sprung").exists()


def test_a_pickle_beside_the_weights_does_not_matter(checkpoint):
    (checkpoint / "pytorch_model.bin").write_bytes(b"a pickle")
    assert len(surgery.plan(checkpoint).weights.assignments) == 55


@pytest.mark.parametrize(("content", "word"), [("{", "Expecting"), ("[1]", "found a list")])
def test_a_config_that_is_no_json_object_is_a_damaged_file(content: str, word: str, checkpoint):
    (checkpoint / "config.json").write_text(content, encoding="utf-8")
    refused(checkpoint, str(checkpoint / "config.json"), word)


def test_weights_of_half_precision_are_refused_by_name(tmp_path):
    halved = build(tmp_path / "half", lambda tensors: {name: v.astype(np.float16) for name, v in tensors.items()})
    with pytest.raises(UnexplainedError, match=r"embeddings\.LayerNorm\.bias .*expected float32, found float16"):
        surgery.plan(halved)


def test_half_a_pooler_is_refused(tmp_path):
    with pytest.raises(UnexplainedError, match=r"nothing matches the row .*pooler\.dense\.bias"):
        surgery.plan(build(tmp_path / "bert", hugging_face.lacking(r"pooler\.dense\.bias")))
