"""Inputs that a caller gives: a signature is run on them, tapped with them, and inspected with their names."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

import surgery
from surgery.cli.main import main
from surgery.errors import LimitError, ModuleError, UsageError
from surgery.formats.npz import read_npz
from tests.support.builders.plain_models import build_odd_keys, build_several, build_tf1_sparse, build_tf1_tables


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    return build_several(tmp_path_factory.mktemp("several") / "several")


def run(*arguments: object):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


RAGGED = {"r.values": np.array([1, 2, 3, 4], np.float32), "r.row_splits": np.array([0, 3, 4, 4])}


@pytest.mark.parametrize(
    "inputs",
    [
        RAGGED,
        {"r": RAGGED["r.values"], "r_1": RAGGED["r.row_splits"]},
        {"r": [[1.0, 2.0, 3.0], [4.0], []]},
    ],
    ids=["parts", "the signature's own keys", "nested lists"],
)
def test_a_ragged_input_is_given_in_each_of_its_forms(inputs, several):
    done = surgery.run(several, inputs, signature="rag")
    assert done["m"].tolist() == [12, 8, 0]
    assert done["same.values"].tolist() == [2, 4, 6, 8]
    assert done["same.row_splits"].tolist() == [0, 3, 4, 4]


def test_a_sparse_input_and_serialized_examples_are_given_as_json(several, tmp_path):
    sparse = {"indices": [[0, 1], [1, 4]], "values": [1.5, 2], "dense_shape": [2, 5]}
    done = run("run", several, "--signature", "sp", "--example", f"s={json.dumps(sparse)}", "--json")
    assert json.loads(done.stdout)["outputs"]["d"]["values"] == [[0, 3, 0, 0, 0], [0, 0, 0, 0, 4]]
    # The last example ends with a zero byte.
    written = [{"x": [1.0, 2.5], "v": [7]}, {"x": [0.5, 0.0], "v": [0]}]
    out = tmp_path / "out.npz"
    examples = f"examples={json.dumps(written)}"
    assert run("run", several, "--signature", "ex", "--example", examples, "--output", out).exit_code == 0
    found = np.load(out, allow_pickle=False)
    assert (found["y"].tolist(), found["v"].tolist()) == ([[2, 5], [1, 0]], [[7], [0]])
    again = run("run", several, "--signature", "ex", "--example", examples, "--output", out)
    assert (again.exit_code, [path.name for path in tmp_path.iterdir()]) == (2, ["out.npz"])


def test_the_tables_of_a_hub_module_are_filled_and_an_error_names_its_archive(tmp_path):
    build_tf1_tables(tmp_path / "tables")
    archive = shutil.make_archive(str(tmp_path / "tables"), "gztar", tmp_path / "tables")
    done = surgery.run(archive, {"x": ["two", "one"]})
    assert (done["n"].tolist(), [bytes(word) for word in done["word"]]) == ([4, 2], [b"two", b"one"])
    with pytest.raises(ModuleError, match=f"running {archive}: "):
        surgery.run(archive, {"x": ["one"]})


def test_every_fault_of_the_inputs_is_named_with_what_the_signature_takes(several):
    with pytest.raises(UsageError) as caught:
        surgery.run(several, {"a": np.ones((2, 2, 2), np.int32), "c": 1}, signature="two")
    for line in (
        "a: expected int32 [?, 2], found int32 [2, 2, 2]",
        "b: it is missing",
        "c: there is no such input",
        "the signature takes\n  a: int32 [?, 2]\n  b: float32 [?, 2]",
    ):
        assert line in str(caught.value)
    with pytest.raises(UsageError, match=r"r\.row_splits: row splits begin with 0, never fall, and end with 4 here"):
        surgery.run(several, RAGGED | {"r.row_splits": np.array([0, 9])}, signature="rag")


def test_a_cast_is_made_and_said_where_no_value_is_lost_and_else_refused(several):
    floats = np.ones((1, 2), np.float32)
    done = surgery.run(several, {"a": np.array([[3, 4]]), "b": floats}, signature="two")
    assert (done["sum"].tolist(), done.casts) == ([[5, 6]], ("a: cast from int64 to int32, with the same values",))
    for wrong, reason in (
        (np.array([[2**40, 1]]), r"int64 \[1, 2\], with values that int32 cannot hold"),
        (np.array([[1.0, 2.0]]), r"expected int32 \[\?, 2\], found float64 \[1, 2\]"),
        (np.array([["1", "2"]]), r"expected int32 \[\?, 2\], found string \[1, 2\]"),
    ):
        with pytest.raises(UsageError, match=reason):
            surgery.run(several, {"a": wrong, "b": floats}, signature="two")


def test_values_that_json_and_files_do_not_have_come_out_all_the_same(several, tmp_path):
    out = tmp_path / "out.npz"
    done = run("run", several, "--signature", "odd", "--example", "steps=2", "--json", "--output", out)
    values = {key: output["values"] for key, output in json.loads(done.stdout)["outputs"].items()}
    assert values == {"nan": [None, 2.0], "half": 2.0, "bytes": {"b64": "/wA="}}
    found = read_npz(out)
    assert (found["nan"].tolist(), found["half"].dtype) == ([np.inf, 2], "float32")
    assert found["bytes"].tolist() == b"\xff\0"
    printed = run("run", several, "--signature", "odd", "--example", "steps=2", "--outputs", "nan,bytes").stdout
    assert printed == "Signature odd of several\nnan  float32 [2]\n[inf  2.]\nbytes  string []\n\\xff\\x00\n"
    with pytest.raises(LimitError, match="batch_seconds"):
        surgery.run(several, {"steps": 9.0}, signature="odd", timeout=1)
    with pytest.raises(UsageError, match=r"has no such output[\s\S]*did you mean nan"):
        surgery.run(several, {"steps": 2.0}, signature="odd", outputs="nam")


def test_a_sparse_input_of_tf1_is_given_in_parts_and_tapped(tmp_path):
    source = build_tf1_sparse(tmp_path / "sparse")
    parts = {"x.indices": [[0, 1], [1, 4]], "x.values": [1.5, 2], "x.dense_shape": [2, 5]}
    expected = [[0, 3, 0, 0, 0], [0, 0, 0, 0, 4]]
    assert surgery.run(source, parts)["y"].tolist() == expected
    with pytest.raises(ModuleError, match=r"x is no plain tensor[\s\S]*inputs=\.\.\. takes each by its key"):
        surgery.tap(source, tmp_path / "1", "SparseToDense=dense")
    np.savez(tmp_path / "given.npz", **parts)
    with pytest.raises(UsageError, match=r"x\.values: expected float32 \[\?\], found int64 \[2, 2\]"):
        surgery.tap(source, tmp_path / "1", "SparseToDense=dense", inputs={**parts, "x.values": np.ones((2, 2), int)})
    made = surgery.tap(source, tmp_path / "1", "SparseToDense=dense", inputs=tmp_path / "given.npz")
    assert {check.output: check.bit_equal for check in made.checks} == {"y": True, "dense": True}
    again = {key.replace(".", "_"): value for key, value in parts.items()}
    assert surgery.run(tmp_path / "1", again)["dense"].tolist() == (np.array(expected) / 2).tolist()


@pytest.mark.parametrize(
    ("signature", "tensor", "inputs", "expected"),
    [
        ("rag", "scaled", RAGGED, [2, 4, 6, 8]),
        ("ex", "product", {"examples": [{"x": [1.0, 2.0], "v": [1]}]}, [[2, 4]]),
    ],
)
def test_a_signature_that_made_up_inputs_cannot_serve_is_tapped_on_given_ones(
    signature, tensor, inputs, expected, several, tmp_path
):
    made = surgery.tap(several, tmp_path / "1", f"{tensor}=inner", signature=signature, inputs=inputs)
    assert made.given
    assert all(check.bit_equal for check in made.checks)
    assert surgery.run(tmp_path / "1", inputs, signature=signature)["inner"].tolist() == expected


def test_a_given_batch_that_the_signature_refuses_is_no_less_than_the_others(several, tmp_path):
    good, bad = {"examples": [{"x": [1.0, 2.0], "v": [1]}]}, {"examples": ["no example"]}
    with pytest.raises(ModuleError, match=r"on batch 2 \(examples \[1\]\), which was given: Could not parse"):
        surgery.tap(several, tmp_path / "1", "product=inner", signature="ex", inputs=[good, bad])


def test_a_tf1_report_keeps_the_new_outputs_apart_and_says_that_they_were_compared(tmp_path):
    source = build_odd_keys(tmp_path / "odd")
    arguments = ("tap", source, tmp_path / "1", "--tensor", "product=p", "--signature", "regress")
    done = run(*arguments)
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[2][0] == "p"
    assert rows[2][-1] == "bit-equal"
    assert [row[0] for row in rows[5:7]] == ["outputs", "variables:"]


def test_each_signature_is_shown_with_its_own_call(several):
    done = run("inspect", several)
    found = json.loads(run("inspect", several, "--json").stdout)
    pairs = {
        name: {tensor["is"]["callable"] for tensor in signature["inputs"] + signature["outputs"]}
        for name, signature in found["meta_graphs"][0]["signatures"].items()
    }
    assert pairs == {name: {name} for name in ("ex", "odd", "rag", "sp", "two")}
    ragged = found["meta_graphs"][0]["signatures"]["rag"]["inputs"]
    places = {tensor["key"]: tensor["is"]["places"] for tensor in ragged}
    assert places == {"r": ["[0].values"], "r_1": ["[0].row_splits"]}
    assert "ParseExampleV2" in found["meta_graphs"][0]["operations"]
    for line in ("method tensorflow/serving/predict", "ragged float32 [?, ?]", "sparse float32 [?, 5]", "surgery tap"):
        assert line in done.stdout
    assert "word_embeddings" not in done.stdout
    assert "block outputs" not in done.stdout


def test_what_is_no_encoder_leads_to_graph_and_tap(several, tmp_path):
    refused = run("convert", several, tmp_path / "1")
    assert refused.exit_code == 4
    assert "surgery graph lists the tensors of any SavedModel, surgery tap makes outputs of them" in refused.stderr
