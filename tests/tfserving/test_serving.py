"""`surgery serving` without TensorFlow: signatures, bytes, commands and files, and what it refuses."""

from __future__ import annotations

import ast
import json
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from click.testing import CliRunner
from google.protobuf import text_format

import surgery
from surgery.cli.main import main
from surgery.errors import ModuleError, UsageError
from surgery.export.manifest import MANIFEST
from surgery.formats import saved_model as saved_model_pb
from surgery.jobs.serve import serve_export
from surgery.module import SignatureInfo, TensorInfo
from surgery.sources.location import module_name
from surgery.tfserving.commands import RELEASE, image
from surgery.tfserving.compilation import compiled_functions
from surgery.tfserving.config_files import batching_config, models_config
from surgery.tfserving.example_inputs import example_inputs
from surgery.tfserving.reply_size import LIMIT, largest, reply_bytes, tensor_bytes
from tests.support.batching_parameters import batching_parameters
from tests.support.probing import run as run_and_probe
from tests.support.running import surgery as run_in_shell
from tests.support.synthetic import CNN, write_saved_model


@pytest.fixture
def versioned(modules, tmp_path):
    """A module with block outputs as version 3 of `bert`."""
    return shutil.copytree(modules("g4_bert_mlm"), tmp_path / "bert" / "3")


def run(*arguments: object):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_the_json_tells_what_goes_in_and_out_and_what_it_costs(versioned):
    data = json.loads(run("serving", versioned, "--batch", 3, "--length", 10, "--json").stdout)
    assert (data["model"], data["version"], data["base_path"]) == ("bert", 3, str(versioned.parent))
    assert (data["batch"], data["length"], data["limit"]) == (3, 10, 4194304)
    found = data["signatures"]["serving_default"]
    assert {t["key"]: (t["dtype"], t["shape"]) for t in found["inputs"]} == dict.fromkeys(
        ("input_mask", "input_type_ids", "input_word_ids"), ("int32", [None, None])
    )
    sizes = {t["key"]: t["bytes"] for t in found["outputs"]}
    hidden = 64
    assert 3 * 10 * hidden * 4 < sizes["bert_encoder_1"] < 3 * 10 * hidden * 4 + 30
    assert 3 * hidden * 4 < sizes["bert_encoder"] < 3 * hidden * 4 + 30
    assert found["fits"]
    assert found["advice"] == []
    assert set(data["files"]) == {"models.config", "batching.config", "client.py"}


def test_the_text_tells_the_same_and_never_folds_what_is_to_be_copied(versioned):
    data = json.loads(run("serving", versioned, "--json").stdout)
    done = run_in_shell("serving", versioned, COLUMNS="40")
    assert done.returncode == 0
    assert done.stderr == ""
    for text in (*data["commands"].values(), *data["files"].values(), *data["flags"]):
        if text is not None:
            assert text.rstrip("\n") in done.stdout
    prose = done.stdout[: done.stdout.index("\nFlags of the server")]
    assert all(len(line) <= 40 or str(versioned.parent) in line for line in prose.splitlines())
    assert f"  {versioned}\n" in prose


def test_a_signature_that_leaves_padding_out_says_so_and_where_its_outputs_are_zero(versioned):
    manifest = versioned / MANIFEST
    manifest.parent.mkdir(exist_ok=True)
    zeros = {"serving_default": ["bert_encoder_1"]}
    for packed, said in (({}, []), (zeros, zeros["serving_default"]), ({"serving_default": []}, [])):
        manifest.write_text(json.dumps({"packed": packed}))
        found = json.loads(run("serving", versioned, "--json").stdout)["signatures"]["serving_default"]
        assert (found["packed"], found["zeros"]) == (bool(packed), said)
        shown = run("serving", versioned, "--signature", "serving_default").stdout
        rows = [line.split()[1] for line in shown.splitlines() if line.endswith(" zeros")]
        assert rows == said
        assert ("padding is not computed" in shown) == bool(packed)
        assert ("no output shows it" in shown) == (bool(packed) and not said)


