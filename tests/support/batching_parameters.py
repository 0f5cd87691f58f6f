"""TensorFlow Serving's BatchingParameters as a message class, to parse what batching.config says."""

from __future__ import annotations

from functools import cache
from typing import Any

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


@cache
def batching_parameters() -> Any:
    """The message class, field by field as in session_bundle_config.proto, in a descriptor pool of its own."""
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
