"""What is compared of a module and its export: the graphs of their calls and signatures, and their tensors by name.

Both sides use the same names. Outputs of `serving_default` have plain names, those of other signatures and of
sub-models names such as `taps.query_0` and `mlm.mlm_logits`. An output that only the call returns is `__call__.NAME`,
one of a training trace `__call__(training=True).NAME`. In training traces every random mask is drawn from the same
numbers on both sides: rate and scale of each dropout then show in the outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from surgery.explanation.architecture import Inference
from surgery.explanation.convention import Convention
from surgery.explanation.heads import DenseHead
from surgery.explanation.outputs import EMBEDDING
from surgery.graphs.flat import FlatGraph, Node, Tensor
from surgery.graphs.merging import Input, Part
from surgery.module import DEFAULT_SIGNATURE, InspectedModule, Trace
from surgery.planning.outputs import TAPS, ExportOutputs
from surgery.planning.padding import called_only
from surgery.planning.signatures import signature_inputs
from surgery.proof.calls import CALL, call_output, call_roles, is_promised, structure_of
from surgery.proof.inner_tensors import inner_tensors, tap_tensors
from surgery.tables.dropouts import find_dropouts
from surgery.tables.head import HEAD


@dataclass(frozen=True, kw_only=True)
class Compared:
    """The graphs of one side.

    Attributes:
        parts: The graphs, with the outputs that are wanted of each.
        taps: The outputs that are only run on batches with taps.
        training: The outputs of training traces.
        same_as: Outputs that must be the same tensor as another one, by name.
        fed: Names of the boundaries of which the expected values are fed to what follows them (see of_export).
    """

    parts: tuple[Part, ...]
    taps: frozenset[str]
    training: frozenset[str]
    same_as: Mapping[str, str] = field(default_factory=dict)
    fed: frozenset[str] = frozenset()


def trained(callable_name: str) -> str:
    """The name under which a callable's training trace is reported."""
    return f"{callable_name}(training=True)"


def of_module(module: InspectedModule, inference: Inference, outputs: ExportOutputs) -> Compared:
    """The graphs of a module, as far as an export with these outputs is compared with them.

    Its call also has the tensors between its blocks, and the taps that are found in it.
    """
    parts: list[Part] = []
    taps_found: list[str] = []
    training: list[str] = []
    for name, convention in ((CALL, inference.convention), *inference.submodels.items()):
        trace = module.trace(name, training=False)
        assert trace is not None, "read_convention has refused a module without it"
        wanted = _by_path(trace, convention.outputs)
        if name == CALL:
            tapped = tap_tensors(trace, inference, outputs.taps)
            wanted = {**inner_tensors(trace, inference), **tapped, **wanted}
            taps_found += tapped
        else:
            wanted = {f"{name}.{output}": tensor for output, tensor in wanted.items()}
        roles = {path: role for role, path in convention.inputs.items()}
        parts.append(_part(module, trace, roles, wanted))
        trace = module.trace(name, training=True)
        if trace is not None:
            wanted = _by_path(trace, convention.outputs)
            if name == CALL:
                wanted = {**inner_tensors(trace, inference), **wanted}
            wanted = {f"{trained(name)}.{output}": tensor for output, tensor in wanted.items()}
            training += wanted
            parts.append(_part(module, trace, roles, wanted, draws=_draws(trace.open_graph())))
    if outputs.head is not None:
        parts.append(_with_head(module, outputs.head))
    return Compared(parts=tuple(parts), taps=frozenset(taps_found), training=frozenset(training))


def _with_head(module: InspectedModule, head: DenseHead) -> Part:
    """The graph of the model around the encoder, up to the outputs of its head."""
    assert head.open_graph is not None, "a head that is kept stands in the module's graph"
    found = head.open_graph()
    return Part(
        graph=found.graph,
        inputs=found.inputs,
        variables=_variable_names(module, found.graph),
        outputs={f"{HEAD}.{name}": tensor for name, tensor in found.outputs.items()},
    )


