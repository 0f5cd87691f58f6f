"""Hostile names in every file and command for a server: each parses to what was meant, and nothing of it runs."""

from __future__ import annotations

import ast
import csv
import io
import json
import re
import shlex
import subprocess
import urllib.parse
from pathlib import Path

import pytest
from click.testing import CliRunner
from google.protobuf import text_format

from surgery.cli.main import main
from surgery.errors import SurgeryError, UsageError
from surgery.formats import saved_model as saved_model_pb
from surgery.jobs.serve import Serving, serve_export
from surgery.triton.exported import choose_signatures
from surgery.wording import plain_name, shown
from tests.support.hostile_names import HOSTILE
from tests.support.synthetic import CNN, write_saved_model

VALUES = ("MODEL", "SIGNATURE", "INPUTS", "OUTPUTS")
COMMANDS = ("curl", "docker", "tensorflow_model_server", "mkdir", "mv")


def build(folder: Path, *names: str) -> Path:
    """A SavedModel whose signatures, and their inputs and outputs, have these names."""
    write_saved_model(folder, CNN)
    saved_model = saved_model_pb.read(folder / "saved_model.pb")
    signatures = saved_model.meta_graphs[0].signature_def
    plain = signatures.pop("serving_default")
    for name in names:
        signatures[name].inputs[name].CopyFrom(plain.inputs["image"])
        signatures[name].outputs[name].CopyFrom(plain.outputs["classes"])
    (folder / "saved_model.pb").write_bytes(saved_model.SerializeToString())
    return folder


def program(text: str) -> tuple[dict[str, object], str]:
    """The values that a client sets, and all else that is in it."""
    tree = ast.parse(text)
    found = {}
    for statement in [s for s in tree.body if isinstance(s, ast.Assign)]:
        (target,) = statement.targets
        names = [name.id for name in (target.elts if isinstance(target, ast.Tuple) else [target])]
        if set(names) <= set(VALUES):
            value = ast.literal_eval(statement.value)
            found |= dict(zip(names, value if len(names) > 1 else [value], strict=True))
            tree.body.remove(statement)
    return found, ast.dump(tree)


def words(command: str, folder: Path) -> list[str]:
    """The words that a shell hands to a command."""
    functions = " ".join(f"{name}() {{ printf '%s\\0' \"$@\"; }};" for name in COMMANDS)
    done = subprocess.run(["sh", "-c", f"{functions} {command}"], cwd=folder, capture_output=True, check=True)
    found = done.stdout.decode().split("\0")[:-1]
    assert found == [word for word in shlex.split(command) if word not in (*COMMANDS, "&&")]
    return found


@pytest.fixture(scope="module")
def harmless(tmp_path_factory) -> Serving:
    return serve_export(build(tmp_path_factory.mktemp("harmless") / "model", "serving_default"))


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_files_and_commands_parse_to_what_was_meant_and_nothing_of_them_runs(name: str, harmless, tmp_path):
    from tensorflow_serving.config import model_server_config_pb2

    folder = build(tmp_path / name.replace("/", "|"), name)
    found = serve_export(folder, output=tmp_path / "configs" / name.replace("/", "|"))
    model, configs = found.served.model, found.written
    assert found.served.first.name == name
    assert model == (plain_name(folder.name) or "module")
    assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", model)

    values, rest = program(found.files["client.py"])
    assert values | {"INPUTS": list(values["INPUTS"])} == dict(zip(VALUES, (model, name, [name], [name]), strict=True))
    assert rest == program(harmless.files["client.py"])[1]

    config = text_format.Parse(found.files["models.config"], model_server_config_pb2.ModelServerConfig())
    (entry,) = config.model_config_list.config
    assert (entry.name, entry.base_path) == (model, str(found.served.base_path))

    _, _, body, url = words(found.curl, tmp_path)
    assert json.loads(body)["signature_name"] == name
    assert list(json.loads(body)["inputs"]) == [name]
    *_, last = urllib.parse.urlsplit(url).path.split("/")
    assert urllib.parse.unquote(last) == f"{model}:predict"
    assert words(found.move, tmp_path) == [
        "-p",
        *map(str, (found.served.base_path, folder, found.served.base_path / "1")),
    ]
    assert found.served.base_path == folder.with_name(f"{model}_served")
    flag = f"--model_config_file={configs}/models.config"
    assert words(found.server, tmp_path)[2] == flag
    mounts = [word for word in words(found.docker, tmp_path) if word.startswith("type=bind,")]
    meant = [
        ["type=bind", f"source={path}", f"target={path}", "readonly"] for path in (found.served.base_path, configs)
    ]
    assert [next(csv.reader(io.StringIO(mount, newline=""))) for mount in mounts] == meant
    versioned = serve_export(build(tmp_path / "versions" / folder.name / "1", name))
    base = str(versioned.served.base_path)
    assert (versioned.served.model, Path(base).name) == (model, folder.name)
    assert words(versioned.server, tmp_path)[2:] == [f"--model_name={model}", f"--model_base_path={base}"]
    *_, mount, _, variable, _ = words(versioned.docker, tmp_path)
    assert next(csv.reader(io.StringIO(mount, newline=""))) == [
        *("type=bind", f"source={base}", f"target=/models/{model}", "readonly")
    ]
    assert variable == f"MODEL_NAME={model}"
    assert not list(tmp_path.rglob("ran"))
    assert all(shown(text) == text for text in found.files.values())


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_people_see_no_control_character_and_json_stays_as_it_is(name: str, tmp_path):
    folder = build(tmp_path / "model", name)
    for command in ("serving", "inspect", "graph"):
        for options in ((), ("--signature", "none\x1b[2J")):
            printed = CliRunner().invoke(main, [command, str(folder), *options])
            for text in (printed.stdout, printed.stderr):
                assert all(c.isprintable() or c == "\n" for c in text)
    printed = CliRunner().invoke(main, ["inspect", str(folder)]).stdout
    assert not [line for line in printed.splitlines() if line.startswith(("open(", '"""', "red"))]
    found = CliRunner().invoke(main, ["serving", str(folder), "--json"])
    assert list(json.loads(found.stdout)["signatures"]) == [name]


def test_triton_models_have_names_that_lead_nowhere(tmp_path):
    names = ["serving_default", "../../../evil"]
    folder = build(tmp_path / "model", *names)
    with pytest.raises(UsageError, match="part of its URL and of a path"):
        choose_signatures(folder, names, None)
    assert [served.model for served in choose_signatures(folder, names[1:], None)] == ["model"]


def test_arguments_that_a_shell_has_listed_are_shown_escaped_too():
    for arguments in (["inspect", "a", "b\x1b[2J"], ["in\x1b[2J"], ["inspect", "a\x1b[2J"], ["tap", "m", "--t\x1b[2J"]):
        said = CliRunner().invoke(main, arguments)
        assert said.exit_code in (2, 3)
        assert "\\x1b[2J" in said.stderr
        assert "\x1b" not in said.stderr


def test_errors_are_for_people_wherever_they_are_shown():
    error = SurgeryError("reading \x1b]52;c;cm0=\x07\u202e", hint="no \x9b31m\ud800")
    for text in (str(error), error.message, error.hint):
        assert shown(text) == text
    assert str(error) == "reading \\x1b]52;c;cm0=\\x07\\u202e\n  what to do: no \\x9b31m\\ud800"
