"""The contract of an export besides its numbers, read from its files: calls, signatures, hyperparameters, variables.

The export is inspected as if it were a module. Its graph and its lists of variables show what outputs cannot: a dropout
rate in the training trace, a trainable flag, or a `__call__` that computes something else than its signature.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from surgery.errors import UnexplainedError
from surgery.explanation.architecture import Inference, infer_architecture
from surgery.explanation.assignment import AssignmentMap
from surgery.explanation.convention import Convention, export_name
from surgery.explanation.outputs import entry_name
from surgery.graphs.fingerprints import Fingerprints
from surgery.module import InspectedModule, TensorInfo, Trace
from surgery.planning.outputs import TAPS, ExportOutputs
from surgery.planning.signatures import called_only, signature_inputs, signature_outputs
from surgery.tables.dropouts import find_dropouts

NOT_COMPARED = frozenset({"attention_mask_adder"})
"""Fields in which a faithful export may differ. The adder only changes rows of nothing but padding."""


def check_contract(
    module: InspectedModule,
    exported: InspectedModule,
    inference: Inference,
    weights: AssignmentMap,
    outputs: ExportOutputs,
) -> tuple[str, ...]:
    """Breaches of the contract between a module and its export, one line each; empty where there is none."""
    return (
        *_files(module, exported),
        *_signatures(exported, inference, outputs),
        *_architecture(exported, inference),
        *_variables(module, exported, weights),
        *_calls(exported, inference, outputs),
    )


def check_interface(
    module: InspectedModule, exported: InspectedModule, inference: Inference, outputs: ExportOutputs
) -> tuple[str, ...]:
    """Breaches of the contract by an edited export, one line each: files, signatures and calls.

    No table explains an edited encoder, so its hyperparameters and variables are not checked here.
    """
    return (
        *_files(module, exported),
        *_signatures(exported, inference, outputs),
        *_calls(exported, inference, outputs),
    )


def _signatures(exported: InspectedModule, inference: Inference, outputs: ExportOutputs) -> Iterator[str]:
    names = signature_outputs(inference, outputs)
    for name, wanted in signature_inputs(inference, outputs).items():
        signature = exported.signatures.get(name)
        if signature is None:
            yield f"signature {name}: it is missing"
        elif (found := {tensor.key for tensor in signature.inputs}) != wanted:
            yield f"signature {name}: expected the inputs {sorted(wanted)}, found {sorted(found)}"
        elif odd := {tensor.key for tensor in signature.outputs} ^ set(names[name]):
            yield f"signature {name}: outputs that are missing or too many: {', '.join(sorted(odd))}"


def _architecture(exported: InspectedModule, inference: Inference) -> Iterator[str]:
    try:
        found = infer_architecture(exported).architecture.values
    except UnexplainedError as error:
        yield f"the export's own architecture: {error.message}"
        return
    for field, value in inference.architecture.values.items():
        if field not in NOT_COMPARED and found.get(field) != value:
            yield f"{field}: the module has {value}, the export {found.get(field)}"


def _variables(module: InspectedModule, exported: InspectedModule, weights: AssignmentMap) -> Iterator[str]:
    wanted = {a.target: a.variable.trainable for a in weights.assignments}
    wanted |= {v.attribute: False for v in weights.kept if v.attribute}
    wanted |= dict.fromkeys(module.constants, False)
    seen: set[str] = set()
    for variable in exported.variables:
        if variable.name not in wanted:
            yield f"variable {variable.name}: no weight of the module"
        elif variable.name in seen:
            yield f"variable {variable.name}: it is there twice"
        elif not variable.listed:
            lists = "`variables` and `trainable_variables`"
            yield f"variable {variable.name}: fine-tuning reads the lists {lists}, and the export lacks it there"
        elif {variable.trainable, variable.watched} != {wanted[variable.name]}:
            yield (
                f"variable {variable.name}: trainable is {wanted[variable.name]} in the module, "
                f"{variable.trainable} in the export, whose own flag says {variable.watched}"
            )
        seen.add(variable.name)
    for name in sorted(wanted.keys() - seen):
        yield f"variable {name}: it is missing in the export"


def _files(module: InspectedModule, exported: InspectedModule) -> Iterator[str]:
    """Checks that the export has the assets of the module's root, byte for byte."""
    for attribute, file in module.assets.items():
        if "/" in attribute:
            continue
        wanted = Path(module.folder) / file
        found = Path(exported.folder) / exported.assets.get(attribute, "")
        if attribute not in exported.assets or not found.is_file():
            yield f"asset {attribute}: it is missing"
        elif found.read_bytes() != wanted.read_bytes():
            yield f"asset {attribute}: {found.name} is not the module's {wanted.name}"


