"""How a module is called: which of its inputs feeds which encoder input, and where its outputs come out.

Differences between formats travel as this data; no later stage asks which format a module had.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from surgery.errors import UnexplainedError
from surgery.explanation.outputs import EMBEDDING
from surgery.graphs.fingerprints import Fingerprints, see_through
from surgery.graphs.flat import FlatGraph, Tensor
from surgery.module import InspectedModule, TensorInfo, Trace
from surgery.tables.anchors import Anchors
from surgery.tables.family import Family, InputAnchor
from surgery.tables.recipe import SubmodelRecipe

DEFAULT = ("default", "pooled_output")
"""Hub's text API since /3 returns the pooled output under both names. A module's own `default` stays."""


@dataclass(frozen=True, kw_only=True)
class Convention:
    """A callable of the module, with its inputs and outputs matched with the encoder's.

    Attributes:
        callable: Name of the callable, such as "__call__".
        kind: "list" or "dict", the structure that it takes.
        inputs: Path in the callable's input structure by encoder input.
        outputs: Path in the callable's output structure by export name: `encoder_outputs[3]` by `encoder_outputs_3`.
        aliases: Further outputs that are the same tensor as another, by name: `default` is `pooled_output`.
        rows: The only number of rows that its graph takes; None for any.
        length: The only number of tokens in a row that its graph takes; None for any.
        inner: True where no call or signature of the module returns the outputs: they are tensors inside its graph.
    """

    callable: str
    kind: str
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    aliases: Mapping[str, str]
    rows: int | None = None
    length: int | None = None
    inner: bool = False

    @property
    def returned(self) -> str:
        """ "list" or "dict", the structure that it returns."""
        return "list" if all(path.startswith("[") for path in self.outputs.values()) else "dict"


def read_convention(
    module: InspectedModule,
    family: Family,
    asked_for: Sequence[InputAnchor],
    callable_name: str,
    graph: Anchors | None,
    known: tuple[str, ...],
    *,
    called: Mapping[str, tuple[str, ...]],
    submodel: SubmodelRecipe | None = None,
) -> Convention:
    """Reads how a callable is called from its inference trace.

    Args:
        module: The module.
        family: Its family.
        asked_for: The inputs that it must have. It may have the family's others besides.
        callable_name: Name of the callable.
        graph: The anchored graph of its inference trace.
        known: Outputs that the encoder will have, lists as one name.
        called: The encoder's outputs by the names that the module's exporter gives them, where they differ.
        submodel: The recipe of the sub-model that the callable is; None for `__call__`.

    Raises:
        UnexplainedError: There is no such trace, or it has an input or output that the encoder does not have.
    """
    trace = module.trace(callable_name, training=False)
    if trace is None or graph is None:
        raise UnexplainedError(
            f"reading how {module.name} is called: it has no inference trace of {callable_name}",
            hint="the module must have been saved with its call function, as TF Hub's are",
        )
    kind = "dict" if isinstance(trace.inputs, dict) else "list"
    inputs = _inputs(module, family, asked_for, trace, graph, submodel)
    taps = tap_names(family)
    wanted = {*known, *([submodel.logits] if submodel else [])}
    outputs, aliases = _outputs(module, wanted, taps, trace, graph, called)
    if submodel is None and DEFAULT[1] in outputs:
        aliases.setdefault(*DEFAULT)
    rows, length = _fixed(trace, [inputs[anchor.name] for anchor in family.inputs if anchor.name in inputs])
    return Convention(
        callable=callable_name,
        kind=kind,
        inputs=inputs,
        outputs=outputs,
        aliases=aliases,
        rows=rows,
        length=length,
        inner=module.whole_graph is not None,
    )


def described_convention(
    asked_for: Sequence[InputAnchor],
    callable_name: str,
    outputs: Mapping[str, str],
    submodel: SubmodelRecipe | None = None,
) -> Convention:
    """How a checkpoint's callable will be called: as TF Hub's exporter writes it, because a checkpoint has no function.

    Inputs and outputs have the encoder's own names. A sub-model does not return `embedding_output`, and adds its
    logits. `outputs` are paths by export name, see `EncoderOutputs.paths`.
    """
    inputs = {anchor.name: anchor.name for anchor in asked_for}
    if submodel is None:
        aliases = dict([DEFAULT]) if DEFAULT[1] in outputs else {}
        return Convention(callable=callable_name, kind="dict", inputs=inputs, outputs=outputs, aliases=aliases)
    own = {name: path for name, path in outputs.items() if name != EMBEDDING}
    positions, logits = {submodel.positions: submodel.positions}, {submodel.logits: submodel.logits}
    return Convention(
        callable=callable_name, kind="dict", inputs={**inputs, **positions}, outputs={**own, **logits}, aliases={}
    )


def _inputs(
    module: InspectedModule,
    family: Family,
    asked_for: Sequence[InputAnchor],
    trace: Trace,
    graph: Anchors,
    submodel: SubmodelRecipe | None,
) -> dict[str, str]:
    """Path of the input by encoder input.

    An input is recognised by the embedding table that it looks up, a sub-model's extra input by its key.
    """
    nodes = {node: path for (path, _), node in zip(trace.flat_inputs, graph.graph.inputs, strict=True)}
    found: dict[str, str] = {}
    for anchor in family.inputs:
        node = graph.lookup_input(anchor.table) if anchor.table else None
        if node is not None:
            found[anchor.name] = nodes[node]
    rest = [path for path in nodes.values() if path not in found.values()]
    for name in (submodel.positions, *submodel.also_called) if submodel is not None else ():
        if submodel is not None and name in rest:
            found[submodel.positions] = name
            rest.remove(name)
    without = [anchor.name for anchor in family.inputs if anchor.table is None]
    if len(rest) == len(without) == 1:
        found[without[0]] = rest[0]
    wanted = {anchor.name for anchor in asked_for} | ({submodel.positions} if submodel else set())
    if not wanted <= set(found) or len(set(found.values())) != len(nodes):
        raise UnexplainedError(
            f"reading the inputs of {module.name}'s {trace.callable}: expected {', '.join(sorted(wanted))}, "
            f"found {', '.join(nodes.values())}, of which {', '.join(sorted(found))} could be told apart"
        )
    return found


def _fixed(trace: Trace, paths: Sequence[str]) -> tuple[int | None, int | None]:
    """The sizes of both axes of the inputs at these paths, as far as their shapes fix them."""
    shapes = [leaf.shape for path, leaf in trace.flat_inputs if path in paths and leaf.shape and len(leaf.shape) == 2]
    rows, length = (next((s[axis] for s in shapes if s[axis] is not None), None) for axis in (0, 1))
    return rows, length


def _outputs(
    module: InspectedModule,
    known: set[str],
    taps: re.Pattern[str],
    trace: Trace,
    graph: Anchors,
    called: Mapping[str, tuple[str, ...]],
) -> tuple[dict[str, str], dict[str, str]]:
    own: dict[str, Tensor] = {}
    outputs: dict[str, str] = {}
    aliases: dict[str, str] = {}
    by_name = sorted(
        (
            (export_name(own_path, leaf), own_path, path, tensor)
            for (path, leaf), tensor in zip(trace.flat_outputs, graph.graph.outputs, strict=True)
            for own_path in (_own_path(path, called),)
        ),
        key=lambda row: (
            path_stem(row[0], row[1]) not in known
        ),  # an output with a name of its own comes before its aliases
    )
    for name, own_path, path, tensor in by_name:
        if taps.fullmatch(own_path.partition("[")[0]):
            continue  # taps, such as an export of this tool has: they are made anew, or not, as a conversion asks
        if path_stem(name, own_path) in known:
            outputs[name] = path
            own.setdefault(name, tensor)
        elif (same_as := _same(tensor, own, graph.graph)) is not None:
            aliases[name] = same_as
        else:
            raise UnexplainedError(
                f"reading the outputs of {module.name}'s {trace.callable}: no place in the rebuilt encoder for {path}",
                hint=f"the encoder gives {', '.join(sorted(known))}",
            )
    return outputs, aliases


def _own_path(path: str, called: Mapping[str, tuple[str, ...]]) -> str:
    """The path of an output by the encoder's own names. Of a list that stands for several outputs, the last one is the
    list of all entries that are left: `hidden_states[1]` is `encoder_outputs[0]` where the embedding comes first."""
    stem, _, index = path.removesuffix("]").partition("[")
    names = called.get(stem)
    if names is None:
        return path
    if not index:
        return names[0]
    *single, rest = names
    number = int(index)
    return single[number] if number < len(single) else f"{rest}[{number - len(single)}]"


def _same(tensor: Tensor, own: Mapping[str, Tensor], graph: FlatGraph) -> str | None:
    """The name of the output that is this tensor, or that is computed in the same way; None where there is none.

    Most aliases are the same tensor. Only for others the whole graph is compared.
    """
    behind = see_through(tensor)
    for name, other in own.items():
        if see_through(other) == behind:
            return name
    prints = Fingerprints(graph, {})
    return next((name for name, other in own.items() if prints.of(other) == prints.of(tensor)), None)


def tap_names(family: Family) -> re.Pattern[str]:
    """Matches the names of a family's taps, numbered ones whatever their number."""
    names = (re.sub(r"\\{\w+\\}", "[0-9]+", re.escape(tap.name)) for tap in family.taps)
    return re.compile("|".join(names) or "(?!)")


def path_stem(name: str, path: str) -> str:
    """The name of an output, or of the list that it is an entry of: `encoder_outputs` for `encoder_outputs[3]`."""
    return path.partition("[")[0] or name


def export_name(path: str, leaf: TensorInfo) -> str:
    """`encoder_outputs[3]` is exported as `encoder_outputs_3`; a bare list holds the pooled [batch, hidden] and the
    sequence output [batch, seq, hidden], which their rank tells apart."""
    if path.startswith("["):
        return "pooled_output" if leaf.shape is not None and len(leaf.shape) == 2 else "sequence_output"
    return path.replace("[", "_").replace("]", "")
