"""What is taken for the first token of each text: the cut `[:, 0]`, and nothing that cuts or moves anything else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from surgery.graphs.flat import FlatGraph
from surgery.tables.first_token import is_first_token
from tests.support.graph_defs import add, constant
from tests.support.synthetic import new_graph


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A StridedSlice: where it begins, its masks, and the operations between the rows and it."""

    begin: tuple[float, ...] = (0, 0)
    strides: tuple[float, ...] = (1, 1)
    begin_mask: int = 0b01
    end_mask: int = 0b01
    shrink_axis_mask: int = 0b10
    ellipsis_mask: int = 0
    packed: bool = False
    first: str = "OnesLike"
    less: float = 1
    axis: float = 0
    joined: float = 1
    reverse: bool = False
    chosen_by: str = "kept"
    sizes: tuple[int, int] = (0, 1)
    shape_of: str = "Shape"

    def reads_first_token(self) -> bool:
        """Whether it is taken for the first token."""
        graph = new_graph()
        rows = add(graph.node, "rows", "Placeholder")
        add(graph.node, "sizes", "Unpack", add(graph.node, "shape_of", self.shape_of, rows))
        width = constant(graph.node, "width", [8], ())
        add(graph.node, "shape", "Pack", *(f"sizes:{number}" for number in self.sizes), width)
        placed = self._placed(graph.node, rows) if self.packed else add(graph.node, "placed", "Reshape", rows, "shape")
        size = (len(self.begin),)
        ends = [constant(graph.node, name, values, size) for name, values in (("b", self.begin), ("s", self.strides))]
        add(graph.node, "cut", "StridedSlice", placed, ends[0], ends[0], ends[1])
        for name in ("begin_mask", "end_mask", "shrink_axis_mask", "ellipsis_mask"):
            graph.node[-1].attr[name].i = getattr(self, name)
        flat = FlatGraph.of_graph_def(graph, ["rows"], ["cut:0"])
        (tensor,), (sequence,) = flat.outputs, flat.inputs
        return is_first_token(tensor, sequence)

    def _placed(self, nodes: Any, rows: str) -> str:
        axis = constant(nodes, "joined", [self.joined], ())
        kept = add(nodes, "kept", "ConcatV2", add(nodes, "first", self.first, rows), rows, axis)
        flat = add(nodes, "flat", "Cast", add(nodes, "kept_flat", "Reshape", kept))
        summed = add(nodes, "sum", "Cumsum", flat, reverse=self.reverse)
        places = add(nodes, "row_at", "Sub", summed, constant(nodes, "less", [self.less], ()))
        gathered = add(nodes, "gathered", "GatherV2", rows, places, constant(nodes, "axis", [self.axis], ()))
        chosen = add(nodes, "chosen", "Reshape", self.chosen_by)
        return add(nodes, "shown", "SelectV2", chosen, add(nodes, "placed", "Reshape", gathered, "shape"), rows)


@pytest.mark.parametrize(
    "cut",
    [Cut(), Cut(begin=(0, 0, 0), strides=(1, 1, 1), begin_mask=0b101, end_mask=0b101), Cut(packed=True)],
    ids=["[:, 0]", "[:, 0, :]", "of rows without padding"],
)
def test_the_first_token_is_found(cut):
    assert cut.reads_first_token()


@pytest.mark.parametrize(
    "changed",
    [
        {"begin": (0, 1)},
        {"begin_mask": 0b00},
        {"begin_mask": 0b11},
        {"end_mask": 0b00},
        {"shrink_axis_mask": 0b01},
        {"shrink_axis_mask": 0},
        {"ellipsis_mask": 0b01},
        {"strides": (2, 1)},
        {"begin": (0, 0, 0), "strides": (1, 1, 1)},
        {"packed": True, "first": "ZerosLike"},
        {"packed": True, "less": 2},
        {"packed": True, "axis": 1},
        {"packed": True, "joined": 0},
        {"packed": True, "reverse": True},
        {"packed": True, "chosen_by": "rows"},
        {"packed": True, "sizes": (1, 0)},
        {"sizes": (1, 0)},
        {"sizes": (0, 0)},
        {"shape_of": "Rank"},
    ],
    ids=str,
)
def test_another_token_or_other_rows_are_not(changed):
    assert not Cut(**changed).reads_first_token()
