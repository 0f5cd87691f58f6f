"""The first token of each text, as exporters cut it out of an encoder's output: `output[:, 0]`.

A fused graph computes on the rows of the tokens that it keeps (surgery.tf.token_rows), and places them before the cut.
Position 0 of every text is always kept there.
"""

from __future__ import annotations

from surgery.formats.tensors import to_array
from surgery.graphs.dataflow import constant
from surgery.graphs.fingerprints import see_through
from surgery.graphs.flat import Node, Tensor
from surgery.graphs.op_types import is_set

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
    if node.op == "SelectV2" and _is_kept(node.inputs[0], "Reshape"):  # zeros at padding
        node = see_through(node.inputs[1]).node
    if node.op != "Reshape" or not _is_by_text(node.inputs[1]):
        return node
    node = see_through(node.inputs[0]).node
    return see_through(node.inputs[0]).node if node.op == "GatherV2" and _keeps_first(node) else node


def _is_by_text(shape: Tensor) -> bool:
    """Whether a shape is [batch, seq, …] with the two sizes of one tensor: what has it begins with a row per text."""
    node = see_through(shape).node
    if node.op != "Pack" or len(node.inputs) != 3:
        return False
    batch, seq = (see_through(feed) for feed in node.inputs[:2])
    sizes = batch.node
    return (
        sizes is seq.node
        and sizes.op == "Unpack"
        and [tensor.port.rpartition(":")[2] for tensor in (batch, seq)] == ["0", "1"]
        and see_through(sizes.inputs[0]).node.op == "Shape"
    )


def _keeps_first(gather: Node) -> bool:
    """Whether a gather gives position 0 of each text its own row, and each position left out the row before it.

    That is `rows[cumsum(kept) - 1]`.
    """
    places = see_through(gather.inputs[1]).node
    return (
        constant(gather.inputs[2]) == 0
        and places.op == "Sub"
        and constant(places.inputs[1]) == 1
        and _is_kept(places.inputs[0], "Cumsum", "Cast", "Reshape")
    )


def _is_kept(tensor: Tensor, *path: str) -> bool:
    """Whether operations of these types, the last one first, compute a tensor of the mask of kept positions.

    It begins with a column of ones: position 0 of each text is kept.
    """
    for op in (*path, "ConcatV2", "OnesLike"):
        node = see_through(tensor).node
        if node.op != op or (op == "Cumsum" and (is_set(node, "exclusive") or is_set(node, "reverse"))):
            return False
        if op == "ConcatV2" and constant(node.inputs[-1]) != 1:
            return False
        tensor = node.inputs[0]
    return True