def test_a_reply_that_is_too_large_says_by_how_much_and_what_to_do(versioned):
    found = serve_export(versioned, batch=64, length=96)
    reply = found.served.first.reply
    assert not reply.fits
    assert reply.largest_batch is not None
    assert 0 < reply.largest_batch < 64
    assert serve_export(versioned, batch=reply.largest_batch, length=96).served.first.reply.fits
    assert not serve_export(versioned, batch=reply.largest_batch + 1, length=96).served.first.reply.fits
    shown = run("serving", versioned, "--batch", 64, "--length", 96).stdout
    assert "does NOT fit" in shown
    words = " ".join(shown.split())
    for told in ("grpc.max_receive_message_length", "bert_encoder alone", f"{reply.largest_batch} of 96", "--feature"):
        assert told in words
    assert f"RECEIVE = {2 * reply.total // 2**20 + 1} * 2**20" in found.files["client.py"]


def test_signatures_can_be_named_and_what_there_is_not_is_refused(versioned):
    data = json.loads(run("serving", versioned, "--signature", "serving_default", "--json").stdout)
    assert list(data["signatures"]) == ["serving_default"]
    done = run("serving", versioned, "--signature", "default")
    assert done.exit_code == 2
    assert "it has serving_default" in done.stderr


def test_versions_that_the_server_would_prefer_are_told_and_the_one_meant_is_pinned(versioned):
    assert "model_version_policy" not in serve_export(versioned).files["models.config"]
    for name in ("4", "12", "notes"):
        (versioned.parent / name).mkdir()
    found = serve_export(versioned)
    assert found.served.versions.newer == (4, 12)
    assert (found.server, found.docker, found.docker_gpu) == (None, None, None)  # they would need models.config
    assert "Server\nit needs models.config here: --output DIR writes it" in run("serving", versioned).stdout
    assert "versions: 3" in found.files["models.config"]
    assert any("also has version 12" in note for note in found.notes)


def test_a_folder_without_a_version_is_told_with_the_command_that_mends_it(modules, tmp_path):
    folder = shutil.copytree(modules("g3_small"), tmp_path / "größe 1")
    shutil.copytree(folder, tmp_path / "grosse_1_served" / "1" / "there before")
    found = serve_export(folder)
    assert (found.served.model, found.served.version) == ("grosse_1", None)
    assert module_name(str(folder)) == "grosse_1"
    assert any("served as grosse_1" in note and "(größe 1)" in note for note in found.notes)
    assert any("would find nothing" in note for note in found.notes)
    assert found.move is not None
    subprocess.run(found.move, shell=True, check=True)
    moved = found.served.base_path / "2"
    assert serve_export(moved).served.version == 2
    assert str(found.served.base_path) in found.server
    assert str(found.served.base_path) in found.files["models.config"]


def test_batching_is_left_out_where_requests_may_differ_in_length(versioned):
    found = serve_export(versioned)
    assert "--enable_batching" not in found.server
    assert any("pad_variable_length_inputs" in note and "first value" in note for note in found.notes)
    cnn = write_saved_model(versioned.parent / "5", CNN)
    assert "--enable_batching" in serve_export(cnn, output=versioned.parents[1] / "config").server
    assert "--enable_batching" not in serve_export(cnn).server  # it would need batching.config


def test_the_configuration_files_are_what_the_server_parses(tmp_path):
    from tensorflow_serving.config import model_server_config_pb2

    config = model_server_config_pb2.ModelServerConfig()
    labels = {"stable": 7, "canary": 9}
    text_format.Parse(models_config("bert", Path("/served/my bert"), (7, 9), labels), config)
    (entry,) = config.model_config_list.config
    assert (entry.name, entry.base_path, entry.model_platform) == ("bert", "/served/my bert", "tensorflow")
    assert list(entry.model_version_policy.specific.versions) == [7, 9]
    assert dict(entry.version_labels) == labels
    plain = text_format.Parse(models_config("bert", Path("/b")), model_server_config_pb2.ModelServerConfig())
    assert not plain.model_config_list.config[0].HasField("model_version_policy")
    for batch, most in ((1, 32), (33, 64), (64, 64)):
        parameters = text_format.Parse(batching_config(batch), batching_parameters()())
        assert parameters.max_batch_size.value == most
        allowed = list(parameters.allowed_batch_sizes)
        assert allowed == sorted(set(allowed))
        assert (allowed[0], allowed[-1]) == (1, most)  # else the server refuses to start
        assert not parameters.pad_variable_length_inputs


