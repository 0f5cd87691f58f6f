"""Whatever runs a module scans it first. The commands refuse before TensorFlow starts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import surgery
from surgery.cli.main import main
from surgery.errors import UntrustedError
from surgery.scanning.gate import SHOWN, cleared
from surgery.sources.opening import open_module
from surgery.triton.exported import choose_signatures
from tests.support.hostile import hostile, hostile_copy, small_module
from tests.support.probing import run
from tests.support.running import ROOT
from tests.support.sample_names import GRAPH_SAMPLES

NAME = "g3_small"
HANDED_TO_TENSORFLOW = re.compile(r"saved_model\.load\(|import_meta_graph\(|\.load_model\(")


@pytest.fixture(scope="module")
def marker(tmp_path_factory):
    return tmp_path_factory.mktemp("marker") / "written"


@pytest.fixture(scope="module")
def calls(modules, marker, tmp_path_factory):
    """A module that writes the marker when it is called."""
    return hostile_copy(modules(NAME), tmp_path_factory.mktemp("hostile") / "calls", marker)


@pytest.fixture(scope="module")
def restores(modules, marker, tmp_path_factory):
    """A module that writes the marker when its variables are restored."""
    return hostile_copy(modules(NAME), tmp_path_factory.mktemp("hostile") / "restores", marker, restoring=True)


COMMANDS = {
    "convert": lambda bad, clean, folder: ("convert", bad, folder / "out"),
    "verify a module": lambda bad, clean, folder: ("verify", bad, clean),
    "verify an export": lambda bad, clean, folder: ("verify", clean, bad),
    "edit": lambda bad, clean, folder: ("edit", bad, folder / "out", "--keep", "0:1"),
    "tap": lambda bad, clean, folder: ("tap", bad, folder / "out", "--tensor", "any"),
    "preprocess": lambda bad, clean, folder: ("preprocess", bad, folder / "out"),
    "serving": lambda bad, clean, folder: ("serving", bad, "--warmup"),
    "extract": lambda bad, clean, folder: ("extract", bad, __file__, "--output", folder / "out"),
}


@pytest.mark.parametrize("bad", ["calls", "restores"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_runs_a_module_refuses(command, bad, request, modules, marker, tmp_path):
    arguments = COMMANDS[command](request.getfixturevalue(bad), modules(NAME), tmp_path)
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 7, done.output
    place = "signature serving_default" if bad == "calls" else "restore StatefulPartitionedCall_2"
    assert f"opening {bad}: it could do more than compute" in done.output
    assert f"WriteFile (planted) in {place}" in done.output
    assert "--trust" in done.output
    assert not marker.exists()
    assert list(tmp_path.iterdir()) == []


def test_the_server_refuses(calls, marker):
    with pytest.raises(UntrustedError, match="WriteFile"):
        choose_signatures(calls, (), None)
    assert [served.trust for served in choose_signatures(calls, (), None, trust=True)] == [True]
    assert not marker.exists()


def test_a_refusal_imports_no_tensorflow_and_neither_does_a_scan(calls, tmp_path):
    assert run("convert", calls, tmp_path / "out") == (7, [])
    assert run("scan", calls) == (7, [])


@pytest.mark.parametrize("name", GRAPH_SAMPLES)
def test_the_samples_are_clean(name, modules):
    assert surgery.scan(modules(name)).findings == ()


@pytest.mark.parametrize("path", ["modules", "real"])
def test_the_shared_modules_are_clean(path, shared):
    packed = {f"{name}.tar.gz" for name in GRAPH_SAMPLES}
    for archive in sorted(shared(path).glob("*.tar.gz")):
        # One is the graph of a checkpoint, without its checkpoint.
        if archive.name not in packed | {"bert_chinese_L12_meta.tar.gz"}:
            assert surgery.scan(archive).findings == (), archive


def test_nothing_of_a_checkpoint_can_run(modules):
    done = CliRunner().invoke(main, ["scan", str(modules("hf_bert"))])
    assert (done.exit_code, "nothing of a checkpoint is run" in done.output) == (0, True)


def test_a_scan_shows_each_finding(calls):
    done = CliRunner().invoke(main, ["scan", str(calls)])
    assert done.exit_code == 7
    assert "in signature serving_default\n  it can read, list or write files of this machine\n" in done.output
    assert "computes numbers" in done.output


def test_the_error_stays_short(tmp_path, calls):
    with pytest.raises(UntrustedError) as raised:
        surgery.convert(calls, tmp_path / "out")
    assert raised.value.message.count("WriteFile") == SHOWN
    assert f"… and {len(surgery.scan(calls).findings) - SHOWN} more" in raised.value.message


def test_a_lambda_is_listed_and_makes_no_module_unclean(tmp_path):
    saved_model = hostile("signature", "ReadFile", tmp_path)
    object_node = saved_model.meta_graphs[0].object_graph_def.nodes.add()
    object_node.user_object.metadata = '{"name": "double", "class_name": "Lambda", "config": {}}'
    del saved_model.meta_graphs[0].graph_def.library.function[0].node_def[1:]
    (tmp_path / "saved_model.pb").write_bytes(saved_model.SerializeToString())
    found = surgery.scan(tmp_path)
    assert (found.bytecode, found.clean) == (("double",), True)


def test_a_damaged_file_of_keras_hides_no_lambda(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(small_module().SerializeToString())
    (tmp_path / "keras_metadata.pb").write_bytes(b'\xff\xff{"class_name": "Lambda"}')
    assert surgery.scan(tmp_path).bytecode == ("keras_metadata.pb (a layer inside)",)


def test_what_has_not_passed_the_gate_is_not_run(modules):
    with open_module(str(modules(NAME)), with_weights=True) as module, pytest.raises(LookupError, match="the gate"):
        cleared(module)


def test_one_file_hands_modules_to_tensorflow():
    found = {
        str(path.relative_to(ROOT))
        for path in Path(surgery.__file__).parent.rglob("*.py")
        if HANDED_TO_TENSORFLOW.search(path.read_text())
    }
    # The others import no TensorFlow. They print such lines for people, who have a Keras file or a frozen graph, or who
    # look at a page about an export.
    assert found == {"surgery/tf/loading.py", "surgery/sources/leads.py", "surgery/pages/rendering.py"}
