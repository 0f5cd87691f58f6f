"""Help, `inspect` and `plan` never import TensorFlow, nor anything that brings it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.probing import EXTRAS, HEAVY, UNREAD, imported, run
from tests.support.running import ROOT, environment
from tests.support.synthetic import CNN, write_saved_model


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("inspect", "--help"),
        ("plan", "--help"),
        ("convert", "--help"),
        ("verify", "--help"),
        ("serving", "--help"),
        ("extract", "--help"),
    ],
    ids=" ".join,
)
def test_help_imports_no_tensorflow(arguments):
    assert run(*arguments) == (0, [])


@pytest.mark.parametrize("options", [(), ("--json",), ("--variables",)], ids=str)
@pytest.mark.parametrize("name", ["g4_bert_mlm", "g2_small", "tf1_bert_small"])
def test_inspect_imports_no_tensorflow(name: str, options, modules):
    assert run("inspect", modules(name), *options) == (0, [])


def test_inspecting_a_folder_imports_only_what_it_uses(modules):
    """Importing numpy alone would take a fifth of the time."""
    code, found = imported("inspect", modules("g4_bert_mlm"))
    assert code == 0
    assert [name for name in (*UNREAD, "surgery.cli.convert", "surgery.processes.scratch") if name in found] == []


def test_commands_that_read_leave_the_garbage_to_the_end_of_the_process(tmp_path):
    """Looking for cycles takes a fifth of their time. TensorFlow's models are cycles: commands that run them look."""
    code = (
        "import atexit, gc, sys\n"
        "atexit.register(lambda: print(gc.isenabled(), gc.get_freeze_count() > 0))\n"
        "from surgery.cli.main import command\n"
        "command()"
    )
    for name, expected in (("inspect", "False True"), ("convert", "True False")):
        command = [sys.executable, "-c", code, name, str(tmp_path / "nothing")]
        done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
        assert (done.returncode, set(done.stdout.splitlines())) == (3, {expected})


@pytest.mark.parametrize("name", ["g4_bert_mlm", "g2_small"])
def test_plan_imports_no_tensorflow(name: str, modules):
    assert run("plan", modules(name), "--json") == (0, [])
    assert run("plan", ROOT / "tests" / "modules" / f"{name}.tar.gz") == (0, [])


@pytest.mark.parametrize("name", ["tf1_bert_checkpoint", "hf_bert"])
def test_a_checkpoint_is_inspected_and_planned_without_tensorflow(name: str, modules):
    assert run("inspect", modules(name), "--variables") == (0, [])
    assert run("plan", modules(name)) == (0, [])


def test_extract_refuses_before_its_workers_start_tensorflow(modules, tmp_path):
    (tmp_path / "corpus.txt").write_text("a text\n")
    code, found = run("extract", modules("g3_small"), tmp_path / "corpus.txt", "--output", tmp_path / "out")
    assert (code, set(found) & set(HEAVY)) == (2, set())


def test_refusals_import_no_tensorflow(tmp_path):
    assert run("inspect", tmp_path / "nothing") == (3, [])
    assert run("plan", write_saved_model(tmp_path / "cnn", CNN)) == (4, [])
    assert run("convert", tmp_path / "nothing", tmp_path / "there") == (3, [])
    assert run("convert", tmp_path / "cnn", tmp_path / "there") == (4, [])


def test_a_destination_that_exists_is_refused_before_tensorflow_is_imported(modules, tmp_path):
    write_saved_model(tmp_path / "old", CNN)
    assert run("convert", modules("g4_bert_mlm"), tmp_path / "old") == (2, [])


def test_importing_the_package_imports_next_to_nothing():
    code = (
        "import sys, surgery; print([n for n in (*sys.argv[1:], 'numpy', 'rich', 'tensorboard') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *HEAVY], capture_output=True, text=True, env=environment(), check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_triton_server_loads_neither_tensorflow_nor_triton_as_it_is_imported():
    """Only the model does, which Triton runs in a process of its own; so the help needs a bare Python."""
    modules = ["exported", "process", "repository", "options", "__main__"]
    code = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(f'surgery.triton.{{name}}')\n"
        "print([n for n in sys.argv[1:] if n in sys.modules])"
    )
    command = [sys.executable, "-c", code, *HEAVY, *EXTRAS, "pytriton", "tritonclient"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=True)
    assert done.stdout.strip() == "[]"
