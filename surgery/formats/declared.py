"""Protobuf messages that no package here ships as Python code, declared at run time.

tensorboard ships most of TensorFlow's messages; a missing one needs a schema of a few lines. The schema is written as
protobuf's own description of a `.proto` file (google/protobuf/descriptor.proto) in text form.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format


def declare(schema: str, *imported: Any) -> dict[str, Any]:
    """Message classes by name.

    Args:
        schema: A FileDescriptorProto in text form.
        imported: The descriptors of the files whose messages the schema uses.
    """
    file = text_format.Parse(schema, descriptor_pb2.FileDescriptorProto())
    file.dependency.extend(other.name for other in imported)
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return {
        declared.name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{file.package}.{declared.name}"))
        for declared in file.message_type
    }
