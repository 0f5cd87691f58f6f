"""The command line: what it prints where, and the exit code for every way in which it ends."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from surgery.cli.main import main
from tests.support import editing
from tests.support.editing import edited, inspected
from tests.support.running import environment, surgery
from tests.support.synthetic import CNN, write_saved_model

COMMANDS = ("inspect", "plan", "convert", "verify")


def run(*arguments: object):
    """The command in this process: exit code, stdout and stderr."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_the_help_names_every_command_and_every_exit_code():
    done = run("--help")
    assert done.exit_code == 0
    assert all(re.search(rf"^  {command} ", done.stdout, re.MULTILINE) for command in COMMANDS)
    assert all(f"{code} " in done.stdout.partition("Exit codes:")[2] for code in (0, 2, 3, 4, 5, 6))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_has_examples_and_its_options(command: str):
    done = run(command, "-h")
    assert done.exit_code == 0
    assert "Examples" in done.stdout
    assert f"surgery {command} " in done.stdout
    assert "--json" in done.stdout
    assert ("--assume" in done.stdout) is (command != "inspect")
    assert "--atol" not in done.stdout
    assert ("--overwrite" in done.stdout) is (command in ("convert", "verify"))


@pytest.mark.parametrize("command", ["", "inspect", "plan", "taps", "convert", "verify", "edit", "preprocess"])
def test_the_help_names_every_kind_of_module(command: str):
    shown = " ".join(surgery(*command.split(), "--help").stdout.split())
    kinds = ("folder", ".tar.gz", ".tgz", ".zip", "URL", "TensorFlow 2", "hub.Module", "TF1 checkpoint", "Hugging Face")
    assert all(kind in shown.split("MODULE is ")[1] for kind in kinds)


@pytest.mark.parametrize("command", ["graph", "tap"])
def test_the_help_of_what_needs_a_graph_names_no_checkpoint(command: str):
    shown = " ".join(surgery(command, "--help").stdout.split())
    assert "any SavedModel of TensorFlow 1 or 2, an archive of it (.tar.gz, .tgz or .zip)" in shown
    assert "checkpoint" not in shown


def test_the_version_is_the_package_s():
    from surgery import __version__

    assert run("--version").stdout.strip().endswith(__version__)


