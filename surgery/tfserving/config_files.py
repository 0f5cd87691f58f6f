"""TensorFlow Serving's configuration files, in protobuf's text format.

models.config is a ModelServerConfig, which holds names and paths of any kind, so protobuf writes it. The message comes
with tensorflow-serving-api; importing it imports no TensorFlow. batching.config is a BatchingParameters
(session_bundle_config.proto of the server), which that package lacks. It holds numbers only, so a template writes it.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from surgery.errors import UsageError

MODELS_CONFIG = "models.config"
BATCHING_CONFIG = "batching.config"
INSTALL = "pip install 'hub-surgery[serving]'"
SMALLEST_LARGEST = 32
"""Rows of the largest batch that the server forms, unless a larger one is described."""
TIMEOUT_MICROS = 1000
"""Microseconds that a request waits for others. The server's default of 0 merges only requests that wait anyway."""

BATCHING = """\
# A request of more rows than max_batch_size is refused.
# The server fills a batch up to an allowed size with copies of a row, and drops what these return.
# pad_variable_length_inputs stays off: the server pads with a tensor's first value, which in a mask is 1, so that
# padding would be attended to and every number of a shorter row be wrong.
max_batch_size {{
  value: {largest}
}}
batch_timeout_micros {{
  value: {timeout}
}}
{allowed}"""


def has_serving() -> bool:
    """Whether tensorflow-serving-api is installed; looking does not import it."""
    return find_spec("tensorflow_serving") is not None


def require_serving(doing: str) -> None:
    """Raises UsageError where tensorflow-serving-api is missing, saying how to get it."""
    if not has_serving():
        raise UsageError(
            f"{doing}: expected TensorFlow Serving's messages (tensorflow-serving-api), which are not installed",
            hint=INSTALL,
        )


def models_config(model: str, base_path: Path, version: int | None) -> str:
    """A ModelServerConfig with one model: its newest version, or the one named. Raises UsageError without the extra."""
    require_serving(f"writing {MODELS_CONFIG}")
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    config = model_server_config_pb2.ModelServerConfig()
    entry = config.model_config_list.config.add(name=model, base_path=str(base_path), model_platform="tensorflow")
    if version is not None:
        entry.model_version_policy.specific.versions.append(version)
    # Letters of any language stay readable; what cannot be printed becomes octal, which parses to the same bytes.
    return "".join(
        c if c.isprintable() or c == "\n" else "".join(f"\\{byte:03o}" for byte in c.encode())
        for c in str(text_format.MessageToString(config, as_utf8=True))
    )


def batching_config(batch: int) -> str:
    """BatchingParameters for batches of up to 32 rows, or of the next power of two from `batch` on.

    Only requests of equal length are merged. Threads and queue stay at the server's defaults, which follow the machine.
    """
    sizes = [1]
    while sizes[-1] < max(batch, SMALLEST_LARGEST):
        sizes.append(2 * sizes[-1])
    allowed = "".join(f"allowed_batch_sizes: {size}\n" for size in sizes)
    return BATCHING.format(largest=sizes[-1], timeout=TIMEOUT_MICROS, allowed=allowed)
