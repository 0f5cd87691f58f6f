"""The Python client that people copy. It needs grpcio and protobuf, and neither TensorFlow nor its serving API.

tensorflow-serving-api depends on TensorFlow, which is half a gigabyte on every client. The client therefore declares
the few messages of TensorFlow Serving's protocol that a prediction needs, by the numbers and types of their fields
(tensorflow/core/framework/tensor.proto, tensorflow_serving/apis/predict.proto and model.proto). Names of messages and
fields are no part of what is sent.
"""

from __future__ import annotations

from surgery.tfserving.example_inputs import example_inputs
from surgery.tfserving.reply_size import LIMIT
from surgery.tfserving.served import Served

CLIENT = "client.py"
GRPC_PORT = 8500
ROWS, TOKENS = 2, 4
"""Size of the example requests."""

TEMPLATE = '''\
"""Asks TensorFlow Serving over gRPC for one signature of a model: python {file} [HOST:PORT [LABEL]]

Needs two packages (pip install grpcio protobuf), and no TensorFlow.
"""

import struct
import sys
from collections import namedtuple

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

ADDRESS = "localhost:{port}"
MODEL, SIGNATURE = {model!r}, {signature!r}
# The label of a version, such as "canary"; None asks for the newest version that is served.
LABEL = {label!r}
INPUTS = {inputs}
# The outputs to send back; an empty list asks for all.
OUTPUTS = {outputs}
# Bytes of a reply that are accepted. gRPC's own limit is 4 MiB.
RECEIVE = {receive}

METHOD = "/tensorflow.serving.PredictionService/Predict"
# TensorFlow Serving's messages, as far as they are used: number and type of each field. "*" is a list, "@" a map.
MESSAGES = {{
    "Dim": {{"size": (1, "int64")}},
    "Shape": {{"dim": (2, "*Dim")}},
    "Tensor": {{
        "dtype": (1, "int32"),
        "tensor_shape": (2, "Shape"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "*float"),
        "double_val": (6, "*double"),
        "int_val": (7, "*int32"),
        "string_val": (8, "*bytes"),
        "int64_val": (10, "*int64"),
        "bool_val": (11, "*bool"),
        "half_val": (13, "*int32"),
        "uint32_val": (16, "*uint32"),
        "uint64_val": (17, "*uint64"),
    }},
    "ModelSpec": {{"name": (1, "string"), "signature_name": (3, "string"), "version_label": (4, "string")}},
    "Request": {{"model_spec": (1, "ModelSpec"), "inputs": (2, "@Tensor"), "output_filter": (3, "*string")}},
    "Reply": {{"outputs": (1, "@Tensor")}},
}}
# By dtype: TensorFlow's number, how the struct module writes a value, and the field of a reply. "H" is two raw bytes.
DTYPES = {{
    "float32": (1, "f", "float_val"),
    "float64": (2, "d", "double_val"),
    "int32": (3, "i", "int_val"),
    "uint8": (4, "B", "int_val"),
    "int16": (5, "h", "int_val"),
    "int8": (6, "b", "int_val"),
    "string": (7, "", "string_val"),
    "int64": (9, "q", "int64_val"),
    "bool": (10, "?", "bool_val"),
    "bfloat16": (14, "H", "half_val"),
    "uint16": (17, "H", "int_val"),
    "float16": (19, "e", "half_val"),
    "uint32": (22, "I", "uint32_val"),
    "uint64": (23, "Q", "uint64_val"),
}}
# `values` is flat, in the order of rows. With numpy: np.array(tensor.values, tensor.dtype).reshape(tensor.shape)
Tensor = namedtuple("Tensor", "dtype shape values")


def declare(messages):
    """Message classes by name."""
    file = descriptor_pb2.FileDescriptorProto(name="client.proto", package="client", syntax="proto3")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            plain = kind.lstrip("*@")
            label = 1 if kind == plain else 3  # optional or repeated
            if kind.startswith("@"):
                entry = message.nested_type.add(name=field.capitalize() + "Entry")
                entry.options.map_entry = True
                entry.field.add(name="key", number=1, label=1, type=9)
                entry.field.add(name="value", number=2, label=1, type=11, type_name=f".client.{{plain}}")
                plain = f"{{name}}.{{entry.name}}"
            added = message.field.add(name=field, number=number, label=label)
            if plain in messages or kind.startswith("@"):
                added.type, added.type_name = 11, f".client.{{plain}}"
            else:
                added.type = descriptor_pb2.FieldDescriptorProto.Type.Value(f"TYPE_{{plain.upper()}}")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    found = {{name: pool.FindMessageTypeByName(f"client.{{name}}") for name in messages}}
    return {{name: message_factory.GetMessageClass(message) for name, message in found.items()}}


CLASSES = declare(MESSAGES)


def write(tensor, dtype, value):
    """Fills a message with a value: nested lists, of strings (or bytes) for the dtype "string"."""
    number, code, _ = DTYPES[dtype]
    tensor.dtype, values = number, [value]
    while isinstance(values[0], (list, tuple)):
        tensor.tensor_shape.dim.add(size=len(values[0]))
        values = [item for row in values for item in row]
    if dtype == "string":
        tensor.string_val.extend(v if isinstance(v, bytes) else v.encode() for v in values)
    elif dtype == "bfloat16":
        bits = [struct.unpack("<I", struct.pack("<f", v))[0] for v in values]
        # Rounds to the nearest, and a tie to the even one.
        tensor.tensor_content = struct.pack(f"<{{len(bits)}}H", *((b + 0x7FFF + (b >> 16 & 1)) >> 16 for b in bits))
    else:
        tensor.tensor_content = struct.pack(f"<{{len(values)}}{{code}}", *values)


def read(tensor):
    """The Tensor of a message. Raises ValueError for a dtype that is none of DTYPES: name other OUTPUTS then."""
    found = [(name, code, field) for name, (number, code, field) in DTYPES.items() if number == tensor.dtype]
    if not found:
        raise ValueError(f"an output has the dtype number {{tensor.dtype}}, none of DTYPES: name other OUTPUTS")
    ((dtype, code, field),) = found
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    count = 1
    for size in shape:
        count *= size
    values = list(getattr(tensor, field))
    if tensor.tensor_content:
        values = list(struct.unpack(f"<{{count}}{{code}}", tensor.tensor_content))
    elif dtype == "float16":
        values = [struct.unpack("<e", struct.pack("<H", bits))[0] for bits in values]
    if dtype == "bfloat16":
        values = [struct.unpack("<f", struct.pack("<I", bits << 16))[0] for bits in values]
    # A sender may leave out values at the end that are equal to the last.
    values += (values[-1:] or [0]) * (count - len(values))
    return Tensor(dtype, shape, values)


def predict(address, inputs=INPUTS, outputs=OUTPUTS, label=LABEL):
    """Tensors by output."""
    request = CLASSES["Request"](output_filter=outputs)
    request.model_spec.name, request.model_spec.signature_name = MODEL, SIGNATURE
    if label is not None:
        request.model_spec.version_label = label
    for key, (dtype, value) in inputs.items():
        write(request.inputs[key], dtype, value)
    with grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", RECEIVE)]) as channel:
        call = channel.unary_unary(METHOD, CLASSES["Request"].SerializeToString, CLASSES["Reply"].FromString)
        reply = call(request, timeout=60)
    return {{key: read(tensor) for key, tensor in reply.outputs.items()}}


if __name__ == "__main__":
    try:
        found = predict(*sys.argv[1:2] or [ADDRESS], label=(sys.argv[2:] or [LABEL])[0])
    except grpc.RpcError as error:
        sys.exit(f"{{error.code().name}}: {{error.details()}}")
    except ValueError as error:
        sys.exit(str(error))
    for name, tensor in sorted(found.items()):
        name = name if name.isprintable() else ascii(name)
        print(name, tensor.dtype, tensor.shape, tensor.values[:3], "...")
'''


def client(served: Served) -> str:
    """A Python program that asks for every output of the first signature and accepts a reply of the described size.

    Raises ModuleError for inputs that cannot be made up.
    """
    signature = served.first
    mebibytes = max(LIMIT, 2 * signature.reply.total) // 2**20 + 1
    return TEMPLATE.format(
        file=CLIENT,
        port=GRPC_PORT,
        model=served.model,
        signature=signature.name,
        label=served.versions.own_label,
        inputs=_lines("{", "}", [f"{k!r}: {v!r}" for k, v in example_request(served).items()]),
        outputs=_lines("[", "]", [repr(tensor.key) for tensor in signature.signature.outputs]),
        receive=f"{mebibytes} * 2**20",
    )


def example_request(served: Served) -> dict[str, tuple[str, object]]:
    """Dtype and nested lists of the example request to the first signature, by input."""
    return example_inputs(served.first.signature, ROWS, min(TOKENS, served.longest or TOKENS))


def _lines(start: str, end: str, items: list[str]) -> str:
    """A literal with one item per line."""
    return start + "".join(f"\n    {item}," for item in items) + f"\n{end}"
