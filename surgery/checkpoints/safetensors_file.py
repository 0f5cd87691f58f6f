"""Writes a safetensors file one tensor at a time.

The file is the length of its header as 8 bytes, the header as JSON, and the bytes of the tensors in C order
(https://huggingface.co/docs/safetensors). It is written by hand, because the library's `serialize_file` wants all
tensors in memory at once: 1.3 GB of a BERT-large. The library reads the file back, which proves the form.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

METADATA = {"format": "pt"}
"""transformers refuses a file that does not name the framework of its layouts."""
ALIGNMENT = 8
"""Tensors begin at a multiple of it: the header is padded with blanks."""


def write_safetensors(path: Path, shapes: Mapping[str, tuple[int, ...]], value: Callable[[str], np.ndarray]) -> None:
    """Writes float32 tensors, each of which is asked for by its name when its turn has come.

    Raises ValueError for a value of another shape or dtype than the header says, and OSError when the file cannot be
    written.
    """
    header: dict[str, object] = {"__metadata__": METADATA}
    begin = 0
    for name, shape in shapes.items():
        end = begin + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name, shape in shapes.items():
            array = value(name)
            if array.dtype != np.float32 or array.shape != shape:
                raise ValueError(f"{name}: expected float32 {list(shape)}, found {array.dtype} {list(array.shape)}")
            file.write(np.ascontiguousarray(array).astype("<f4", copy=False).data)
            del array
