"""Values that a caller gives, fitted to what a signature takes: casts, shapes, parts, and every fault in one error."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

import numpy as np
import pytest

from surgery.errors import UsageError
from surgery.feeding.feeds import Composite, Feed, taken
from surgery.feeding.given import fit, read_given
from surgery.jobs.run import _by_tensor
from surgery.module import SignatureInfo, TensorInfo


def feed(dtype: str, *shape: int | None, key: str = "x") -> Feed:
    return Feed(key=key, dtype=dtype, shape=shape, tensor=f"{key}:0", argument=key)


def fitted(feeds: list[Feed], *examples: str, **arrays: object):
    return fit(feeds, read_given(arrays, examples), "giving")


INT64 = np.array([3, -4])


@pytest.mark.parametrize(
    ("dtype", "value", "expected"),
    [
        ("int32", INT64, [3, -4]),
        ("int8", INT64, [3, -4]),
        ("float32", INT64, [3.0, -4.0]),
        ("float32", np.array([0.5, np.nan]), [0.5, np.nan]),
        ("float64", np.array([0.1, 2], np.float32), [np.float32(0.1), 2]),
        ("bfloat16", np.array([0.5, 2]), [0.5, 2]),
        ("complex64", np.array([0.5, 2]), [0.5, 2]),
    ],
)
def test_an_array_is_cast_where_no_value_changes_and_that_is_said(dtype, value, expected):
    fed = fitted([feed(dtype, None)], x=value)
    assert fed.arrays["x"].dtype.name == dtype
    np.testing.assert_array_equal(fed.arrays["x"].astype("complex128"), np.array(expected, "complex128"))
    assert fed.casts == (f"x: cast from {value.dtype} to {dtype}, with the same values",)
    assert fitted([feed(dtype, None)], x=fed.arrays["x"]).casts == ()


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("int32", np.array([2**31])),
        ("uint32", np.array([-1])),
        ("uint64", np.array([-1])),
        ("int64", np.array([2**63], np.uint64)),
        ("float32", np.array([2**24 + 1])),
        ("float64", np.array([2**63 - 1])),
        ("float32", np.array([0.1])),
        ("bfloat16", np.array([0.1], np.float32)),
        ("float16", np.array([1e9])),
        ("int32", np.array([1.0])),
        ("int32", np.array([True])),
        ("bool", np.array([1])),
        ("float32", np.array(["1"])),
        ("float32", np.array([1j])),
        ("string", np.array([1])),
        ("float32", np.array([None], object)),
        ("resource", np.array([1])),
        ("int32", [2**40]),
        ("int32", [10**30]),
        ("int32", [1.0]),
        ("int32", [True]),
        ("bool", [1]),
        ("float16", [1e9]),
        ("float32", [2**24 + 1]),
        ("float32", ["1"]),
        ("string", [1]),
        ("int32", [[1], [1, 2]]),
        ("string", [["a"], ["a", "b"]]),
        ("string", [["a"], "b"]),
        ("string", ["\ud800"]),
        ("string", reduce(lambda inner, _: [inner], range(70), "a")),
    ],
)
def test_a_value_that_a_cast_would_change_is_refused(dtype, value):
    with pytest.raises(UsageError, match=rf"x: expected {dtype} \[\?\], "):
        fitted([feed(dtype, None)], x=value)


@pytest.mark.parametrize(
    ("dtype", "rank", "text", "expected"),
    [
        ("float32", 1, "[0.1, 2]", [np.float32(0.1), 2]),
        ("float32", 1, "[NaN, Infinity]", [np.nan, np.inf]),
        ("int64", 2, "[[1, 2]]", [[1, 2]]),
        ("bool", 0, "true", True),
        ("string", 0, "a text", b"a text"),
        ("string", 0, "42", b"42"),
        ("string", 0, "[CLS]", b"[CLS]"),
        ("string", 1, '["ß", ""]', ["ß".encode(), b""]),
        ("string", 2, "[[], []]", [[], []]),
        ("int32", 1, "[]", []),
        ("string", 0, "a=b", b"a=b"),
    ],
)
def test_a_typed_value_has_the_dtype_that_the_signature_takes(dtype, rank, text, expected):
    fed = fitted([feed(dtype, *[None] * rank)], f"x={text}")
    np.testing.assert_array_equal(fed.arrays["x"], np.array(expected, fed.arrays["x"].dtype))
    assert fed.arrays["x"].dtype == (object if dtype == "string" else dtype)
    assert fed.casts == ()


def test_objects_among_strings_are_examples_as_tensorflow_writes_them():
    from tensorflow.core.example import example_pb2

    text = '[{"age": [22, 0.5], "n": 0, "name": ["Jo", "ß"], "none": []}, {}]'
    (value,) = fitted([feed("string", None)], f"x={text}").arrays.values()
    first, second = (example_pb2.Example.FromString(row).features.feature for row in value)
    assert (first["age"].float_list.value, first["n"].int64_list.value) == ([22, 0.5], [0])
    assert (first["name"].bytes_list.value, first["none"].WhichOneof("kind")) == ([b"Jo", "ß".encode()], None)
    assert not second
    for wrong in ("[true]", '["a", 1]', "null", "[18446744073709551616]", "[1e300]", '"\\ud800"'):
        with pytest.raises(UsageError, match=r"making a tf\.train\.Example"):
            fitted([feed("string", None)], f'x=[{{"f": {wrong}}}]')


def test_every_fault_is_named_with_what_the_signature_takes():
    feeds = [feed("int32", None, 4, key="input_ids"), feed("float32", 2, key="scale"), feed("string", None, key="text")]
    with pytest.raises(UsageError) as caught:
        fitted(feeds, "text=alone", input_id=np.ones((1, 4)), scale=np.ones(3, np.float64))
    assert caught.value.message == (
        "giving:\n"
        "  input_id: there is no such input; did you mean input_ids?\n"
        "  input_ids: it is missing\n"
        "  scale: expected float32 [2], found float64 [3]\n"
        "  text: expected string [?], found string []: put it into a list of its own, a batch of one\n"
        "the signature takes\n"
        "  input_ids: int32 [?, 4]\n"
        "  scale: float32 [2]\n"
        "  text: string [?]"
    )
    for examples, reason in ((["x"], "expected KEY=VALUE"), (["x=1", "x=2"], "x is given already")):
        with pytest.raises(UsageError, match=reason):
            read_given({}, examples)


def parts(key: str, kind: str, *named: TensorInfo) -> tuple[Feed, ...]:
    """The feeds of a TensorFlow 1 signature with one input, and nothing else."""
    tensor = TensorInfo(key=key, dtype=named[0].dtype, shape=None, kind=kind, parts=named)
    return taken(SignatureInfo(name="s", inputs=(tensor,), outputs=()), {})


def part(key: str, dtype: str, *shape: int | None) -> TensorInfo:
    return TensorInfo(key=key, dtype=dtype, shape=shape, name=f"{key}:0")


NESTED = ("nested_row_splits_0", "nested_row_splits_1")
RAGGED = parts("r", "ragged", part("flat_values", "int32", None), *(part(name, "int64", None) for name in NESTED))
SPARSE = parts(
    "s", "sparse", part("indices", "int64", None, 2), part("values", "float32", None), part("dense_shape", "int64", 2)
)
ANY_RANK = tuple(
    replace(feed, shape=None) for feed in parts("r", "ragged", part("values", "int32"), part("row_splits", "int64"))
)
WHOLE = Composite(key="r", kind="ragged", parts=2)
SERVED = (
    Feed(key="r", dtype="int32", shape=(None,), tensor="r:0", argument="r", alias="r.values", part_of=WHOLE),
    Feed(key="r_1", dtype="int64", shape=(None,), tensor="r_1:0", argument="r_1", alias="r.row_splits", part_of=WHOLE),
)


@pytest.mark.parametrize(
    ("feeds", "examples", "expected"),
    [
        (RAGGED, ["r=[[[1, 2], []], [], [[3]]]"], [[1, 2, 3], [0, 2, 2, 3], [0, 2, 2, 3]]),
        (SERVED, ["r=[[1, 2], [], [3]]"], [[1, 2, 3], [0, 2, 2, 3]]),
        (SERVED, ["r.values=[1, 2]", "r_1=[0, 2]"], [[1, 2], [0, 2]]),
        (SERVED, ["r=[1, 2]", "r.row_splits=[0, 2]"], [[1, 2], [0, 2]]),
        (SPARSE, ['s={"indices": [[0, 1]], "values": [5], "dense_shape": [1, 2]}'], [[[0, 1]], [5], [1, 2]]),
        (SPARSE, ["s.indices=[[0, 1]]", "s.values=[5]", "s.dense_shape=[1, 2]"], [[[0, 1]], [5], [1, 2]]),
    ],
)
def test_a_ragged_or_sparse_input_is_given_whole_or_in_parts(feeds, examples, expected):
    assert [value.tolist() for value in fitted(feeds, *examples).arrays.values()] == expected


@pytest.mark.parametrize(
    ("feeds", "examples", "reason"),
    [
        (SERVED, ["r=[1, 2]"], "r: expected lists in lists, 2 deep"),
        (SERVED, ["r.values=[1]"], "r_1: it is missing"),
        (SERVED, ["r.values=[1]", "r=[1]", "r_1=[0, 1]"], "r: r is given already"),
        (SERVED, ["r=[1, 2]", "r_1=[0, 1]"], "r.row_splits: row splits begin with 0, never fall, and end with 2 here"),
        (SERVED, ["r=[1, 2]", "r_1=[0, 2, 1, 2]"], "never fall"),
        (SERVED, ["r=[1, 2]", "r_1=[]"], "begin with 0"),
        (RAGGED, [f"r.{NESTED[0]}=[0, 3]", f"r.{NESTED[1]}=[0, 1, 1]", "r.flat_values=[7]"], "end with 2 here"),
        (SPARSE, ["s.indices=[[0, 2]]", "s.values=[5]", "s.dense_shape=[1, 2]"], "s: expected one index within its"),
        (SPARSE, ["s.indices=[[0, 1]]", "s.values=[5, 6]", "s.dense_shape=[1, 2]"], "each of its 2 values"),
        (ANY_RANK, ["r.values=1", "r.row_splits=[0, 1]"], "r: expected lists, found a part that is one value"),
        (SPARSE, ['s={"indexes": []}'], "s: expected its parts, s.indices, s.values, s.dense_shape, found s.indexes"),
    ],
)
def test_parts_that_are_no_tensor_together_are_refused(feeds, examples, reason):
    with pytest.raises(UsageError, match=reason):
        fitted(feeds, *examples)


def test_parts_have_the_names_under_which_tensorflow_takes_them():
    assert [feed.argument for feed in SPARSE] == ["s_indices", "s_values", "s_dense_shape"]
    assert [feed.argument for feed in RAGGED] == ["r_component_0", "r_component_1", "r_component_2"]


def test_two_inputs_that_are_one_tensor_have_one_value():
    feeds = [replace(feed("float32", None, key=key), tensor="x:0") for key in ("a", "b")]
    assert list(_by_tensor(fitted(feeds, "a=[1, NaN]", "b=[1, NaN]"), "giving")) == ["x:0"]
    texts = [replace(one, dtype="string") for one in feeds]
    assert _by_tensor(fitted(texts, 'a=["1"]', 'b=["1"]'), "giving")["x:0"].tolist() == [b"1"]
    empty = [replace(one, shape=(None, None)) for one in feeds]
    for other in (
        fitted(feeds, "a=[1]", "b=[2]"),
        fitted(texts, 'a=["1"]', 'b=["2"]'),
        fitted(empty, a=np.zeros((0, 3), np.float32), b=np.zeros((0, 5), np.float32)),
    ):
        with pytest.raises(UsageError, match="giving: a and b are one tensor of the graph, x:0, and have two values"):
            _by_tensor(other, "giving")
