"""The number of token types of an export, from its manifest. It may lie in any file system that TensorFlow can read."""

from __future__ import annotations

import json

import tensorflow as tf

from surgery.export.manifest import MANIFEST


def token_types(saved_model: str) -> int | None:
    """The rows of the encoder's table of token types; None for a SavedModel without a manifest that has the number."""
    try:
        with tf.io.gfile.GFile(f"{saved_model.rstrip('/')}/{MANIFEST}", "r") as file:
            found = json.loads(file.read())["architecture"]["type_vocab_size"]
    except (tf.errors.OpError, OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return found if type(found) is int else None
