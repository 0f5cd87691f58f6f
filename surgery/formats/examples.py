"""tf.train.Example, a request of named lists, without TensorFlow (tensorflow/core/example/{example,feature}.proto)."""

from __future__ import annotations

from surgery.formats.declared import declare

Example = declare(
    """
    name: "surgery/example.proto" package: "surgery.example" syntax: "proto3"
    message_type { name: "BytesList" field { name: "value" number: 1 type: TYPE_BYTES label: LABEL_REPEATED } }
    message_type { name: "FloatList" field { name: "value" number: 1 type: TYPE_FLOAT label: LABEL_REPEATED } }
    message_type { name: "Int64List" field { name: "value" number: 1 type: TYPE_INT64 label: LABEL_REPEATED } }
    message_type {
      name: "Feature"
      oneof_decl { name: "kind" }
      field { name: "bytes_list" number: 1 type: TYPE_MESSAGE label: LABEL_OPTIONAL
              type_name: ".surgery.example.BytesList" oneof_index: 0 }
      field { name: "float_list" number: 2 type: TYPE_MESSAGE label: LABEL_OPTIONAL
              type_name: ".surgery.example.FloatList" oneof_index: 0 }
      field { name: "int64_list" number: 3 type: TYPE_MESSAGE label: LABEL_OPTIONAL
              type_name: ".surgery.example.Int64List" oneof_index: 0 }
    }
    message_type {
      name: "Features"
      field { name: "feature" number: 1 type: TYPE_MESSAGE label: LABEL_REPEATED
              type_name: ".surgery.example.Features.FeatureEntry" }
      nested_type {
        name: "FeatureEntry"
        field { name: "key" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
        field { name: "value" number: 2 type: TYPE_MESSAGE label: LABEL_OPTIONAL type_name: ".surgery.example.Feature" }
        options { map_entry: true }
      }
    }
    message_type {
      name: "Example"
      field { name: "features" number: 1 type: TYPE_MESSAGE label: LABEL_OPTIONAL
              type_name: ".surgery.example.Features" }
    }
    """
)["Example"]
