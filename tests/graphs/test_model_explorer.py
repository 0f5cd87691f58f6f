"""Ids of operations and files of node data, as Google's Model Explorer reads them."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict

from surgery.graphs.model_explorer import WORST, Place, node_data, node_ids
from surgery.sources.opening import open_module

RECORDED = "9c7c698f7118932c95aa86fc230741df03788247a92984fc3d2777a64e99a369"
"""SHA-256 of what ai-edge-model-explorer-adapter 0.2.1 says of g3_small: `ConvertSavedModelDirectlyToJson`, whose
`subgraphs` are the graphs, and whose `namespace` is the name of an operation."""


def digest(lines: list[str]) -> str:
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def test_ids_are_those_of_model_explorers_own_adapter(modules):
    with open_module(str(modules("g3_small")), with_weights=False) as module:
        ids = node_ids(module.inference_graph.graph_def)
    graphs: dict[str, list[str]] = defaultdict(list)
    for place, number in ids.items():
        graphs[place.graph].append(f"{number} {place.node}\n")
    assert (len(graphs), len(ids)) == (76, 4977)
    assert digest([f"{name} {len(nodes)} {digest(nodes)}\n" for name, nodes in sorted(graphs.items())]) == RECORDED


def test_of_several_values_at_one_operation_the_largest_is_shown():
    a, b, c = (Place("f", name) for name in "abc")
    values = [(a, 1.0), (a, 3.0), (a, 2.0), (b, math.inf), (b, 1.0), (c, math.nan)]
    found = node_data("errors", values, {a: "1", b: "2", c: "3"}, gradient=[{"stop": 0, "bgColor": "white"}])
    infinite = {"value": "infinite", "bgColor": WORST}
    assert found == {
        "f": {
            "name": "errors",
            "results": {"1": {"value": 3.0}, "2": infinite, "3": infinite},
            "gradient": [{"stop": 0, "bgColor": "white"}],
        }
    }
