"""The files of a module lie inside its folder, with links followed. Hugging Face's cache is the one exception."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import surgery
from surgery.errors import ModuleError
from surgery.export.text_facts import TextFacts
from surgery.formats import saved_model as saved_model_pb
from surgery.jobs.serve import serve_export

SAMPLES = {
    "g3_small": ("saved_model.pb", "variables/variables.index", "assets/vocab.txt", "variables", "assets"),
    "tf1_bert_small": ("saved_model.pb", "variables/variables.data-00000-of-00001", "assets/vocab.txt"),
    "hf_bert": ("config.json", "model.safetensors", "vocab.txt"),
    "tf1_bert_training": ("bert_config.json",),
}
LINKED = [(name, file) for name, files in SAMPLES.items() for file in files]


@pytest.fixture
def copied(source, tmp_path):
    return lambda name: Path(shutil.copytree(source(name), tmp_path / "module"))


def moved(folder: Path, file: str, target: Path) -> None:
    """Moves a file of a module, and leaves a link to it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(folder / file, target)
    (folder / file).symlink_to(os.path.relpath(target, (folder / file).parent))


@pytest.mark.parametrize(("name", "file"), LINKED)
def test_a_link_that_leads_out_is_refused_by_name(name: str, file: str, copied, tmp_path):
    folder = copied(name)
    moved(folder, file, tmp_path / "elsewhere" / "file")
    with pytest.raises(ModuleError) as caught:
        surgery.plan(folder)
    assert f"{file} leads to {tmp_path}/elsewhere/file, outside" in str(caught.value)
    assert "cp -rL" in caught.value.hint


@pytest.mark.parametrize("name", SAMPLES)
def test_links_inside_and_to_the_whole_folder_are_followed(name: str, copied, tmp_path):
    folder = copied(name)
    before = surgery.plan(folder)
    for number, path in enumerate(sorted(path for path in folder.rglob("*") if path.is_file())):
        moved(folder, path.relative_to(folder).as_posix(), folder / "..data" / f"{number}")
    (tmp_path / "link").symlink_to(folder)
    found = surgery.plan(tmp_path / "link")
    assert found.weights == before.weights
    assert found.module.fingerprint == before.module.fingerprint


def test_a_snapshot_of_hugging_faces_cache_links_into_its_own_blobs(source, tmp_path):
    model = tmp_path / "models--org--name"
    for name, revision in (("hf_bert", "abc"), ("g3_small", "def")):
        snapshot = model / "snapshots" / revision
        shutil.copytree(source(name), snapshot)
        for path in [path for path in snapshot.rglob("*") if path.is_file()]:
            moved(snapshot, path.relative_to(snapshot).as_posix(), model / "blobs" / f"{revision}{path.name}")
        assert surgery.plan(snapshot).module.problems == ()
        (tmp_path / revision).symlink_to(snapshot)
        assert surgery.plan(tmp_path / revision).module.problems == ()
    vocabulary = model / "snapshots" / "abc" / "vocab.txt"
    for target in (
        model / "refs" / "main",
        model / "blobs" / "deeper" / "file",
        tmp_path / "models--b" / "blobs" / "x",
    ):
        target.parent.mkdir(parents=True)
        target.write_text("[PAD]\n")
        vocabulary.unlink()
        vocabulary.symlink_to(target)
        with pytest.raises(ModuleError, match=r"vocab\.txt leads to"):
            surgery.plan(vocabulary.parent)


@pytest.mark.parametrize(
    "asset", ["../../outside.txt", "/etc/hostname", "../../module2/x", "a" * 5000, "x/../../../outside.txt"]
)
@pytest.mark.parametrize("name", ["g3_small", "tf1_bert_small"])
def test_an_asset_has_no_path_that_leads_out(name: str, asset: str, copied, tmp_path):
    folder = copied(name)
    (tmp_path / "outside.txt").write_text("secret")
    (tmp_path / "module2").mkdir()
    (tmp_path / "module2" / "x").write_text("secret")
    message = saved_model_pb.read(folder / "saved_model.pb")
    for meta_graph in message.meta_graphs:
        for file in meta_graph.asset_file_def:
            file.filename = asset
        packed = meta_graph.collection_def["saved_model_assets"].any_list.value
        for item in packed:
            item.value = item.value.replace(b"\x12\x09vocab.txt", b"\x12" + varint(len(asset)) + asset.encode())
    (folder / "saved_model.pb").write_bytes(message.SerializeToString())
    for command in (surgery.inspect, surgery.plan, lambda module: surgery.preprocess(module, tmp_path / "out")):
        with pytest.raises(ModuleError, match=r"outside of the module|cannot be followed"):
            command(folder)
    assert not (tmp_path / "out").exists()


def varint(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([number % 128 + 128, number // 128])


def test_what_tap_and_warm_up_copy_or_write_lies_inside_too(copied, tmp_path):
    folder = copied("g3_small")
    (tmp_path / "elsewhere").mkdir()
    for target in (tmp_path / "elsewhere", folder):
        (folder / "assets.extra").mkdir(exist_ok=True)
        (folder / "assets.extra" / "link").symlink_to(target)
        for command in (
            lambda: surgery.tap(folder, tmp_path / "out", "any"),
            lambda: serve_export(folder, warmup=True),
        ):
            with pytest.raises(ModuleError, match=r"assets\.extra/link"):
                command()
        shutil.rmtree(folder / "assets.extra")
    (folder / "assets.extra").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModuleError, match=r"assets\.extra leads to"):
        serve_export(folder, warmup=True)
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("vocabulary", ["/etc/hostname", "../outside.txt"])
def test_a_manifest_names_no_vocabulary_elsewhere(vocabulary: str, tmp_path):
    from surgery.export.text_facts import read_vocabulary

    (tmp_path / "outside.txt").write_text("secret")
    (tmp_path / "export").mkdir()
    with pytest.raises(ModuleError, match="outside of the module"):
        read_vocabulary(tmp_path / "export", TextFacts(seq_length=3, pieces=False, vocabulary=vocabulary))