def _calls(exported: InspectedModule, inference: Inference, outputs: ExportOutputs) -> Iterator[str]:
    """Checks that every trace of a callable computes what the signature of its name computes.

    In training, dropout is left out of the comparison. The encoder's call also returns the taps. Outputs that no
    signature has are compared by their numbers alone.
    """
    unserved = called_only(inference, outputs)
    for name, convention in (("__call__", inference.convention), *inference.submodels.items()):
        traces = [trace for trace in exported.traces if trace.callable == name]
        wanted = {(kind, training) for kind in ("dict", convention.kind) for training in (True, False)}
        for kind, training in sorted(wanted - {(_kind(trace), trace.training) for trace in traces}):
            yield f"{name}: no trace that takes a {kind} with training={training}"
        signature = exported.signature_traces.get("serving_default" if name == "__call__" else name)
        if signature is None:
            continue
        served = _computed(signature, {path: path for path, _ in signature.flat_inputs}, {})
        tapped = exported.signature_traces.get(TAPS) if name == "__call__" and outputs.taps else None
        if tapped is not None:
            served = {**_computed(tapped, {path: path for path, _ in tapped.flat_inputs}, {}), **served}
        aliased = {**served, **{alias: served.get(key, b"") for alias, key in convention.aliases.items()}}
        for trace in traces:
            if (_kind(trace), trace.training) not in wanted:
                continue  # the module has no call of this form, so the contract says nothing about it
            expected = aliased if _kind(trace) == "dict" else {key: aliased.get(key, b"") for key in convention.outputs}
            called = _computed(trace, _roles(trace, convention), outputs.tapped_blocks)
            called = {key: value for key, value in called.items() if name != "__call__" or key not in unserved}
            for key in sorted(expected.keys() | called.keys()):
                if expected.get(key) != called.get(key):
                    yield f"{name} with training={trace.training}: its output {key} is not what the signature computes"


def _kind(trace: Trace) -> str:
    return "dict" if isinstance(trace.inputs, dict) else "list"


def _roles(trace: Trace, convention: Convention) -> dict[str, str]:
    """The encoder's inputs by the path at which a trace takes them: by name in a dict, as the module does in a list."""
    if isinstance(trace.inputs, dict):
        return {path: path for path, _ in trace.flat_inputs}
    return {path: name for name, path in convention.inputs.items()}


def _computed(trace: Trace, roles: Mapping[str, str], tapped_blocks: Mapping[str, tuple[int, ...]]) -> dict[str, bytes]:
    """Fingerprints of a trace's outputs by export name, computed without dropout.

    `tapped_blocks` are the blocks of each list of taps, by the list's name.
    """
    graph = trace.open_graph()
    labels = {i: roles.get(path, path) for i, (path, _) in enumerate(trace.flat_inputs)}
    prints = Fingerprints(graph, labels, {dropout.result: dropout.data for dropout in find_dropouts(graph)})
    return {
        _export_name(path, leaf, tapped_blocks): prints.of(tensor)
        for (path, leaf), tensor in zip(trace.flat_outputs, graph.outputs, strict=True)
    }


def _export_name(path: str, leaf: TensorInfo, tapped_blocks: Mapping[str, tuple[int, ...]]) -> str:
    stem, _, index = path.removesuffix("]").partition("[")
    if stem in tapped_blocks and int(index) < len(tapped_blocks[stem]):
        return entry_name(stem, tapped_blocks[stem][int(index)])
    return export_name(path, leaf)
