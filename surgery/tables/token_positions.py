"""Positions that are counted from an id of padding, over the tokens that are no padding, in a graph.

fairseq (utils.make_positions) and transformers (create_position_ids_from_input_ids) compute them as
`cumsum(tokens) * tokens + padding`, where `tokens` is 1 for every id but that of padding.
"""

from __future__ import annotations

from surgery.graphs.dataflow import SUMS, constant, through_shapes
from surgery.graphs.flat import Tensor
from surgery.graphs.op_types import is_set
from surgery.tables.anchors import LAST_OF_TWO, Anchors
from surgery.tables.readers import Reading


def padding_of_positions(graph: Anchors, table: str) -> Reading | None:
    """The id of padding from which the positions that are looked up in this table are counted."""
    found = graph.lookups(table)
    if not found:
        return None
    positions = through_shapes(found[0])
    places, offset = _without_constant(positions)
    padding = _left_out(places)
    if padding is None or padding != offset:
        counted = f"for all ids but {padding:g}" if padding is not None else "in another way than by cumsum"
        return Reading(value=f"unknown (counted {counted}, plus {offset:g})", place=positions.node.path)
    return Reading(value=int(padding), place=positions.node.path)


def _left_out(places: Tensor) -> float | None:
    """The id that does not count in the places of tokens, `cumsum(tokens) * tokens`; None for anything else."""
    if places.node.op != "Mul":
        return None
    left, right = (through_shapes(feed) for feed in places.node.inputs)
    for factor, tokens in ((left, right), (right, left)):
        count, earlier = _without_constant(factor)
        if (
            count.node.op != "Cumsum"
            or earlier != 0
            or is_set(count.node, "exclusive")
            or is_set(count.node, "reverse")
            or constant(count.node.inputs[1]) not in LAST_OF_TWO
            or through_shapes(count.node.inputs[0]) != tokens
            or tokens.node.op != "NotEqual"
        ):
            continue
        ids = [value for feed in tokens.node.inputs if (value := constant(feed)) is not None]
        return ids[0] if len(ids) == 1 else None
    return None


def _without_constant(total: Tensor) -> tuple[Tensor, float]:
    """A sum with a constant as the other addend and the constant; any other tensor as it is, and 0."""
    values = [constant(feed) for feed in total.node.inputs] if total.node.op in SUMS else []
    if len(values) == 2 and values.count(None) == 1:
        number = values.index(None)
        return through_shapes(total.node.inputs[number]), values[1 - number] or 0.0
    return total, 0.0
