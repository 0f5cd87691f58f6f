"""What is read of TF1 checkpoints, how they are opened, and what is said of damaged ones."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

import surgery
from surgery.errors import ModuleError
from surgery.sources.location import locate
from tests.support.builders.checkpoints import build_released
from tests.support.editing import inspected

PREFIX, CONFIG = "bert_model.ckpt", "bert_config.json"
DATA = f"{PREFIX}.data-00000-of-00001"


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    """A released BERT checkpoint, to be changed."""
    return build_released(tmp_path / "uncased_L-3")


def refused(module: object, *words: str) -> ModuleError:
    with pytest.raises(ModuleError) as caught:
        surgery.plan(str(module))
    for word in words:
        assert word in str(caught.value)
    return caught.value


def test_the_facts_of_a_checkpoint(modules):
    module = inspected(modules("tf1_bert_checkpoint"))
    assert module.format == "TF1 checkpoint"
    assert module.assets == {"vocab_file": "vocab.txt"}
    assert (module.config.file, module.config.values["num_attention_heads"]) == (CONFIG, 6)
    assert set(module.fingerprint) == {CONFIG, f"{PREFIX}.index"}
    assert (module.traces, module.meta_graphs, module.problems) == ((), (), ())
    assert module.saved_model_bytes == 0


def test_its_variables_are_those_of_the_module_whose_weights_they_are(modules):
    def listing(name):
        return sorted((v.name, v.dtype, v.shape, v.nbytes) for v in inspected(modules(name)).variables)

    assert listing("tf1_bert_checkpoint") == listing("tf1_bert_small")
    assert listing("tf1_albert_checkpoint") == listing("tf1_albert_small")


def test_it_has_the_architecture_and_the_weights_of_that_module(modules):
    for name in ("bert", "albert"):
        checkpoint, module = (surgery.plan(modules(f"tf1_{name}_{kind}")) for kind in ("checkpoint", "small"))
        assert checkpoint.inference.architecture == module.inference.architecture
        targets = [{a.target: (a.variable.name, a.layout) for a in p.weights.assignments} for p in (checkpoint, module)]
        assert targets[0] == targets[1]


def test_a_sentencepiece_model_is_its_tokenizer(modules):
    assert inspected(modules("tf1_albert_checkpoint")).assets == {"sp_model_file": "30k-clean.model"}


def test_a_checkpoint_without_a_vocabulary_has_none(checkpoint):
    (checkpoint / "vocab.txt").unlink()
    assert surgery.plan(checkpoint).module.assets == {}


@pytest.mark.parametrize("file", [PREFIX, f"{PREFIX}.index", f"{PREFIX}.meta", DATA])
def test_it_may_be_given_by_its_prefix_or_by_a_file_of_it(file: str, checkpoint):
    (checkpoint / f"{PREFIX}.meta").write_bytes(b"")
    found = surgery.plan(checkpoint / file)
    assert found.module.folder == str(checkpoint)
    assert found.weights == surgery.plan(checkpoint).weights


def test_a_prefix_may_be_relative(checkpoint, monkeypatch):
    monkeypatch.chdir(checkpoint)
    assert surgery.plan(PREFIX).weights == surgery.plan(checkpoint).weights


def test_a_prefix_without_an_index_is_not_there(checkpoint):
    refused(checkpoint / "model.ckpt-7", "model.ckpt-7: there is no such folder or file")


def packed(folder: Path, archive: Path, prefix: str) -> Path:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
            for path in sorted(folder.iterdir()):
                zipped.write(path, prefix + path.name)
    else:
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(folder, prefix or ".")
    return archive


@pytest.mark.parametrize("prefix", ["", "uncased_L-3/", "a/b/c/"])
@pytest.mark.parametrize("ending", [".zip", ".tar.gz"])
def test_an_archive_of_it_gives_the_same_plan_and_its_weights_stay_packed(ending, prefix, checkpoint, tmp_path):
    archive = packed(checkpoint, tmp_path / f"released{ending}", prefix)
    with locate(str(archive), with_weights=False) as files:
        assert files.left_out == {DATA}
        assert not list(files.folder.glob("*.data-*"))
    found = surgery.plan(archive)
    assert found.module.name == "released"
    assert found.module.problems == ()
    assert found.module.fingerprint == surgery.plan(checkpoint).module.fingerprint
    assert found.weights == surgery.plan(checkpoint).weights


def test_an_archive_that_lacks_the_weights_says_so(checkpoint, tmp_path):
    (checkpoint / DATA).unlink()
    refused(packed(checkpoint, tmp_path / "released.zip", "a/"), f"{PREFIX}.data-* is missing")


@pytest.fixture
def two(checkpoint) -> Path:
    """A folder with two checkpoints: the second is ALBERT's."""
    other = build_released(checkpoint.parent / "other", "tf1_albert_small")
    for path in other.glob("model.ckpt-best.*"):
        shutil.copy(path, checkpoint / path.name.replace("model.ckpt-best", "model.ckpt-1000"))
    return checkpoint


