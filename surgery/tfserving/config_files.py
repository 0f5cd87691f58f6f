"""TensorFlow Serving's configuration files, written by protobuf from its own messages.

ModelServerConfig comes with tensorflow-serving-api, and importing it imports no TensorFlow. BatchingParameters is no
part of that package, so it is declared here at run time, field by field as in the server's session_bundle_config.proto.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from surgery.errors import UsageError

MODELS_CONFIG = "models.config"
BATCHING_CONFIG = "batching.config"
INSTALL = "pip install 'hub-surgery[serving]'"
SMALLEST_LARGEST = 32
"""Rows of the largest batch that the server forms, where no larger one is asked about."""
TIMEOUT_MICROS = 1000
"""How long a request waits for others. The server's default of 0 merges only what happens to wait anyway."""

INT64, BOOL, MESSAGE = 3, 8, 11
OPTIONAL, REPEATED = 1, 3
BATCHING_FIELDS = (
    ("max_batch_size", 1, MESSAGE, OPTIONAL, "Int64Value"),
    ("batch_timeout_micros", 2, MESSAGE, OPTIONAL, "Int64Value"),
    ("max_enqueued_batches", 3, MESSAGE, OPTIONAL, "Int64Value"),
    ("num_batch_threads", 4, MESSAGE, OPTIONAL, "Int64Value"),
    ("thread_pool_name", 5, MESSAGE, OPTIONAL, "StringValue"),
    ("enable_large_batch_splitting", 8, MESSAGE, OPTIONAL, "BoolValue"),
    ("max_execution_batch_size", 9, MESSAGE, OPTIONAL, "Int64Value"),
    ("allowed_batch_sizes", 6, INT64, REPEATED, None),
    ("pad_variable_length_inputs", 7, BOOL, OPTIONAL, None),
)
"""Name, number, type, label and wrapper of each field of tensorflow.serving.BatchingParameters."""

BATCHING_HEAD = """\
# A request of more rows than max_batch_size is refused.
# The server fills a batch up to an allowed size with copies of a row, and drops what these return.
# pad_variable_length_inputs stays off: the server pads with a tensor's first value, which in a mask is 1, so that
# padding would be attended to and every number of a shorter row be wrong.
"""


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
    return str(text_format.MessageToString(config, as_utf8=True))


def batching_config(batch: int) -> str:
    """BatchingParameters that merge requests of equal length, in batches of up to 32 rows, or of `batch` and more.

    Threads and queue stay at the server's defaults, which follow the machine.
    """
    from google.protobuf import text_format

    largest = SMALLEST_LARGEST
    while largest < batch:
        largest *= 2
    parameters = batching_parameters()()
    parameters.max_batch_size.value = largest
    parameters.batch_timeout_micros.value = TIMEOUT_MICROS
    size = 1
    while size <= largest:
        parameters.allowed_batch_sizes.append(size)
        size *= 2
    return BATCHING_HEAD + str(text_format.MessageToString(parameters))


@cache
def batching_parameters() -> Any:
    """The message class of BatchingParameters, in a pool of its own: the real one may be loaded by others."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto(
        name="surgery/batching_parameters.proto",
        package="tensorflow.serving",
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    message = file.message_type.add(name="BatchingParameters")
    for name, number, kind, label, wrapper in BATCHING_FIELDS:
        field = message.field.add(name=name, number=number, type=kind, label=label)
        if wrapper is not None:
            field.type_name = f".google.protobuf.{wrapper}"
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.serving.BatchingParameters"))
