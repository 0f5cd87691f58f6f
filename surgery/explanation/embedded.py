"""An encoder inside the graph of a larger model, such as a classifier that an Estimator exported for serving.

Such a SavedModel has signatures of the whole model, and no call of the encoder. The encoder is found from the names of
its variables. Its ends are found from the spots at which they act, and between its ends the graph is a trace of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial

from surgery.errors import UnexplainedError
from surgery.explanation.claims import Claim, Explanation
from surgery.explanation.ends import Ends, name_of
from surgery.explanation.recognition import find_embedded, find_family
from surgery.graphs.dataflow import upstream
from surgery.graphs.examples import PARSERS, feature_of
from surgery.graphs.flat import FlatGraph, Tensor
from surgery.graphs.op_types import UNKNOWN, definitions_of
from surgery.graphs.reach import ancestors
from surgery.module import InspectedModule, TensorInfo, Trace, VariableInfo
from surgery.tables.anchors import Anchors
from surgery.tables.family import POOLED, POOLER
from surgery.tables.pooler import l2_normalized


def locate_encoder(module: InspectedModule) -> InspectedModule:
    """The module with the encoder in its graph as its `__call__`; a module with calls is returned as it is.

    A variable that is no weight of the encoder has the reason in `outside`.

    Raises UnexplainedError where no table explains an encoder in it, there are several, or one cannot be cut out.
    """
    if module.whole_graph is None:
        return module
    found = find_embedded(module)
    if not found:
        find_family(module)  # raises, with the nearest table
    if len(found) > 1:
        raise UnexplainedError(
            f"looking for the encoder in the graph of {module.name}: expected one, found {len(found)}",
            hint="export a model with one of them",
            details=tuple(f"{family.name}: {_first_weight(claimed)}, …" for family, claimed in found.values()),
        )
    ((scope, (family, explanation)),) = found.items()
    graph, definitions = module.whole_graph(), definitions_of(module.inference_graph)
    graph.check_order()
    ends = Ends(name=module.name, family=family, claims=explanation.claims, graph=graph, definitions=definitions)
    trace = _trace(module, ends)
    _refuse_strangers(ends, trace)
    around = {*(variable.name for variable in explanation.unclaimed), *_not_called(ends)}
    needed = _needed(module)
    variables = tuple(replace(v, outside=_reason(v, needed)) if v.name in around else v for v in module.variables)
    makes_tokens = any(_is_made_of_strings(ends, ids) for ids in ends.inputs().values())
    return replace(module, scope=scope, variables=variables, traces=(trace,), makes_tokens=makes_tokens)


def _first_weight(explanation: Explanation) -> str:
    return next(claim.variable.name for claim in explanation.claims if claim.targets)


def _trace(module: InspectedModule, ends: Ends) -> Trace:
    """The graph between the encoder's ends as a trace of its call."""
    keys = {str(tensor.name): tensor.key for s in module.signatures.values() for tensor in s.inputs}
    taken = [_info(ends, tensor, keys) for tensor in ends.inputs().values()]
    outputs = {"sequence_output": ends.sequence}
    if ends.pooled is not None:
        normalized = l2_normalized(ends.anchors, ends.pooled)
        pooled = {POOLED: ends.pooled} if normalized is None else {POOLER: ends.pooled, POOLED: normalized.output}
        outputs.update(pooled)
    if len({info.key for info in taken}) < len(taken):
        taken = [replace(info, key=str(info.name)) for info in taken]
    inputs = {info.key: info for info in sorted(taken, key=lambda info: info.key)}
    returned = {name: replace(_info(ends, outputs[name], {}), key=name) for name in sorted(outputs)}
    names = [[str(info.name) for info in side.values()] for side in (inputs, returned)]
    return Trace(
        callable="__call__",
        function="the encoder in the graph",
        training=False,
        inputs=inputs,
        outputs=returned,
        captures=(),
        open_graph=cache(partial(FlatGraph.of_graph_def, ends.graph.root.graph.graph_def, *names)),
    )


def _info(ends: Ends, tensor: Tensor, keys: dict[str, str]) -> TensorInfo:
    if tensor.node.body is not None and tensor.node.body is not ends.graph.root:
        raise ends.unfound(f"{tensor.node.path} stands in a function that the graph calls")
    name, dtype = name_of(tensor), ends.dtype(tensor)
    if dtype == UNKNOWN:
        raise ends.unfound(f"the graph does not show the dtype of {name}")
    key = keys.get(name) or feature_of(tensor) or name.removesuffix(":0")
    return TensorInfo(key=key, dtype=dtype, shape=ends.shape(tensor), name=name)


def _is_made_of_strings(ends: Ends, ids: Tensor) -> bool:
    """Whether operations make these ids of strings; a parser of serialized examples gives ids that are ready-made."""
    if ids.node.op in PARSERS:
        return False
    feeds = (feed for node in upstream(ids, PARSERS) if node.op not in PARSERS for feed in node.inputs)
    return any(
        feed.node.op != "Const" and feed.node.proto is not None and ends.dtype(feed) == "string" for feed in feeds
    )


def _refuse_strangers(ends: Ends, trace: Trace) -> None:
    """Raises UnexplainedError where variables that no row claims, or random numbers, act in the encoder."""
    graph = trace.open_graph()
    held = set(graph.variables.values())
    read = {feed.node.path for node in graph.nodes for feed in node.inputs if feed.node in held}
    if strangers := sorted(read - {claim.variable.address for claim in ends.claims if claim.targets}):
        raise UnexplainedError(
            f"looking for the encoder in the graph of {ends.name}: variables act in it that the weight table of "
            f"{ends.family.name} does not know",
            hint="surgery converts BERT encoders without further weights inside",
            details=tuple(strangers),
        )
    drawn = Anchors(graph, {})
    if drawn.dropouts or drawn.unread_randomness:
        raise UnexplainedError(
            f"looking for the encoder in the graph of {ends.name}: random numbers are drawn in it, so the graph was "
            "made for training",
            hint="export the model for serving, in the Estimator's mode PREDICT",
            details=(*(d.result.path for d in drawn.dropouts), *(node.path for node in drawn.unread_randomness)),
        )


def _not_called(ends: Ends) -> Iterator[str]:
    """Names of the weights of sub-models, which have no call here, and of a pooler that no operation uses."""
    for claim in ends.claims:
        if claim.targets and (claim.rule.part != "encoder" or _is_idle(ends, claim)):
            yield claim.variable.name


def _is_idle(ends: Ends, claim: Claim) -> bool:
    return not any(ends.anchors.uses(target) for target in claim.targets)


def _needed(module: InspectedModule) -> frozenset[str]:
    """Names of the operations on which the outputs of the module's signatures depend."""
    nodes = {node.name: node for node in module.inference_graph.graph_def.node}
    outputs = [str(tensor.name) for signature in module.signatures.values() for _, tensor in signature.flat_outputs]
    return frozenset(ancestors(nodes, outputs))


def _reason(variable: VariableInfo, needed: frozenset[str]) -> str:
    if variable.name in needed:
        return "a weight of the model around the encoder, not of the encoder"
    return "no output of the model depends on it"