def test_the_files_are_written_together_and_replaced_when_told_so_only(versioned, tmp_path):
    output = tmp_path / "files"
    done = run("serving", versioned, "--output", output)
    assert done.exit_code == 0
    assert f"wrote {output}/models.config" in done.stdout
    names = {"models.config", "batching.config", "client.py"}
    assert {path.name for path in output.iterdir()} == names
    ast.parse((output / "client.py").read_text())
    (output / "mine.txt").write_text("kept")
    (output / "client.py").write_text("changed")
    refused = run("serving", versioned, "--output", output)
    assert refused.exit_code == 2
    assert "there already" in refused.stderr
    assert (output / "client.py").read_text() == "changed"
    assert run("serving", versioned, "--output", output, "--overwrite").exit_code == 0
    assert (output / "client.py").read_text() != "changed"
    assert {path.name for path in output.iterdir()} == names | {"mine.txt"}
    assert {path.name for path in tmp_path.iterdir()} == {"bert", "files"}


def test_the_server_is_pointed_to_the_files_where_they_are(versioned, tmp_path):
    found = serve_export(versioned, output=tmp_path / "my files")
    flags = shlex.split(found.server)
    assert f"--model_config_file={tmp_path / 'my files' / 'models.config'}" in flags
    words = shlex.split(found.docker)
    mounts = [words[place + 1] for place, word in enumerate(words) if word == "--mount"]
    folders = (versioned.parent, tmp_path / "my files")
    assert mounts == [f"type=bind,source={path},target={path},readonly" for path in folders]


def names_in(command: str) -> list[str]:
    """The absolute paths on this machine that a command names."""
    words = shlex.split(command.replace(",", " "))
    return [path for word in words if (path := word.rpartition("=")[2]).startswith("/") and "target=" not in word]


@pytest.mark.parametrize("written", [False, True])
def test_every_path_of_a_command_is_there(written, versioned, tmp_path):
    (versioned.parent / "4").mkdir()
    for folder in (versioned, write_saved_model(tmp_path / "cnn" / "1", CNN)):
        found = serve_export(folder, output=tmp_path / "config" / folder.parent.name if written else None)
        shown = [c for c in (found.server, found.docker, found.docker_gpu) if c is not None]
        assert len(shown) == (3 if written or folder.parent.name == "cnn" else 0)
        for command in shown:
            assert names_in(command)
            assert all(Path(path).exists() for path in names_in(command)), command


def test_the_container_for_gpus_is_that_of_the_exports_tensorflow_or_a_newer_one(versioned):
    found = serve_export(versioned)
    lock = (Path(__file__).parents[2] / "constraints.txt").read_text()
    assert f"tensorflow-serving-api=={RELEASE}\n" in lock
    assert f" tensorflow/serving:{RELEASE}" in found.docker
    assert "--gpus" not in found.docker
    assert found.docker_gpu == found.docker.replace("--rm", "--rm --gpus all").replace(RELEASE, f"{RELEASE}-gpu")
    for written, release in (("2.12.1", RELEASE), ("1.15.0", RELEASE), ("2.21.0-rc1", "2.21.0"), ("", RELEASE)):
        assert image(replace(found.served, tensorflow_version=written)) == f"tensorflow/serving:{release}"


