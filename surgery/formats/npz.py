"""Arrays by name in a file, as `numpy.savez` writes it: a zip archive of one `.npy` file per array.

Nothing is unpickled, and no array is larger than the bytes that the file has for it. An array of strings has the dtype
`S`, in which numpy takes zero bytes at the end of a string for padding. Where strings end with such bytes, the array
`NAME.lengths` stands beside `NAME`: the number of bytes of each string.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.lib import format as npy

from surgery import limits
from surgery.errors import UsageError

LENGTHS = ".lengths"
SUFFIX = ".npy"
ZIP, NPY = b"PK", b"\x93NUMPY"
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ValueError,
    TypeError,
    SyntaxError,
    TokenError,
    EOFError,
    OverflowError,
    RecursionError,
    NotImplementedError,
    RuntimeError,  # an encrypted file
)
"""What zipfile and numpy raise for a damaged file, or one that is made to do harm."""


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name; strings are bytes in an array of dtype object.

    Raises UsageError for a file that is none such, for a damaged one, and for one with Python objects, and LimitError
    for arrays larger than the limit `input_bytes`.
    """
    doing = f"reading {path}"
    if path.exists() and not path.is_file():
        raise UsageError(f"{doing}: expected an .npz file, found a folder, a pipe or a device", hint="give a file")
    try:
        with path.open("rb") as file:
            begin = file.read(len(NPY))
            if not begin.startswith(ZIP):
                found = "one array, as np.save writes it" if begin == NPY else "another file"
                raise UsageError(
                    f"{doing}: expected an .npz file of arrays by name, found {found}",
                    hint=f"write it by np.savez({path.stem + '.npz'!r}, NAME=array)",
                )
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
                limits.check("files", len(entries), doing)
                limits.check("input_bytes", sum(entry.file_size for entry in entries), doing)
                arrays: dict[str, np.ndarray] = {}
                for entry in entries:
                    name = entry.filename.removesuffix(SUFFIX)
                    if name in arrays:
                        raise UsageError(f"{doing}: it has two arrays called {name}", hint="write it again")
                    arrays[name] = _read_array(archive, entry)
    except OSError as error:
        raise UsageError(
            f"{doing}: {error.strerror or error}", hint="check that the file is there, and its permissions"
        ) from error
    except DAMAGED as error:
        raise UsageError(
            f"{doing}: expected an .npz file of arrays by name, found a damaged one ({_first_line(error)})",
            hint="write it again by np.savez, with numbers and strings only",
        ) from error
    return _with_lengths(arrays)


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays, so that numpy reads them without unpickling. Raises OSError.

    Numbers of dtypes that numpy does not have are written as float32 or int8, which hold every value of them.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in {**arrays, **_lengths(arrays)}.items():
            with archive.open(f"{name}{SUFFIX}", "w", force_zip64=True) as file:
                npy.write_array(file, _packed(array), allow_pickle=False)


def of_numpy(array: np.ndarray) -> np.ndarray:
    """The array with a dtype of numpy's own: bfloat16 and float8 become float32, int4 becomes int8."""
    if array.dtype.kind == "V" and array.dtype.names is None and array.dtype.type is not np.void:
        return array.astype("int8" if "int" in array.dtype.name else "float32")
    return array


def _read_array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    if entry.compress_type not in METHODS:
        raise ValueError(f"{entry.filename} is compressed by the method {entry.compress_type}")
    with archive.open(entry) as file:
        version = npy.read_magic(file)
        if version not in HEADERS:
            raise ValueError(f"{entry.filename} has the version {version}")
        shape, by_columns, dtype = HEADERS[version](file)
        if dtype.hasobject or dtype.names is not None or dtype.subdtype is not None:
            raise ValueError(f"{entry.filename} holds Python objects or records")
        data = file.read()
    count = 1
    for size in shape:
        count *= size
    if min(shape, default=0) < 0 or len(data) != count * dtype.itemsize:
        raise ValueError(f"{entry.filename} has {len(data)} bytes for {dtype} {list(shape)}")
    array = np.frombuffer(data, dtype) if count * dtype.itemsize else np.zeros(count, dtype)
    array = array.reshape(shape, order="F" if by_columns else "C").astype(dtype.newbyteorder("="), copy=False)
    return array.astype(object) if dtype.kind == "S" else array


def _with_lengths(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays, whose strings have the zero bytes at their end again."""
    for name in [name for name in arrays if name + LENGTHS in arrays]:
        strings, lengths = arrays[name], arrays[name + LENGTHS]
        if strings.dtype == object and strings.shape == lengths.shape and lengths.dtype.kind in "iu":
            longest = max((len(text) for text in strings.flat), default=0)
            limits.check("input_bytes", int(lengths.max(initial=longest)) * strings.size, f"reading {name + LENGTHS}")
            whole = [text.ljust(int(size), b"\0") for text, size in zip(strings.flat, lengths.flat, strict=True)]
            arrays[name] = _objects(whole, strings.shape)
            del arrays[name + LENGTHS]
    return arrays


def _lengths(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name + LENGTHS: np.array([len(text) for text in array.flat], "int64").reshape(array.shape)
        for name, array in arrays.items()
        if array.dtype == object and any(text.endswith(b"\0") for text in array.flat)
    }


def _packed(array: np.ndarray) -> np.ndarray:
    return array.astype("S") if array.dtype == object else of_numpy(array)


def _objects(values: list[Any], shape: tuple[int, ...]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array.reshape(shape)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
