"""The features that a graph parses from serialized examples (tf.train.Example)."""

from __future__ import annotations

from surgery.graphs.fingerprints import see_through
from surgery.graphs.flat import Tensor

PARSERS = frozenset({"ParseExample", "ParseExampleV2"})
"""Operations that parse a batch of examples."""
KEYS = 2
"""Both parsers take the examples and their names first, then the keys of the features."""


def feature_of(tensor: Tensor) -> str | None:
    """The key of the dense feature that a tensor is, where a parser of examples gives it; None for any other tensor."""
    node = tensor.node
    if node.op == "ParseExampleV2":  # sparse and dense keys are one tensor each; a sparse feature has three outputs
        number = int(tensor.port) - 3 * node.attr["num_sparse"].i
        keys = _strings(node.inputs[KEYS + 1])
    elif node.op == "ParseExample":
        sparse, dense = node.attr["Nsparse"].i, node.attr["Ndense"].i
        number = int(tensor.port) - 3 * sparse
        keys = [key for feed in node.inputs[KEYS + sparse : KEYS + sparse + dense] for key in _strings(feed)]
    else:
        return None
    return keys[number] if 0 <= number < len(keys) else None


def _strings(tensor: Tensor) -> list[str]:
    node = see_through(tensor).node
    values = node.attr["value"].tensor.string_val if node.op == "Const" else ()
    return [value.decode(errors="replace") for value in values]
