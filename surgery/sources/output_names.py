"""The meaning of a signature's keys: the output or input of `__call__` that each key stands for, read from the graph.

Keras names serving outputs after layers, makes the names unique and sorts them. A key such as `bert_encoder_1_4`
therefore has no meaning, and `StatefulPartitionedCall:i` follows the sorted names instead of the structure. Both
functions were traced from one model. An output of the signature is therefore the output of the call that is computed
in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import permutations

from surgery.graphs.fingerprints import Fingerprints
from surgery.module import InspectedModule, OutputName, Structure, TensorInfo, Trace, leaves

BY_WRAPPER = "the function that the signature calls"
BY_GRAPH = "same computation in the graph"
BY_RANK = "rank of the key's number"
MOST_INPUTS_TO_PERMUTE = 4


def name_outputs(module: InspectedModule) -> InspectedModule:
    """The module with `output_names` and `input_names` filled in for every signature of the root's own calls.

    A signature belongs to the call whose function it wraps. Where it wraps a function that is no call of the root, as
    Keras makes them, it belongs to the call that computes the same.
    """
    outputs: list[OutputName] = []
    inputs: list[OutputName] = []
    for name, signature in module.signature_traces.items():
        for trace, read in _candidates(module, signature):
            found = read(trace, signature)
            if found is not None:
                pairs, feeds, how = found
                outputs += [
                    OutputName(signature=name, key=key, callable=trace.callable, paths=names, how=how)
                    for key, names in pairs.items()
                ]
                inputs += [
                    OutputName(signature=name, key=key, callable=trace.callable, paths=(feed,), how=how)
                    for key, feed in feeds.items()
                ]
                break
    return replace(module, output_names=tuple(outputs), input_names=tuple(inputs))


Named = tuple[dict[str, tuple[str, ...]], Mapping[str, str], str]
"""Output key → output paths of the call; input key → input path of the call; the method."""
Reader = Callable[[Trace, Trace], Named | None]


def _candidates(module: InspectedModule, signature: Trace) -> Iterator[tuple[Trace, Reader]]:
    """The calls that a signature may be, with the way to read the pairing, the surest first."""
    wraps = signature.wraps
    for trace in module.traces:
        if wraps is not None and trace.function == wraps.function:
            yield trace, _by_wrapper
    traces = [module.trace(name, training=False) for name in module.callables]
    alike = [trace for trace in traces if trace is not None and len(trace.flat_inputs) == len(signature.flat_inputs)]
    yield from ((trace, _by_graph) for trace in alike)
    # Numbers in names say nothing of a function that Keras did not name.
    yield from ((trace, _by_rank) for trace in alike if trace.callable == "__call__")


def _by_wrapper(trace: Trace, signature: Trace) -> Named | None:
    """Follows the one call in the signature's function."""
    wraps = signature.wraps
    assert wraps is not None, "the caller has looked"
    taken, given = trace.flat_inputs, _owners(trace.outputs)
    keys, results = signature.flat_inputs, _owners(signature.outputs)
    if (
        len(taken) > len(wraps.inputs)
        or len(results) != len(wraps.outputs)
        or max(wraps.outputs, default=-1) >= len(given)
    ):
        return None
    pairs: dict[str, tuple[str, ...]] = {}
    for key, number in zip(results, wraps.outputs, strict=True):
        pairs[key] = tuple(dict.fromkeys((*pairs.get(key, ()), given[number])))
    places = {number: path for (path, _), number in zip(taken, wraps.inputs, strict=False)}
    feeds = {key: places[number] for number, (key, _) in enumerate(keys) if number in places}
    return pairs, feeds, BY_WRAPPER


def _owners(outputs: Structure) -> list[str]:
    """For each result of a function, the path of the tensor that it is, or of which it is a part."""
    tensors = [(path, leaf) for path, leaf in leaves(outputs) if isinstance(leaf, TensorInfo)]
    return [path for path, leaf in tensors for _ in leaf.parts or (leaf,)]


def _by_graph(trace: Trace, signature: Trace) -> Named | None:
    call_graph, signature_graph = trace.open_graph(), signature.open_graph()
    if any(
        len(side.flat_outputs) != len(graph.outputs)
        for side, graph in ((trace, call_graph), (signature, signature_graph))
    ):
        return None  # it returns a tensor of a kind whose parts are not known
    call_inputs = [path or leaf.key for path, leaf in trace.flat_inputs]
    call = Fingerprints(call_graph, dict(enumerate(call_inputs)))
    computed: dict[bytes, list[str]] = {}
    for (path, _), tensor in zip(trace.flat_outputs, call_graph.outputs, strict=True):
        computed.setdefault(call.of(tensor), []).append(path)
    for feeds in _input_pairings(trace, signature):
        served = Fingerprints(signature_graph, {i: feeds[path] for i, (path, _) in enumerate(signature.flat_inputs)})
        pairs = {}
        for (path, _), tensor in zip(signature.flat_outputs, signature_graph.outputs, strict=True):
            names = computed.get(served.of(tensor))
            if names is None:
                break
            pairs[path] = tuple(names)
        else:
            return pairs, feeds, BY_GRAPH
    return None


def _input_pairings(trace: Trace, signature: Trace) -> Iterator[Mapping[str, str]]:
    """Ways to pair a signature's inputs with the call's: by name if the names are equal, else in every order.

    Nothing is yielded for more than MOST_INPUTS_TO_PERMUTE inputs with other names.
    """
    paths = [path for path, _ in trace.flat_inputs]
    names = {leaf.key: path for path, leaf in trace.flat_inputs} | {path: path for path in paths}
    keys = [path for path, _ in signature.flat_inputs]
    if all(key in names for key in keys):
        yield {key: names[key] for key in keys}
    elif len(keys) <= MOST_INPUTS_TO_PERMUTE:
        for order in permutations(paths):
            yield dict(zip(keys, order, strict=True))


def _by_rank(trace: Trace, signature: Trace) -> Named | None:
    """Pairs outputs by undoing the alphabetical sort of their keys.

    Keras numbers output names in the structure's order: `x`, `x_1`, … `x_10`. None where the keys do not look so.
    """
    keys = [path for path, _ in signature.flat_outputs]
    dtypes, served = (sorted(leaf.dtype for _, leaf in side.flat_outputs) for side in (trace, signature))
    if dtypes != served or len(served) < 2:
        return None  # the one name of a single output has no rank
    stems = {re.sub(r"_\d+$", "", key) for key in keys}
    if len(keys) != len(trace.flat_outputs) or len(stems) > 2:
        return None
    stem = min(keys, key=len)
    rank = {key: int(key[len(stem) + 1 :]) if re.fullmatch(re.escape(stem) + r"_\d+", key) else 0 for key in keys}
    if len(set(rank.values())) != len(keys):
        return None
    ordered = sorted(keys, key=rank.__getitem__)
    return {key: (path,) for key, (path, _) in zip(ordered, trace.flat_outputs, strict=True)}, {}, BY_RANK
