"""Damaged and foreign modules given to `convert`: the right error, nothing written, never a traceback."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from click.testing import CliRunner

import surgery
from surgery.cli.main import main
from tests.support.builders import others
from tests.support.editing import add_variable, drop_variable, edited, rename_variable, reshape_variable
from tests.support.tampering import with_flipped_byte, with_tensors

NAME = "g4_bert_dropouts"
WEIGHT = "transformer/layer_1/output/bias"


@pytest.fixture
def refused(tmp_path):
    """`refused(module, error)` converts, expects that error, checks that nothing was left, and returns its message."""

    def run(module, error, **options):
        with pytest.raises(error) as caught:
            surgery.convert(module, tmp_path / "out" / "1", **options)
        assert type(caught.value) is error or error is surgery.UnexplainedError
        assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
        return str(caught.value)

    return run


def copied(module, folder):
    return shutil.copytree(module, folder)


@pytest.mark.parametrize("file", ["variables.index", "variables.data-00000-of-00001"])
def test_a_missing_file_of_the_weights_is_named_before_tensorflow_starts(file, source, tmp_path, refused):
    module = copied(source(NAME), tmp_path / "module")
    (module / "variables" / file).unlink()
    steps = []
    message = refused(module, surgery.ModuleError, progress=lambda step, *_: steps.append(step))
    assert file.split("-")[0] in message
    assert "fetch it again" in message
    assert "start TensorFlow" not in steps


def test_truncated_weights_are_a_damaged_module(source, tmp_path, refused):
    module = copied(source(NAME), tmp_path / "module")
    (data,) = (module / "variables").glob("*.data-*")
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    assert str(module) in refused(module, surgery.ModuleError)


def test_a_truncated_index_of_the_weights_is_a_damaged_module(source, tmp_path, refused):
    module = copied(source(NAME), tmp_path / "module")
    index = module / "variables" / "variables.index"
    index.write_bytes(index.read_bytes()[:100])
    assert str(module) in refused(module, surgery.ModuleError)


def test_a_flipped_byte_in_the_weights_is_a_damaged_module(source, tmp_path, refused):
    module = with_flipped_byte(source(NAME), tmp_path / "module")
    message = refused(module, surgery.ModuleError)
    assert str(module) in message
    assert "Graph execution error" not in message


def test_a_missing_weight_is_named_with_its_block(source, tmp_path, refused):
    module = edited(source(NAME), tmp_path / "module", lambda pb: drop_variable(pb, WEIGHT))
    message = refused(module, surgery.UnexplainedError)
    assert f"nothing matches {WEIGHT}" in message


def test_a_surplus_weight_is_named(source, tmp_path, refused):
    module = edited(source(NAME), tmp_path / "module", lambda pb: add_variable(pb, "adapter/kernel", [48, 8]))
    assert "no row claims adapter/kernel [48, 8]" in refused(module, surgery.UnexplainedError)


def test_a_renamed_weight_is_named(source, tmp_path, refused):
    module = edited(source(NAME), tmp_path / "module", lambda pb: rename_variable(pb, WEIGHT, "odd/name"))
    assert "odd/name" in refused(module, surgery.UnexplainedError)


def test_a_wrong_shape_in_the_graph_names_variable_and_sizes(source, tmp_path, refused):
    module = edited(source(NAME), tmp_path / "module", lambda pb: reshape_variable(pb, WEIGHT, [47]))
    message = refused(module, surgery.UnexplainedError)
    assert WEIGHT in message
    assert "48" in message
    assert "47" in message


def test_a_wrong_shape_in_the_checkpoint_is_a_damaged_module(source, tmp_path, refused):
    module = with_tensors(source(NAME), tmp_path / "module", {WEIGHT: lambda bias: bias[:-1]})
    message = refused(module, surgery.ModuleError)
    assert str(module) in message
    assert "47" in message


def make_nan(table):
    table[-1, 3] = np.nan
    return table


def test_a_nan_is_refused_by_name_and_count(source, tmp_path, refused):
    module = with_tensors(source(NAME), tmp_path / "module", {"position_embedding/embeddings": make_nan})
    message = refused(module, surgery.ModuleError)
    assert "position_embedding/embeddings: 1 of its" in message
    assert "allow_nonfinite=True" in message


def test_a_nan_that_is_allowed_goes_through_and_is_counted_on_both_sides(source, tmp_path):
    module = with_tensors(source(NAME), tmp_path / "module", {"position_embedding/embeddings": make_nan})
    done = surgery.convert(module, tmp_path / "export", allow_nonfinite=True)
    assert done.report.passed
    (diff,) = [diff for diff in done.report.outputs if diff.name == "sequence_output"]
    assert diff.nonfinite[0] == diff.nonfinite[1] > 0
    with pytest.raises(surgery.ModuleError, match="NaN"):
        surgery.verify(module, tmp_path / "export")
    found = surgery.verify(module, tmp_path / "export", allow_nonfinite=True).report
    assert found.passed
    assert list(found.nonfinite_weights.values()) == [1]


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """Folders of sound modules that are no encoder."""
    root = tmp_path_factory.mktemp("foreign")
    return {
        "cnn": others.build_cnn(root / "cnn"),
        "preprocessor": others.build_preprocessor(root / "preprocessor"),
        "plain_tf1": others.build_plain_tf1(root / "plain_tf1"),
        "half": others.build_half_module(root / "half"),
    }


@pytest.mark.parametrize("kind", ["cnn", "preprocessor", "plain_tf1", "half"])
def test_what_is_no_encoder_is_unexplained_and_exits_with_4(kind, foreign, refused, tmp_path):
    message = refused(foreign[kind], surgery.UnexplainedError)
    assert foreign[kind].name in message
    done = CliRunner().invoke(main, ["convert", str(foreign[kind]), str(tmp_path / "out" / "1")])
    assert done.exit_code == 4
    assert isinstance(done.exception, SystemExit)
    assert done.stderr.startswith("error: ")
    assert done.stdout == ""


def test_a_folder_that_is_no_module_exits_with_3(tmp_path):
    (tmp_path / "empty").mkdir()
    for module in (tmp_path / "empty", tmp_path / "nothing"):
        done = CliRunner().invoke(main, ["convert", str(module), str(tmp_path / "out")])
        assert done.exit_code == 3
        assert str(module) in done.stderr.replace("\n", "")
    assert not (tmp_path / "out").exists()


def test_a_garbled_graph_exits_with_3(source, tmp_path):
    module = copied(source(NAME), tmp_path / "module")
    (module / "saved_model.pb").write_bytes(b"\x07garbage" * 50)
    assert CliRunner().invoke(main, ["convert", str(module), str(tmp_path / "out")]).exit_code == 3
    assert not (tmp_path / "out").exists()