@pytest.mark.parametrize(
    "arguments",
    [
        ("inspect",),
        ("inspect", "x", "y"),
        ("inspect", "x", "--depth", "3"),
        ("frobnicate",),
        ("convert", "x", "y", "--atol", "1e-5"),
        ("verify", "x", "y", "--rtol", "1e-5"),
        ("plan", "x", "--assume"),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(arguments):
    done = run(*arguments)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "Error:" in done.stderr


@pytest.mark.parametrize("text", ["output_dropout", "=0.1", "output_dropout=", "depth=3"])
def test_an_assumption_that_says_nothing_exits_with_2(text: str, modules):
    done = run("plan", modules("g4_electra"), "--assume", text)
    assert done.exit_code == 2
    assert "--assume" in done.stderr


def test_a_signature_that_does_not_exist_exits_with_2_and_names_those_that_do(modules):
    done = run("inspect", modules("tf1_bert_small"), "--signature", "default")
    assert done.exit_code == 2
    assert "mlm, tokenization_info, tokens" in done.stderr


@pytest.mark.parametrize("command", COMMANDS[:3])
def test_a_missing_module_exits_with_3_and_says_so_on_stderr(command: str, tmp_path):
    done = run(command, tmp_path / "nothing")
    assert done.exit_code == 3
    assert done.stdout == ""
    assert "no such folder or file" in done.stderr
    assert "what to do:" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["inspect", "plan"])
def test_a_damaged_graph_exits_with_3(command: str, modules, tmp_path):
    shutil.copytree(modules("g4_electra"), tmp_path / "module")
    (tmp_path / "module" / "saved_model.pb").write_bytes(b"garbage")
    done = run(command, tmp_path / "module")
    assert done.exit_code == 3
    assert "saved_model.pb" in done.stderr


def test_a_module_without_weights_is_shown_as_damaged_and_not_planned(modules, tmp_path):
    shutil.copytree(modules("g4_electra"), tmp_path / "module")
    (tmp_path / "module" / "variables" / "variables.index").unlink()
    shown = run("inspect", tmp_path / "module")
    assert shown.exit_code == 0
    assert "variables.index" in shown.stdout
    assert run("plan", tmp_path / "module").exit_code == 3


def test_a_module_that_is_no_encoder_exits_with_4_and_leads_to_graph_and_tap(tmp_path):
    folder = write_saved_model(tmp_path / "cnn", CNN)
    done = run("plan", folder)
    assert done.exit_code == 4
    assert done.stdout == ""
    assert "none does" in done.stderr
    assert "nearest" in done.stderr
    assert "surgery graph lists the tensors" in done.stderr
    shown = run("inspect", folder)
    assert shown.exit_code == 0
    assert "No weight table explains this module" in shown.stdout


def test_missing_evidence_exits_with_4_and_the_options_it_names_work(modules, tmp_path):
    edit = editing.without_training(inspected(modules("g4_electra")))
    folder = edited(modules("g4_electra"), tmp_path / "module", edit)
    done = run("plan", folder)
    assert done.exit_code == 4
    options = re.findall(r"--assume (\w+)=VALUE", done.stderr)
    assert len(options) == 5
    again = run("plan", folder, "--json", *(part for field in options for part in ("--assume", f"{field}=0.25")))
    assert again.exit_code == 0
    fields = {field["field"]: field for field in json.loads(again.stdout)["architecture"]}
    assert [fields[field]["value"] for field in options] == [0.25] * 5
    assert fields["output_dropout"]["evidence"][0]["source"] == "option"


@pytest.mark.parametrize(
    "text", ["output_dropout=0.2", "norm_first=true", "norm_first=True", "hidden_act=relu", "num_hidden_layers=4"]
)
def test_an_assumption_against_the_evidence_exits_with_4(text: str, modules):
    done = run("plan", modules("g4_electra"), "--assume", text)
    assert done.exit_code == 4
    assert f"--assume {text.partition('=')[0]}=" in done.stderr


@pytest.mark.parametrize("text", ["output_dropout=0.1", "norm_first=False", "norm_first=false", "hidden_act=gelu_tanh"])
def test_an_assumption_that_agrees_is_accepted(text: str, modules):
    assert run("plan", modules("g4_electra"), "--assume", text).exit_code == 0


def test_json_is_all_that_stands_on_stdout(modules):
    for arguments in (("inspect", "--variables"), ("plan",)):
        done = run(arguments[0], modules("g4_bert_mlm"), *arguments[1:], "--json")
        assert done.exit_code == 0
        assert json.loads(done.stdout)["name"] == "g4_bert_mlm"
        assert done.stderr == ""


def test_one_signature_can_be_shown_alone(modules):
    done = run("inspect", modules("tf1_bert_small"), "--signature", "tokens", "--json")
    graphs = json.loads(done.stdout)["meta_graphs"]
    assert [list(graph["signatures"]) for graph in graphs] == [["tokens"]] * 2


def test_variables_are_listed_when_asked_for(modules):
    assert "transformer/layer_2/output/bias" not in run("inspect", modules("g4_electra")).stdout
    assert "transformer/layer_2/output/bias" in run("inspect", modules("g4_electra"), "--variables").stdout
    data = json.loads(run("inspect", modules("g4_electra"), "--variables", "--json").stdout)
    assert len(data["variables"]["list"]) == data["variables"]["count"] == 58


def test_the_module_entry_point_is_the_same_command(modules):
    done = surgery("plan", modules("g4_electra"), "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == json.loads(run("plan", modules("g4_electra"), "--json").stdout)
    assert surgery("plan", "nothing").returncode == 3


@pytest.mark.parametrize("columns", ["40", "80", "300"])
@pytest.mark.parametrize("command", ["inspect", "plan"])
def test_text_fits_terminals_of_any_width_and_loses_nothing(command: str, columns: str, modules):
    done = surgery(command, modules("g4_bert_mlm"), COLUMNS=columns)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "…" not in done.stdout
    squeezed = re.sub(r"\s", "", done.stdout)
    for word in ("g4_bert_mlm", "1e-12", "gelu_tanh"):
        assert word in squeezed, word


def test_piped_text_has_no_colours(modules):
    assert "\x1b" not in surgery("inspect", modules("g4_electra")).stdout


@pytest.mark.parametrize("arguments", [("inspect",), ("plan",), ("inspect", "--json", "--variables")], ids=" ".join)
def test_a_reader_that_goes_away_is_no_error(arguments, modules):
    command = [sys.executable, "-m", "surgery", arguments[0], str(modules("g4_bert_mlm")), *arguments[1:]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 0
    assert errors == ""


def test_a_name_with_brackets_is_no_markup(modules, tmp_path):
    folder = tmp_path / "[bold]module[/nothing]"
    shutil.copytree(modules("g4_electra"), folder)
    assert surgery("inspect", folder).returncode == 0
    done = surgery("inspect", tmp_path / "[/lost]")
    assert done.returncode == 3
    assert "[/lost]" in done.stderr


def test_text_can_be_written_where_only_ascii_is_understood(modules, tmp_path):
    for command, code in (("inspect", 0), ("plan", 0)):
        done = surgery(command, modules("g4_electra"), PYTHONIOENCODING="ascii", LC_ALL="C", PYTHONUTF8="0")
        assert done.returncode == code, done.stderr
    done = surgery(
        "plan", write_saved_model(tmp_path / "cnn", CNN), PYTHONIOENCODING="ascii", LC_ALL="C", PYTHONUTF8="0"
    )
    assert done.returncode == 4
    assert "Traceback" not in done.stderr