def test_labels_serve_versions_side_by_side(versioned, tmp_path):
    from tensorflow_serving.config import model_server_config_pb2

    shutil.copytree(versioned, versioned.parent / "4")
    done = run("serving", versioned, "--label", "stable=3", "--label", "canary=4", "--output", tmp_path / "c", "--json")
    data = json.loads(done.stdout)
    assert data["labels"] == {"stable": 3, "canary": 4}
    text = (tmp_path / "c" / "models.config").read_text()
    (entry,) = text_format.Parse(text, model_server_config_pb2.ModelServerConfig()).model_config_list.config
    assert list(entry.model_version_policy.specific.versions) == [3, 4]
    assert dict(entry.version_labels) == {"stable": 3, "canary": 4}
    assert "--allow_version_labels_for_unavailable_models" in data["commands"]["server"]
    assert data["commands"]["curl"] == data["curl_by_label"]["stable"]
    assert data["curl_by_label"]["canary"].endswith("/v1/models/bert/labels/canary:predict")
    assert "LABEL = 'stable'" in data["files"]["client.py"]
    assert surgery.serving(versioned, labels={"canary": 4}).served.versions.named == (3, 4)
    shown = run("serving", versioned, "--label", "stable=3", "--label", "new=4").stdout
    assert "versions   3 (stable), 4 (new)" in shown
    assert "A request over REST, to the label new" in shown
    write_saved_model(versioned.parent / "5", CNN)
    notes = serve_export(versioned, labels=["next=5"]).notes
    assert any("version 5 takes other inputs in its signature serving_default" in note for note in notes)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (["canary"], "--label canary: expected LABEL=VERSION"),
        (["canary=x"], "expected LABEL=VERSION"),
        (["new-one=3"], "expected a label of letters, digits and _"),
        (["canary=9"], "expected a SavedModel in"),
        (["a=3", "a=4"], "the label names version 3 already"),
    ],
)
def test_labels_that_name_no_version_are_refused_with_help(labels, told, versioned):
    shutil.copytree(versioned, versioned.parent / "4")
    done = run("serving", versioned, *(word for label in labels for word in ("--label", label)))
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr


def test_the_flags_are_explained_by_what_the_export_has(versioned):
    manifest = versioned / MANIFEST
    manifest.parent.mkdir(exist_ok=True)
    plain = serve_export(versioned).flags
    assert "no function of this export demands it" in plain["--xla_cpu_compilation_enabled"]
    clusters = next(key for key in plain if key.startswith("TF_XLA_FLAGS"))
    assert "Each batch size and length" in plain[clusters]
    assert "mask" not in plain[clusters]
    manifest.write_text(json.dumps({"packed": {"serving_default": []}}))
    assert "In serving_default the number of rows depends on the mask" in serve_export(versioned).flags[clusters]
    saved_model = saved_model_pb.read(versioned / "saved_model.pb")
    graph_def = saved_model.meta_graphs[0].graph_def
    before = graph_def.SerializeToString(deterministic=True)
    assert compiled_functions(graph_def) == ()
    assert graph_def.SerializeToString(deterministic=True) == before  # looking adds nothing
    function = graph_def.library.function[0]
    function.attr["_XlaMustCompile"].b = True
    (versioned / "saved_model.pb").write_bytes(saved_model.SerializeToString())
    needed = serve_export(versioned).flags["--xla_cpu_compilation_enabled"]
    assert needed.startswith(f"is needed: functions of this export demand XLA ({function.signature.name})")
    assert (
        "Each batch size is compiled on its own"
        in serve_export(write_saved_model(versioned.parent / "5", CNN)).flags[clusters]
    )


