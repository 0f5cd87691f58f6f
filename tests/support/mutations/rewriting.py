"""A default signature that computes the same function by other operations than the calls beside it."""

from __future__ import annotations

from typing import Any

from tests.support.editing import Edit
from tests.support.mutations.graphs import add, multiply, redirect


def own_function(saved_model: Any) -> Any:
    """The function of the default signature, copied for it: no call runs it any more."""
    library = saved_model.meta_graphs[0].graph_def.library
    (serve,) = (f for f in library.function if f.signature.name.startswith("__inference_serve_"))
    (call,) = (node for node in serve.node_def if node.op == "StatefulPartitionedCall")
    (encode,) = (f for f in library.function if f.signature.name == call.attr["f"].func.name)
    own = library.function.add()
    own.CopyFrom(encode)
    own.signature.name = call.attr["f"].func.name = f"{encode.signature.name}_rewritten"
    return own


def with_rewritten_signature(blocks: int, factor: float = 1.0) -> Edit:
    """The default signature computes each block by other operations: the same function, if the factor is 1.

    Scores are scaled behind their product, by `factor` times the scale, dense layers are matrix products, and residual
    sums have their terms the other way round.
    """

    def edit(saved_model: Any) -> None:
        function = own_function(saved_model)
        nodes = {node.name: node for node in function.node_def}
        for block in range(blocks):
            scope = f"encoder/transformer/layer_{block}"
            scale, scores = nodes[f"{scope}/self_attention/Mul"], nodes[f"{scope}/self_attention/einsum/Einsum"]
            query, number = scale.input
            scores.input[:] = [query if feed == f"{scale.name}:z:0" else feed for feed in scores.input]
            product = f"{scores.name}:output:0"
            scaled_by = multiply(function, f"{scope}/scale", number, factor) if factor != 1 else number
            behind = add(function, f"{scope}/scaled", "Mul", [product, scaled_by])
            redirect(function, product, behind, {f"{scope}/scaled"})
            for layer in ("intermediate", "output"):
                dense = nodes[f"{scope}/{layer}/einsum/Einsum"]
                assert dense.attr["equation"].s == b"abc,cd->abd"
                dense.op = "BatchMatMulV2"
                for key in ("equation", "N"):
                    del dense.attr[key]
            for name, op in (("add", "Add"), ("add_1", "AddN")):
                residual = nodes[f"{scope}/{name}"]
                residual.op, residual.input[:] = op, list(reversed(residual.input))
            residual.attr["N"].i = 2
            redirect(function, f"{residual.name}:z:0", f"{residual.name}:sum:0")

    return edit
