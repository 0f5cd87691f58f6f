"""Handles are fetched by the libraries made for them, from a server on this machine; each failure has its message."""

from __future__ import annotations

import io
import os
import re
import socket
import tarfile
import threading
from pathlib import Path

import pytest

import surgery
from surgery.errors import LimitError, ModuleError
from surgery.processes import network
from surgery.sources import fetching
from surgery.sources.handles import handle_of
from tests.support.model_hosts import KAGGLE, Host, files_of, of_json, serving

MODEL = "kaggle://us/bert/tensorflow2/small"


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A server that stands for all hosts; what the libraries keep lies in `tmp_path`, and no account is known."""
    for name in [
        name for name in os.environ if name.startswith(("HF_", "HUGGING", "KAGGLE", "TFHUB")) or "proxy" in name
    ]:
        monkeypatch.delenv(name)
    with serving(Host()) as found:
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setenv("HF_ENDPOINT", found.url)
        monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kaggle"))
        monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
        monkeypatch.setenv("PYTHONPATH", str(Path(surgery.__file__).parents[1]))
        monkeypatch.chdir(tmp_path)
        yield found


@pytest.fixture
def kaggle(host, monkeypatch):
    """The same server, as the proxy through which Kaggle is asked."""
    monkeypatch.setenv("http_proxy", host.url)
    return host


def refused(module: str, message: str, **arguments) -> ModuleError:
    with pytest.raises(ModuleError) as caught:
        surgery.inspect(module, **arguments)
    assert re.search(message, " ".join(str(caught.value).split())), caught.value
    return caught.value


def checkpoint(modules) -> dict[str, bytes]:
    """A checkpoint of Hugging Face, with the copies of its weights that most repositories have."""
    copies = {name: b"another" for name in ("pytorch_model.bin", "tf_model.h5", "onnx/model.onnx", "README.md")}
    return {**files_of(modules("hf_bert")), **copies}


@pytest.mark.parametrize("typed", ["us/bert", "hf://us/bert@v1"])
def test_a_model_of_hugging_face_is_fetched_without_the_copies_of_its_weights_and_once(typed, host, modules):
    host.files = checkpoint(modules)
    found = surgery.inspect(typed)
    assert (found.module.name, found.inference.family.name) == ("bert", "bert")
    assert host.fetched == {"config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"} & set(host.files)
    fetched, host.asked[:] = host.fetched, []
    assert fetched
    surgery.inspect(typed)
    assert not host.fetched


def test_a_model_that_was_fetched_is_there_without_the_network(host, modules, monkeypatch):
    host.files = checkpoint(modules)
    surgery.inspect("us/bert")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    assert surgery.inspect("us/bert").inference.family.name == "bert"
    refused(
        "us/other", r"no such folder or file\. Read as the id of a model.*127\.0\.0\.1 takes no connection \(.*refused"
    )


def test_a_saved_model_on_hugging_face_is_fetched_whole(host, modules):
    host.files = {**files_of(modules("g3_small")), "pytorch_model.bin": b"another"}
    assert surgery.inspect("hf://us/bert").inference.family.name == "bert"
    assert "pytorch_model.bin" not in host.fetched


def test_a_saved_model_of_transformers_is_fetched_with_the_vocabulary_around_it(host, modules):
    host.files = {**files_of(modules("hf_tf_bert_classifier")), "tf_model.h5": b"another", "README.md": b""}
    module = surgery.inspect("hf://us/bert").module
    assert module.format == "TF2 SavedModel of transformers (TFBertForSequenceClassification)"
    assert (module.name, module.assets) == ("bert", {"vocab_file": "../../vocab.txt"})
    assert not {"tf_model.h5", "README.md"} & set(host.fetched)


def test_an_old_id_leads_to_the_new_one(host, modules):
    host.files = checkpoint(modules)
    host.renamed["bert-base"] = "us/bert"
    assert surgery.inspect("hf://bert-base").module.name == "bert-base"


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (401, "RepoNotFound", r"Hugging Face has no model of this name, or it is private \(401\).*hf auth login"),
        (403, "GatedRepo", r"does not hand it out \(403\).*huggingface.co/us/bert, sign in, and accept its terms"),
        (404, "RevisionNotFound", "the model has no revision v9"),
        (500, "", "500"),
    ],
)
def test_hugging_face_refuses(status, code, message, host):
    host.answers["/api/models/"] = of_json({"error": "no"}, status, **({"X-Error-Code": code} if code else {}))
    refused("hf://us/bert@v9", message)


def test_an_id_that_is_nowhere_serves_both_readings(host):
    host.answers["/api/models/"] = of_json({"error": "no"}, 401, **{"X-Error-Code": "RepoNotFound"})
    error = refused("us/bert", "opening us/bert: there is no such folder or file. Read as the id of a model of Hugging")
    assert error.hint.startswith(f"if it is a path, check how it is written from {Path.cwd()}; otherwise:")


def test_a_repository_of_pickles_is_told_how_to_get_further(host):
    host.files = {"config.json": b"{}", "pytorch_model.bin": b"\x80"}
    error = refused("hf://us/bert", "its weights are pytorch_model.bin, a pickle")
    assert "from_pretrained('us/bert').save_pretrained('bert', safe_serialization=True)" in error.hint
    host.files = {"README.md": b""}
    refused("hf://us/bert", "neither model.safetensors nor saved_model.pb, found README.md what to do: choose a model")


def test_a_model_of_kaggle_is_fetched_once_by_way_of_its_redirects(kaggle, modules):
    kaggle.files = files_of(modules("g3_small"))
    found = surgery.inspect(MODEL)
    assert (found.module.name, found.inference.family.name) == ("bert_small", "bert")
    assert f"POST {KAGGLE}GetModelInstance" in kaggle.asked
    assert "GET /storage/variables/variables.index" in kaggle.asked
    kaggle.asked.clear()
    assert surgery.inspect(f"{MODEL}/3").module.fingerprint == found.module.fingerprint
    assert not kaggle.asked


def archive(members: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return packed.getvalue()


def test_a_large_model_of_kaggle_comes_as_an_archive(kaggle, modules):
    kaggle.archive = archive(files_of(modules("g3_small")))
    assert surgery.inspect(f"{MODEL}/1").inference.family.name == "bert"


def test_an_archive_of_kaggle_that_leads_outside_is_refused(kaggle, modules, tmp_path):
    (tmp_path / "secret").write_text("secret")
    kaggle.archive = archive(files_of(modules("g3_small")), {"assets/vocab2.txt": "../../../../../../../../secret"})
    refused(f"{MODEL}/1", "outside")
    kaggle.archive, kaggle.files = None, {"../../../../../../../evil": b"evil"}
    refused(f"{MODEL}/2", "the module has a file that lies outside of")
    assert not (tmp_path / "evil").exists()


def test_what_is_too_large_is_never_written_whole(kaggle, modules):
    kaggle.files = files_of(modules("g3_small"))
    with pytest.raises(LimitError, match="unpacked_bytes is 20000 bytes"):
        surgery.inspect(f"{MODEL}/1", limits={"unpacked_bytes": 20_000})


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, r"Kaggle does not hand it out \(403\): it is private, or wants you to accept.*KAGGLE_API_TOKEN"),
        (
            404,
            r"no such model, framework, variation or version \(404\).*compare it with https://www.kaggle.com/models/us",
        ),
    ],
)
def test_kaggle_refuses(status, message, kaggle):
    kaggle.answers[KAGGLE] = of_json({"code": status, "message": "no"}, status)
    refused(MODEL, message)


@pytest.mark.parametrize("module", ["hf://us/bert", MODEL])
def test_a_server_that_never_answers_ends_the_wait(module, kaggle):
    kaggle.mute = True
    error = refused(module, "has not answered in 1 seconds", limits={"answer_seconds": 1})
    assert "limits={'answer_seconds': 6}" in error.hint


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("hf://us/bert", ("huggingface_hub is not installed", "config.json, model.safetensors and vocab.txt of https")),
        (
            MODEL,
            ("kagglehub is not installed", "download it on https://www.kaggle.com/models/us/bert/tensorFlow2/small"),
        ),
        (
            "https://x.example/bert.tar.gz",
            ("tensorflow_hub is not installed", "download https://x.example/bert.tar.gz"),
        ),
    ],
)
def test_without_the_library_it_is_told_how(module, words, monkeypatch):
    monkeypatch.setattr(fetching, "find_spec", lambda name: None)
    error = refused(module, words[0])
    assert "pip install 'hub-surgery[handles]'" in error.hint
    assert words[1] in error.hint


def test_what_was_fetched_is_held_to_the_limits_and_has_no_links_or_pipes(tmp_path):
    folder = tmp_path / "module"
    folder.mkdir()
    (folder / "a").write_bytes(bytes(100))
    fetching.check_fetched(folder, "test")
    with surgery.limits.raised({"unpacked_bytes": 99}), pytest.raises(LimitError, match="unpacked_bytes"):
        fetching.check_fetched(folder, "test")
    (folder / "link").symlink_to(tmp_path)
    with pytest.raises(ModuleError, match="outside"):
        fetching.check_fetched(folder, "test")
    (folder / "link").unlink()
    os.mkfifo(folder / "pipe")
    with pytest.raises(ModuleError, match="pipe, which is neither"):
        fetching.check_fetched(folder, "test")


@pytest.fixture
def names(monkeypatch):
    """The hosts that have an address. Those in `names.hanging` never answer."""
    found = {"huggingface.co"}

    def look_up(host, port, *_, **__):
        if host == "hanging.example":
            threading.Event().wait(30)
        if host not in found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 1))]

    monkeypatch.setattr(network, "_look_up", look_up)
    monkeypatch.setattr(network, "LOOK_UP", 0.2)
    return found


def test_a_mistyped_host_and_no_network_are_two_things(names):
    assert network.reach("https://thfub.dev/google/1").kind == network.UNKNOWN_HOST
    assert network.reach("https://huggingface.co").kind == network.REFUSED
    names.clear()
    assert network.reach("https://thfub.dev/google/1").kind == network.OFFLINE
    assert network.reach("https://huggingface.co").kind == network.OFFLINE


def test_a_name_server_that_never_answers_ends_the_wait(names):
    names.clear()
    found = network.reach("http://hanging.example")
    assert (found.kind, found.said) == (network.OFFLINE, "no name server has answered in 0.2 seconds")


def test_each_trouble_has_a_message_of_its_own():
    handle = fetching.Handle(typed="https://thfub.dev/x", library="tensorflow_hub", address="", name="x", page="")
    messages = {
        kind: str(fetching._failure(handle, {"kind": kind, "host": "thfub.dev", "said": "so"}))
        for kind in (network.OFFLINE, network.UNKNOWN_HOST, network.REFUSED, network.SILENT)
    }
    assert len(set(messages.values())) == 4
    assert "there is no network" in messages[network.OFFLINE]
    assert "no host is called thfub.dev (so)\n  what to do: did you mean tfhub.dev?" in messages[network.UNKNOWN_HOST]


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (
            {"kind": "other", "said": "HTTPError: 500 for https://cdn.example/m?Signature=S3CRET&a=7 (try)"},
            "m?Sig",
        ),
        ({"kind": network.REFUSED, "host": "x.example", "said": "no way"}, "x.example takes no connection"),
        ({"kind": "too large", "said": ""}, "unpacked_bytes"),
    ],
)
def test_no_message_has_a_password_or_the_signature_of_an_address(told, kept):
    handle = handle_of("https://me:S3CRET@x.example/bert/1.tar.gz?token=S3CRET")
    error = fetching._failure(handle, told)
    assert kept in str(error)
    assert "https://x.example/bert/1.tar.gz?token=…" in str(error)
    assert "S3CRET" not in str(error) + str(error.hint)
    assert "S3CRET" not in handle_of("https://me:S3CRET@x.example").name
    assert "S3CRET" in handle.address  # which is what the library is given
