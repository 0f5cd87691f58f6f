"""A serialized tf.train.Example (tensorflow/core/example/example.proto), without TensorFlow.

Signatures of Estimators take such strings: each is one row, a list of values by the name of its feature.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from surgery.formats.declared import declare

_MESSAGES = declare(
    """
    name: "surgery/example.proto" package: "surgery.example" syntax: "proto3"
    message_type { name: "BytesList" field { name: "value" number: 1 type: TYPE_BYTES label: LABEL_REPEATED } }
    message_type { name: "FloatList" field { name: "value" number: 1 type: TYPE_FLOAT label: LABEL_REPEATED } }
    message_type { name: "Int64List" field { name: "value" number: 1 type: TYPE_INT64 label: LABEL_REPEATED } }
    message_type {
      name: "Feature"
      oneof_decl { name: "kind" }
      field {
        name: "bytes_list" number: 1 type: TYPE_MESSAGE label: LABEL_OPTIONAL
        type_name: ".surgery.example.BytesList" oneof_index: 0
      }
      field {
        name: "float_list" number: 2 type: TYPE_MESSAGE label: LABEL_OPTIONAL
        type_name: ".surgery.example.FloatList" oneof_index: 0
      }
      field {
        name: "int64_list" number: 3 type: TYPE_MESSAGE label: LABEL_OPTIONAL
        type_name: ".surgery.example.Int64List" oneof_index: 0
      }
    }
    message_type {
      name: "Features"
      field {
        name: "feature" number: 1 type: TYPE_MESSAGE label: LABEL_REPEATED
        type_name: ".surgery.example.Features.FeatureEntry"
      }
      nested_type {
        name: "FeatureEntry" options { map_entry: true }
        field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
        field {
          name: "value" number: 2 type: TYPE_MESSAGE label: LABEL_OPTIONAL type_name: ".surgery.example.Feature"
        }
      }
    }
    message_type {
      name: "Example"
      field {
        name: "features" number: 1 type: TYPE_MESSAGE label: LABEL_OPTIONAL type_name: ".surgery.example.Features"
      }
    }
    """
)


def serialized_example(features: Mapping[str, Any]) -> bytes:
    """The bytes of an example. A feature is a value or a list of values.

    Texts and bytes are a bytes feature, whole numbers an int64 feature; where one number is a float, all are a float
    feature, float32. Raises ValueError for a feature that is none of these, and for numbers that float32 cannot hold.
    """
    example = _MESSAGES["Example"]()
    for name, given in features.items():
        values = list(given) if isinstance(given, list | tuple) else [given]
        feature = example.features.feature[name]
        kinds = {type(value) for value in values}
        if kinds <= {str, bytes}:
            if values:
                feature.bytes_list.value.extend(v.encode() if isinstance(v, str) else v for v in values)
        elif kinds == {int}:
            feature.int64_list.value.extend(values)
        elif kinds <= {int, float}:
            _check_float32(name, values)
            feature.float_list.value.extend(values)
        else:
            raise ValueError(f"the feature {name} is {given!r}: expected numbers, or texts, or a list of either")
    return bytes(example.SerializeToString(deterministic=True))


def _check_float32(name: str, values: list[Any]) -> None:
    """Raises ValueError for a number that is too large for float32: the message would hold an infinity in its place."""
    try:
        struct.pack(f"<{len(values)}f", *values)
    except (OverflowError, struct.error) as error:
        raise ValueError(f"the feature {name} has a number that float32 cannot hold: {error}") from None