@pytest.mark.parametrize(
    ("what", "code", "told"),
    [
        ("nothing", 3, "expected a saved_model.pb"),
        ("parent", 3, "did you mean"),
        ("hub module", 3, "tags {serve}"),
        ("long", 2, "at most 8 tokens"),
        ("output", 2, "it is a file"),
        ("below a file", 6, "to be a folder, found a file"),
    ],
)
def test_what_cannot_be_served_is_refused_with_help(what, code, told, versioned, modules, tmp_path):
    (tmp_path / "file").touch()
    if what == "long":
        (versioned / "assets.extra").mkdir()
        (versioned / "assets.extra" / "surgery.json").write_text('{"architecture": {"max_position_embeddings": 8}}')
        assert json.loads(run("serving", versioned, "--json").stdout)["length"] == 8
    arguments = {
        "nothing": [tmp_path / "nothing"],
        "parent": [versioned.parent],
        "hub module": [modules("tf1_bert_small")],
        "long": [versioned, "--length", 9],
        "output": [versioned, "--output", tmp_path / "file"],
        "below a file": [versioned, "--output", tmp_path / "file" / "config"],
    }[what]
    done = run("serving", *arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert told in done.stderr


def test_describing_and_writing_files_imports_no_tensorflow(versioned, tmp_path):
    assert run_and_probe("serving", "--help") == (0, [])
    assert run_and_probe("serving", versioned) == (0, [])
    assert run_and_probe("serving", versioned, "--output", tmp_path / "files", "--json") == (0, [])
    assert run_and_probe("serving", tmp_path / "nothing", "--warmup") == (3, [])


@pytest.mark.parametrize(
    ("dtype", "shape", "expected"),
    [
        ("float32", (2, 3), 2 + 10 + 2 + 24),
        ("float32", (0, 3), 2 + 8),  # a dimension of 0 is not written, nor are values
        ("bool", (5,), 2 + 6 + 2 + 5),
        ("uint32", (1,), 2 + 6 + 3 + 5),
        ("float64", (), 2 + 2 + 2 + 8),
        ("string", (4,), None),
    ],
)
def test_bytes_of_a_tensor_are_counted_field_by_field(dtype, shape, expected):
    assert tensor_bytes(dtype, shape) == expected


def test_a_reply_without_tensors_is_its_model_spec():
    assert reply_bytes({}, "ab", 1, "c") == 2 + (2 + 2) + (2 + 2) + (2 + 1)
    assert reply_bytes({"s": ("string", (1,))}, "ab", 1, "c") == reply_bytes({}, "ab", 1, "c")


@pytest.mark.parametrize("most", [0, 1, 7, 2**20])
def test_the_largest_is_found_at_either_end(most):
    assert largest(lambda rows: rows <= most) == most
    assert LIMIT == 4194304


@pytest.fixture
def program(versioned):
    """The names of the printed client's module."""
    found = {"__name__": "client"}
    exec(surgery.serving(versioned).files["client.py"], found)
    return found


def test_the_client_rounds_numbers_of_bfloat16_as_everybody_does(program):
    numbers = np.random.default_rng(3).normal(size=500).astype(np.float32)
    ties = np.arange(64, dtype=np.float32) / 256 + 1  # halfway, every second one
    tensor = program["CLASSES"]["Tensor"]()
    given = [*numbers.tolist(), *ties.tolist(), float("inf"), 3.4e38]
    program["write"](tensor, "bfloat16", given)
    assert tensor.tensor_content == np.array(given, ml_dtypes.bfloat16).tobytes()


def test_a_reply_of_a_dtype_that_the_client_does_not_know_says_so(program):
    reply = program["CLASSES"]["Tensor"](dtype=8)  # complex64
    with pytest.raises(ValueError, match="dtype number 8, none of DTYPES: name other OUTPUTS"):
        program["read"](reply)


def signature(*inputs):
    return SignatureInfo(
        name="s", inputs=tuple(TensorInfo(key=k, dtype=d, shape=s, name=f"{k}:0") for k, d, s in inputs), outputs=()
    )


def test_examples_are_valid_for_every_encoder_and_show_a_padded_row():
    found = example_inputs(
        signature(
            ("input_word_ids", "int32", (None, None)),
            ("input_mask", "int32", (None, None)),
            ("segment_ids", "int64", (None, None)),
            ("masked_lm_positions", "int32", (None, 5)),
            ("image", "float32", (None, 1, 2)),
            ("flag", "bool", ()),
            ("text", "string", (None,)),
        ),
        2,
        4,
    )
    assert found["input_mask"] == ("int32", [[1, 1, 1, 1], [1, 1, 1, 0]])
    assert [[(i == 0) for i in row] for row in found["input_word_ids"][1]] == [[False] * 4, [False] * 3 + [True]]
    assert found["segment_ids"] == ("int64", [[0] * 4] * 2)
    assert found["masked_lm_positions"] == ("int32", [[0, 1, 0, 1, 0]] * 2)
    assert found["image"] == ("float32", [[[0.5, 0.5]], [[0.5, 0.5]]])
    assert found["flag"] == ("bool", True)
    assert found["text"][1] == ["the quick brown fox", "hello, world"]


@pytest.mark.parametrize("dtype", ["variant", "resource", "complex64"])
def test_an_input_that_cannot_be_made_up_is_named(dtype):
    with pytest.raises(ModuleError, match=f"x is {dtype}"):
        example_inputs(signature(("x", dtype, (None,))), 1, 1)


def test_a_signature_in_python_is_a_usage_error_too(versioned):
    with pytest.raises(UsageError, match="no such signature"):
        serve_export(versioned, ["nothing"])