def of_export(
    exported: InspectedModule, inference: Inference, outputs: ExportOutputs, expected: frozenset[str]
) -> Compared:
    """The graphs of an export: each signature as the file has it, and every trace of its calls.

    `expected` are the names of the outputs that the module's side has. Outputs of a training trace that it has not,
    such as taps, are compared without dropout. A signature with unexpected inputs is left out.

    In training, each block is computed from the module's own input to it: with dropout, sharp weights amplify even
    the rounding errors of double precision, five times a block. If every block is the same function, so are all.
    """
    parts: list[Part] = []
    taps: list[str] = []
    training: list[str] = []
    same_as: dict[str, str] = {}
    meta_graph = exported.inference_graph
    for name, wanted_inputs in signature_inputs(inference, outputs).items():
        signature = meta_graph.signature_def.get(name)
        if signature is None or set(signature.inputs) != wanted_inputs:
            continue
        graph, variables = signature_graph(exported, name)
        names = [key if name == DEFAULT_SIGNATURE else f"{name}.{key}" for key in signature.outputs]
        dtypes = {tensor.key: tensor.dtype for tensor in exported.signatures[name].inputs}
        parts.append(
            Part(
                graph=graph,
                inputs={
                    node: Input(name=key, dtype=dtypes[key])
                    for node, key in zip(graph.inputs, signature.inputs, strict=True)
                },
                variables=variables,
                outputs=dict(zip(names, graph.outputs, strict=True)),
            )
        )
        taps += [n for n in names if n.rpartition(".")[2] in outputs.tap_names]
    for name, convention in ((CALL, inference.convention), *inference.submodels.items()):
        for trace in exported.traces:
            if trace.callable != name or not is_promised(trace, convention):
                continue
            proven = any(output.startswith(f"{trained(name)}.") for output in expected)
            graph = trace.open_graph()
            drawn: dict[str, tuple[str, Tensor]] = {}
            if trace.training and proven:
                drawn = _called(exported, inference, outputs, trace, convention, with_draws=True)
                drawn = {output: found for output, found in drawn.items() if found[0] in expected}
            plain = _called(exported, inference, outputs, trace, convention, with_draws=False)
            judged = {tensor for _, tensor in drawn.values()}
            plain = {output: found for output, found in plain.items() if found[1] not in judged}
            for found, draws in ((drawn, True), (plain, False)):
                same_as.update({output: like for output, (like, _) in found.items() if like != output})
                training += found if trace.training else ()
                parts.append(
                    _part(
                        exported,
                        trace,
                        call_roles(trace, convention),
                        {output: tensor for output, (_, tensor) in found.items()},
                        draws=_draws(graph) if draws else {},
                        instead={} if draws or not trace.training else _without_dropout(graph),
                    )
                )
    return Compared(
        parts=tuple(parts),
        taps=frozenset(taps),
        training=frozenset(training),
        same_as=same_as,
        fed=expected & {f"{trained(CALL)}.{output}" for output in (EMBEDDING, *inference.outputs.block_outputs)},
    )


def signature_graph(exported: InspectedModule, name: str) -> tuple[FlatGraph, dict[Node, str]]:
    """The graph of a signature as the file has it, and the names of the variables by their placeholders in it."""
    meta_graph = exported.inference_graph
    signature = meta_graph.signature_def[name]
    graph = FlatGraph.of_graph_def(
        meta_graph.graph_def,
        [info.name for info in signature.inputs.values()],
        [info.name for info in signature.outputs.values()],
    )
    nodes = {node.name: node for node in meta_graph.graph_def.node if node.op in ("VarHandleOp", "VariableV2")}
    return graph, {node: _shared_name(nodes[path]) for path, node in graph.variables.items() if path in nodes}


def _called(
    exported: InspectedModule,
    inference: Inference,
    outputs: ExportOutputs,
    trace: Trace,
    convention: Convention,
    *,
    with_draws: bool,
) -> dict[str, tuple[str, Tensor]]:
    """The outputs of a trace of a call by name, each with the name of the output that it must be."""
    hidden = called_only(inference, outputs) if trace.callable == CALL else {}
    own = f"{trained(trace.callable)}." if with_draws else f"{trace.callable}."
    form = structure_of(trace) + (", training=True" if trace.training else "")
    found = {}
    for (path, leaf), tensor in zip(trace.flat_outputs, trace.open_graph().outputs, strict=True):
        output = call_output(path, leaf, outputs.tapped_blocks)
        output = convention.aliases.get(output, output)
        if with_draws or trace.callable != CALL or output in hidden:
            like = f"{own}{output}"
        else:
            like = f"{TAPS}.{output}" if output in outputs.tap_names else output
        is_it = structure_of(trace) == "dict" and (with_draws or (output in hidden and not trace.training))
        name = like if is_it and like not in found else f"{trace.callable}({form}).{path}"
        found[name] = (like, tensor)
    return found


def _part(
    module: InspectedModule,
    trace: Trace,
    roles: Mapping[str, str],
    outputs: Mapping[str, Tensor],
    *,
    draws: Mapping[Node, int] | None = None,
    instead: Mapping[Node, Tensor] | None = None,
) -> Part:
    graph = trace.open_graph()
    return Part(
        graph=graph,
        inputs={
            node: Input(name=roles.get(path, path), dtype=leaf.dtype)
            for node, (path, leaf) in zip(graph.inputs, trace.flat_inputs, strict=True)
        },
        variables=_variable_names(module, graph),
        outputs=outputs,
        draws=draws or {},
        instead=instead or {},
    )


def _variable_names(module: InspectedModule, graph: FlatGraph) -> dict[Node, str]:
    names = {variable.address: variable.name for variable in module.variables}
    return {node: names.get(path, path) for path, node in graph.variables.items()}


def _draws(graph: FlatGraph) -> dict[Node, int]:
    """A number for each dropout's random operation: its place in the order in which data flows through an encoder."""
    dropouts = sorted(find_dropouts(graph), key=lambda dropout: graph.order[dropout.result])
    return {dropout.random: number for number, dropout in enumerate(dropouts)}


def _without_dropout(graph: FlatGraph) -> dict[Node, Tensor]:
    """The data of each dropout in place of its result."""
    return {dropout.result: dropout.data for dropout in find_dropouts(graph)}


def _by_path(trace: Trace, paths: Mapping[str, str]) -> dict[str, Tensor]:
    tensors = {path: t for (path, _), t in zip(trace.flat_outputs, trace.open_graph().outputs, strict=True)}
    return {name: tensors[path] for name, path in paths.items() if path in tensors}


def _shared_name(node: Any) -> str:
    name: str = node.attr["shared_name"].s.decode() or node.name
    return name


def names_in(compared: Compared) -> Iterator[str]:
    """The names of all outputs of one side."""
    for part in compared.parts:
        yield from part.outputs
