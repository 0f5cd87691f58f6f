"""The numbers that an export's graphs hold: epsilons, rates and scales of dropouts, and what is added to masked logits.

Outputs cannot show all of them. An epsilon of 1e-11 instead of 1e-12 changes less than rounding does, a mask's adder
changes rows of nothing but padding, and no inference graph has a dropout. So they are read in every graph of the
export: those of its signatures and those of each trace of its calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from surgery.explanation.architecture import Inference
from surgery.explanation.graph_evidence import spots_of
from surgery.module import InspectedModule
from surgery.planning.outputs import ExportOutputs
from surgery.planning.signatures import signature_inputs
from surgery.proof.calls import structure_of
from surgery.proof.compared import signature_graph
from surgery.tables.anchors import Anchors
from surgery.tables.dropouts import Dropout

NUMBERS = frozenset({"epsilon", "rate", "number", "id"})
"""The kinds of fields (see tables.fields) that are numbers of a graph. Shapes and outputs show those of other kinds."""


def check_hyperparameters(
    module: InspectedModule,
    exported: InspectedModule,
    inference: Inference,
    outputs: ExportOutputs,
    *,
    edited: bool = False,
) -> Iterator[str]:
    """Yields a line for each number of the export's graphs that is not the module's, with the place of the first.

    A number that Model Garden's encoder writes whatever the module has (see EncoderRecipe.writes) may be that one. A
    dropout must multiply what it keeps by 1/(1 - rate), in the module, too. With `edited`, blocks may have been
    replaced by layers without such numbers.
    """
    found: dict[str, list[str]] = {}
    for name, training, graph in _graphs(exported, inference, outputs):
        fields: dict[str, str] = {}
        for field, value, place in _read(graph, inference, training=training):
            fields[place] = field
            problem = _problem(field, value, inference)
            if problem:
                found.setdefault(problem, []).append(f"{name} at {place}")
        for problem, place in _wrong_scales(graph.dropouts, fields):
            found.setdefault(f"{problem} by the export", []).append(f"{name} at {place}")
    trace = module.trace("__call__", training=True)
    if trace is not None and not edited:
        targets = {target: claim.variable.address for claim in inference.claims for target in claim.targets}
        own = Anchors(trace.open_graph(), targets)
        fields = {place: field for field, _, place in _read(own, inference, training=True)}
        for problem, place in _wrong_scales(own.dropouts, fields):
            found.setdefault(f"{problem} by the module", []).append(f"__call__ at {place}")
    for problem, places in found.items():
        more = f" and {len(places) - 1} more places" if len(places) > 1 else ""
        yield f"{problem}, in {places[0]}{more}"


def _graphs(
    exported: InspectedModule, inference: Inference, outputs: ExportOutputs
) -> Iterator[tuple[str, bool, Anchors]]:
    """Every graph of the export that runs the encoder: its name for people, whether it trains, and the graph."""
    addresses = {variable.name: variable.address for variable in exported.variables}
    for trace in exported.traces:
        if trace.callable == "__call__" or trace.callable in inference.submodels:
            name = f"{trace.callable} of a {structure_of(trace)} with training={trace.training}"
            yield name, bool(trace.training), Anchors(trace.open_graph(), addresses)
    for signature in sorted(exported.signatures.keys() & signature_inputs(inference, outputs).keys()):
        graph, variables = signature_graph(exported, signature)
        paths = {name: node.path for node, name in variables.items()}
        yield f"signature {signature}", False, Anchors(graph, paths)


def _read(graph: Anchors, inference: Inference, *, training: bool) -> Iterator[tuple[str, Any, str]]:
    """The numbers of a graph: field, value, and place. Spots that this graph does not compute are left out."""
    family, values = inference.family, inference.architecture.values
    counts = {hole: values[field] for hole, field in family.counts.items() if field in values}
    for row in family.evidence:
        known = row.field in values or row.field in family.encoder.writes
        if not known or family.fields[row.field].kind not in NUMBERS or (row.training and not training):
            continue
        for spot in spots_of(row, family, counts):
            reading = row.read(graph.at(spot.application), *spot.anchors)
            if reading is not None:
                yield row.field, reading.value, reading.place


def _problem(field: str, value: Any, inference: Inference) -> str:
    """What is wrong with a value that the export has; "" if nothing is."""
    own, written = inference.architecture.values.get(field), inference.family.encoder.writes
    if value == own or (field in written and value == written[field]):
        return ""
    other = field in written and written[field] != own
    or_written = f" (or {_number(written[field])}, as Model Garden's encoder has it)" if other else ""
    return f"{field}: the module has {_number(own)}{or_written}, the export {_number(value)}"


def _wrong_scales(dropouts: Iterable[Dropout], fields: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """A problem and its place for each dropout that changes the mean of what it drops out."""
    for dropout in dropouts:
        if not dropout.keeps_the_mean:
            place = dropout.result.path
            yield (
                f"{fields.get(place, 'a dropout')}: what a rate of {_number(dropout.rate)} keeps is multiplied by "
                f"{_number(dropout.scale)} instead of {_number(1.0 / (1.0 - dropout.rate))}",
                place,
            )


def _number(value: Any) -> str:
    return f"{value:.7g}" if isinstance(value, float) else str(value)
