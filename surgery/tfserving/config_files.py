"""TensorFlow Serving's configuration files, in protobuf's text format.

models.config is a ModelServerConfig, which holds names and paths of any kind, so protobuf writes it. Its messages are
declared here, as far as they are used: the package that has them (tensorflow-serving-api) depends on TensorFlow.
batching.config is a BatchingParameters (session_bundle_config.proto). It holds numbers only, so a template writes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

MODELS_CONFIG = "models.config"
BATCHING_CONFIG = "batching.config"
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

SCHEMA = """
name: "surgery/model_server_config.proto"
package: "surgery.serving"
syntax: "proto3"
message_type {
  name: "ModelServerConfig"
  field { name: "model_config_list" number: 1 label: LABEL_OPTIONAL type_name: ".surgery.serving.ModelConfigList" }
}
message_type {
  name: "ModelConfigList"
  field { name: "config" number: 1 label: LABEL_REPEATED type_name: ".surgery.serving.ModelConfig" }
}
message_type {
  name: "ModelConfig"
  field { name: "name" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
  field { name: "base_path" number: 2 label: LABEL_OPTIONAL type: TYPE_STRING }
  field { name: "model_platform" number: 4 label: LABEL_OPTIONAL type: TYPE_STRING }
  field { name: "model_version_policy" number: 7 label: LABEL_OPTIONAL type_name: ".surgery.serving.VersionPolicy" }
  field { name: "version_labels" number: 8 label: LABEL_REPEATED type_name: ".surgery.serving.VersionLabel" }
}
message_type {
  name: "VersionPolicy"
  field { name: "specific" number: 102 label: LABEL_OPTIONAL type_name: ".surgery.serving.Specific" }
}
message_type {
  name: "Specific"
  field { name: "versions" number: 1 label: LABEL_REPEATED type: TYPE_INT64 }
}
message_type {
  name: "VersionLabel"
  field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
  field { name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_INT64 }
}
"""
"""The messages of model_server_config.proto and file_system_storage_path_source.proto, as far as they are used."""


def models_config(
    model: str, base_path: Path, versions: Sequence[int] = (), labels: Mapping[str, int] | None = None
) -> str:
    """A ModelServerConfig with one model: its newest version, or the ones named, with labels of these."""
    from google.protobuf import text_format

    config = _server_config()()
    entry = config.model_config_list.config.add(name=model, base_path=str(base_path), model_platform="tensorflow")
    if versions:
        entry.model_version_policy.specific.versions.extend(versions)
    for label, number in (labels or {}).items():
        entry.version_labels.add(key=label, value=number)
    # Letters of any language stay readable; what cannot be printed becomes octal, which parses to the same bytes.
    return "".join(
        c if c.isprintable() or c == "\n" else "".join(f"\\{byte:03o}" for byte in c.encode())
        for c in str(text_format.MessageToString(config, as_utf8=True))
    )


@cache
def _server_config() -> Any:
    """The class ModelServerConfig, under a package name of its own: the text form does not have it."""
    from surgery.formats.declared import declare

    return declare(SCHEMA)["ModelServerConfig"]


def batching_config(batch: int) -> str:
    """BatchingParameters for batches of up to 32 rows, or of the next power of two from `batch` on.

    Only requests of equal length are merged. Threads and queue stay at the server's defaults, which follow the machine.
    """
    sizes = [1]
    while sizes[-1] < max(batch, SMALLEST_LARGEST):
        sizes.append(2 * sizes[-1])
    allowed = "".join(f"allowed_batch_sizes: {size}\n" for size in sizes)
    return BATCHING.format(largest=sizes[-1], timeout=TIMEOUT_MICROS, allowed=allowed)
