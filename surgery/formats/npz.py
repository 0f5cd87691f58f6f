"""Arrays by name from an `.npz` file (numpy.savez), which may come from a stranger: no pickles, and within limits."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from surgery import limits
from surgery.errors import ModuleError
from surgery.formats.regular_files import check_regular

DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,
    TypeError,
)
"""Errors to which a file leads that is no `.npz`, or a damaged one."""
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
SUFFIX = ".npy"


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a file. Numbers, bools and strings only.

    Raises ModuleError for a file that is none, is damaged, or has pickled objects, and LimitError for a larger one.
    """
    doing = f"reading {path}"
    check_regular(path)
    try:
        with zipfile.ZipFile(path) as file:
            members = file.infolist()
            limits.check("input_bytes", sum(member.file_size for member in members), doing)
            names = [member.filename.removesuffix(SUFFIX) for member in members]
            if len(set(names)) != len(names):
                raise ValueError("two arrays have one name")
            return {name: _array(file, member) for name, member in zip(names, members, strict=True)}
    except OSError as error:
        raise ModuleError(f"{doing}: {error.strerror or error}", hint="check the path and its permissions") from error
    except DAMAGE as error:
        raise ModuleError(
            f"{doing}: expected an .npz file of numbers, bools and strings, as numpy.savez writes it: {error}",
            hint="write one array per input with numpy.savez; give small inputs as KEY=VALUE instead",
        ) from error


def _array(file: zipfile.ZipFile, member: Any) -> np.ndarray:
    with file.open(member) as stream:
        version = npy.read_magic(stream)
        if version not in HEADERS:
            raise ValueError(f"{member.filename} has the format {version}")
        shape, _, dtype = HEADERS[version](stream)
        if dtype.kind not in "biufcSU":
            raise ValueError(f"{member.filename} is of dtype {dtype}, of which nothing is read")
        if math.prod(shape) * dtype.itemsize != member.file_size - stream.tell():
            raise ValueError(f"{member.filename} is said to be {dtype} {list(shape)}, and has another size")
    with file.open(member) as stream:
        array: np.ndarray = npy.read_array(stream, allow_pickle=False)
        return array
