"""Triton's model repository for the signatures that are served: NAME/config.pbtxt and NAME/VERSION/model.py."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from surgery.batching.bounds import Bounds
from surgery.module import TensorInfo
from surgery.triton.exported import TRITON_TYPES, Served

MODEL_FILE = """\
import sys

sys.path.insert(0, {folder!r})  # Triton's process for a model ignores PYTHONPATH
from surgery.triton.model import TritonPythonModel  # noqa: E402,F401
"""

LAYOUT_FILE = "layout.txt"
"""A file beside model.py. Its one sentence, written when the model loads, says which requests share a run."""


@dataclass(frozen=True, kw_only=True)
class Batching:
    """How Triton forms batches.

    Attributes:
        bounds: The most that a run may hold.
        delay_us: The longest that a request waits for others, in microseconds.
    """

    bounds: Bounds
    delay_us: int


def write_repository(folder: Path, models: Sequence[Served], batching: Batching, threads: int) -> None:
    """Writes the repository into a new folder. `threads` is the number of threads of a run, 0 for one per core."""
    from google.protobuf import json_format, text_format
    from tritonclient.grpc import model_config_pb2

    model_file = MODEL_FILE.format(folder=str(Path(__file__).parents[2]))
    for served in models:
        config = json_format.ParseDict(configuration(served, batching, threads), model_config_pb2.ModelConfig())
        version = folder / served.model / str(served.version)
        version.mkdir(parents=True)
        (version / "model.py").write_text(model_file, encoding="utf-8")
        (folder / served.model / "config.pbtxt").write_text(text_format.MessageToString(config), encoding="utf-8")


def configuration(served: Served, batching: Batching, threads: int) -> dict[str, Any]:
    """A model's configuration, with the field names of Triton's model_config.proto."""
    config: dict[str, Any] = {
        "name": served.model,
        "backend": "python",
        "input": [tensor_config(tensor, served.batched) for tensor in served.signature.inputs],
        "output": [tensor_config(tensor, served.batched) for tensor in served.signature.outputs],
        # One process; TensorFlow spreads a run over the cores by itself.
        "instance_group": [{"kind": "KIND_CPU", "count": 1}],
        "parameters": {
            key: {"string_value": value}
            for key, value in {
                "saved_model": str(served.folder),
                "tags": json.dumps(served.tags),
                "signature": served.signature.name,
                "batched": "1" if served.batched else "",
                "threads": str(threads),
                "bounds": json.dumps(asdict(batching.bounds)),
                "trust": "1" if served.trust else "",
            }.items()
        },
    }
    if served.batched:
        config["max_batch_size"] = batching.bounds.rows
        config["dynamic_batching"] = {"max_queue_delay_microseconds": batching.delay_us}
        for tensor in config["input"]:
            # Without this, Triton only merges requests of equal shapes. `surgery.batching` decides what shares a run.
            tensor["allow_ragged_batch"] = True
    return config


def tensor_config(tensor: TensorInfo, batched: bool) -> dict[str, Any]:
    """The configuration of an input or output.

    Triton knows no tensor without axes: for those, the shape that clients send has one more axis, of size 1.
    """
    shape = tuple(tensor.shape or ())[1 if batched else 0 :]
    config: dict[str, Any] = {
        "name": tensor.key,
        "data_type": f"TYPE_{TRITON_TYPES[tensor.dtype]}",
        "dims": [-1 if size is None else size for size in shape] or [1],
    }
    if not shape:
        config["reshape"] = {"shape": []}
    return config


def client_shape(tensor: TensorInfo, batched: bool) -> list[int]:
    """The shape that clients send: -1 is any size, and an axis that Triton adds is included."""
    return [*([-1] if batched else []), *tensor_config(tensor, batched)["dims"]]