def test_several_checkpoints_in_a_folder_are_all_named(two):
    error = refused(two, "expected one checkpoint, found bert_model.ckpt, model.ckpt-1000")
    assert str(two / "model.ckpt-1000") in error.hint


def test_one_of_several_may_be_given_by_its_prefix(two):
    assert len(surgery.plan(two / PREFIX).module.variables) == 60
    (two / CONFIG).rename(two / "albert_config.json")
    found = surgery.inspect(two / "model.ckpt-1000.index").module
    assert len(found.variables) == 28
    assert "model.ckpt-1000.index" in found.fingerprint


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (f"{PREFIX}.index", ("expected one checkpoint, found a config file without any *.index",)),
        (DATA, (f"{PREFIX}.data-* is missing: there are no weights",)),
        (CONFIG, ("expected bert_config.json or albert_config.json beside the checkpoint, found neither",)),
    ],
)
def test_a_missing_file_is_named(file: str, words, checkpoint):
    (checkpoint / file).unlink()
    refused(checkpoint, *words)


@pytest.mark.parametrize("file", [f"{PREFIX}.index", DATA, CONFIG])
def test_an_empty_file_is_named(file: str, checkpoint):
    (checkpoint / file).write_bytes(b"")
    refused(checkpoint, file)


def test_a_missing_shard_is_counted(checkpoint):
    (checkpoint / DATA).rename(checkpoint / f"{PREFIX}.data-00000-of-00002")
    refused(checkpoint, f"{PREFIX}.data-*: expected 2 shards, found 1")


def test_the_shards_of_another_checkpoint_are_not_its_own(checkpoint):
    (checkpoint / DATA).rename(checkpoint / "model.ckpt-7.data-00000-of-00001")
    refused(checkpoint, f"{PREFIX}.data-* is missing")


def test_two_configs_do_not_say_which_is_meant(checkpoint):
    shutil.copy(checkpoint / CONFIG, checkpoint / "albert_config.json")
    refused(checkpoint, "found albert_config.json and bert_config.json")


@pytest.mark.parametrize(
    ("content", "word"), [(b"{", "Expecting"), (b"[1]", "found a list"), (b"\xff\xfe", "decode"), (b"null", "NoneType")]
)
def test_a_config_that_is_no_json_object_is_a_damaged_file(content: bytes, word: str, checkpoint):
    (checkpoint / CONFIG).write_bytes(content)
    refused(checkpoint, str(checkpoint / CONFIG), word)


def test_a_damaged_index_is_named(checkpoint):
    index = checkpoint / f"{PREFIX}.index"
    index.write_bytes(index.read_bytes()[:-9])
    refused(checkpoint, str(index), "expected the index of a checkpoint")


def test_an_object_based_checkpoint_of_tf2_is_refused(checkpoint, modules):
    shutil.copy(modules("g4_bert_mlm") / "variables" / "variables.index", checkpoint / f"{PREFIX}.index")
    error = refused(checkpoint, str(checkpoint / PREFIX), "TF2 object-based checkpoint")
    assert "SavedModel" in error.hint


def test_a_folder_above_it_gets_the_right_hint(checkpoint):
    assert str(checkpoint) in refused(checkpoint.parent, "TF1 checkpoint (bert_config.json").hint


def test_a_saved_model_is_no_checkpoint_though_it_has_one_inside(modules):
    assert inspected(modules("tf1_bert_small")).format == "TF1 hub.Module"
    refused(modules("g3_small") / "variables", "expected bert_config.json or albert_config.json")
