"""The first token of each text, as exporters cut it out of an encoder's output: `output[:, 0]`.

A fused graph computes on the rows of the tokens that it keeps (surgery.tf.token_rows), and places them before the cut.
Position 0 of every text is always kept there.
"""

from __future__ import annotations

from surgery.formats.tensors import to_array
from surgery.graphs.dataflow import constant
from surgery.graphs.fingerprints import see_through
from surgery.graphs.flat import Node, Tensor

_BATCH, _TOKENS, _WIDTH = 0b001, 0b010, 0b100
"""The axes of a cut, as the bits of its masks."""
_MASKS = ("begin_mask", "end_mask", "shrink_axis_mask", "ellipsis_mask", "new_axis_mask")


def is_first_token(tensor: Tensor, sequence: Node) -> bool:
    """Whether a tensor [batch, width] is `output[:, 0]` of the output [batch, seq, width] that `sequence` computes."""
    cut = see_through(tensor).node
    return _cuts_first(cut) and _rows(see_through(cut.inputs[0]).node) is sequence


def _cuts_first(node: Node) -> bool:
    """Whether a node is a StridedSlice `[:, 0]` or `[:, 0, :]`."""
    if node.op != "StridedSlice":
        return False
    numbers = [see_through(feed).node for feed in (node.inputs[1], node.inputs[3])]
    if any(number.op != "Const" for number in numbers):
        return False
    begin, strides = (to_array(number.attr["value"].tensor) for number in numbers)
    if begin is None or strides is None or begin.shape not in ((2,), (3,)):
        return False
    first, last, cut, *others = (node.attr[name].i if name in node.attr else 0 for name in _MASKS)
    whole = _BATCH if len(begin) == 2 else _BATCH | _WIDTH
    return (
        first == whole
        and last & whole == whole
        and (cut, *others) == (_TOKENS, 0, 0)
        and begin[1] == 0
        and bool((strides == 1).all())
    )


def _rows(node: Node) -> Node:
    """The node that computes a tensor [batch, seq, width], or its rows of tokens where a fused graph places them."""
    if node.op == "SelectV2":  # zeros at padding
        node = see_through(node.inputs[1]).node
    if node.op == "Reshape":
        node = see_through(node.inputs[0]).node
    return see_through(node.inputs[0]).node if node.op == "GatherV2" and _keeps_first(node) else node


def _keeps_first(gather: Node) -> bool:
    """Whether a gather gives position 0 of each text its own row, and each position left out the row before it.

    That is `rows[cumsum(kept) - 1]`, where `kept` begins with a column of ones.
    """
    path = ("Sub", "Cumsum", "Cast", "Reshape", "ConcatV2", "OnesLike")
    node = see_through(gather.inputs[1]).node
    if constant(gather.inputs[2]) != 0 or node.op != path[0] or constant(node.inputs[1]) != 1:
        return False
    for op in path[1:]:
        node = see_through(node.inputs[0]).node
        if node.op != op:
            return False
    return True
