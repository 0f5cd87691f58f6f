"""Files of arrays: what is written is read again to the bit, and a hostile or damaged file is one error in one line."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from surgery import limits
from surgery.errors import LimitError, UsageError
from surgery.formats.npz import read_npz, write_npz


def npy(array: np.ndarray, *, pickled: bool = False) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=pickled)
    return file.getvalue()


def archive(path: Path, *entries: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in entries:
            file.writestr(name, data)
    return path


def test_what_is_written_is_read_again_and_numpy_reads_it_without_a_pickle(tmp_path):
    texts = np.array([[b"a\0", b""], ["ß".encode(), b"\xff\0\0"]], object)
    arrays = {"file": np.arange(6.0).reshape(2, 3).T, "a/b": np.array([], np.int32), "texts": texts, "t": texts[0, :1]}
    write_npz(tmp_path / "x.npz", {**arrays, "half": np.array([0.1], ml_dtypes.bfloat16)})
    found = read_npz(tmp_path / "x.npz")
    assert found.pop("half").tolist() == [float(ml_dtypes.bfloat16(0.1))]
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert (found[name].dtype, found[name].tolist()) == (array.dtype, array.tolist())
    assert set(np.load(tmp_path / "x.npz", allow_pickle=False)) >= arrays.keys()


def test_what_numpy_writes_is_read(tmp_path):
    given = {"c": np.arange(6).reshape(2, 3), "f": np.asfortranarray(np.arange(6).reshape(2, 3)), "s": np.array(["ä"])}
    np.savez_compressed(tmp_path / "x.npz", **given, big=np.array([1, 2], ">i4"))
    found = read_npz(tmp_path / "x.npz")
    assert all(np.array_equal(found[name], array) for name, array in given.items())
    assert (found["big"].tolist(), found["big"].dtype.isnative) == ([1, 2], True)


ONES = npy(np.ones((2, 2), np.int32))
TWO = b"\1\0\0\0\1\0\0\0"
"""The bytes of two ones."""


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: archive(path, ("a.npy", npy(np.array([{}], object), pickled=True))), "Python objects"),
        (lambda path: archive(path, ("a.npy", ONES.replace(b"(2, 2)", b"(2, 9)"))), "has 16 bytes for int32"),
        (lambda path: archive(path, ("a.npy", ONES.replace(b"(2, 2)", b"(-2,2)"))), "has 16 bytes for int32"),
        (lambda path: archive(path, ("a.npy", ONES[:20])), "damaged"),
        (lambda path: archive(path, ("a.npy", ONES.replace(b"{'des", b"__imp"))), "damaged"),
        (lambda path: archive(path, ("a.npy", b"nothing"), ("b", b"")), "damaged"),
        (lambda path: archive(path, ("a.npy", ONES), ("a", ONES)), "two arrays called a"),
        (lambda path: archive(path, ("a.npy", ONES), method=zipfile.ZIP_LZMA), "compressed by the method 14"),
        (lambda path: path.write_bytes(b"PK\3\4" + bytes(99)), "damaged"),
        (
            lambda path: path.write_bytes(archive(path, ("a.npy", ONES)).read_bytes().replace(b"\1\0\0", b"\2\0\0")),
            "CRC",
        ),
        (lambda path: path.write_bytes(ONES), "found one array, as np.save writes it"),
        (lambda path: path.write_bytes(b"abc"), "found another file"),
        (lambda path: path.mkdir(), "a folder, a pipe or a device"),
        (lambda path: None, "No such file"),
    ],
)
def test_a_file_that_is_no_such_or_made_to_do_harm_is_one_line(make, reason, tmp_path):
    make(tmp_path / "x.npz")
    with pytest.raises(UsageError, match=reason) as caught:
        read_npz(tmp_path / "x.npz")
    assert caught.value.message.startswith(f"reading {tmp_path / 'x.npz'}: ")
    assert "\n" not in caught.value.message


def test_the_bytes_and_the_number_of_arrays_are_bounded_before_they_are_read(tmp_path):
    bomb = archive(tmp_path / "bomb.npz", ("a.npy", npy(np.zeros(10**6))), method=zipfile.ZIP_DEFLATED)
    several = archive(tmp_path / "several.npz", ("a.npy", ONES), ("b.npy", ONES))
    padded = tmp_path / "padded.npz"
    np.savez(padded, **{"s": np.array([b"a"]), "s.lengths": np.array([10**6])})
    for path, name, value in ((bomb, "input_bytes", 10**6), (several, "files", 1), (padded, "input_bytes", 999)):
        with limits.raised({name: value}), pytest.raises(LimitError, match=name):
            read_npz(path)
