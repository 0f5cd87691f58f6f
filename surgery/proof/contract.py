"""The contract of an export besides its numbers, read from its files: calls, signatures, hyperparameters, variables.

The export is inspected as if it were a module. Its graph and its lists of variables show what outputs cannot: a dropout
rate in the training trace, a trainable flag, or a `__call__` that computes something else than its signature.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from surgery.errors import UnexplainedError
from surgery.explanation.architecture import Inference
from surgery.explanation.assignment import AssignmentMap
from surgery.explanation.inferring import infer_architecture
from surgery.module import InspectedModule
from surgery.planning.outputs import ExportOutputs
from surgery.planning.signatures import signature_inputs, signature_outputs
from surgery.proof.calls import CALL, call_output, is_promised, structure_of
from surgery.proof.effects import check_effects
from surgery.proof.hyperparameters import NUMBERS, check_hyperparameters
from surgery.wording import shape_text


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
        *check_hyperparameters(module, exported, inference, outputs),
        *_variables(module, exported, weights),
        *_calls(exported, inference, outputs),
        *check_effects(exported),
    )


def check_interface(
    module: InspectedModule, exported: InspectedModule, inference: Inference, outputs: ExportOutputs
) -> tuple[str, ...]:
    """Breaches of the contract by an edited export, one line each: files, signatures, numbers of its graphs, calls.

    No table explains an edited encoder, so its variables are not checked here. Its graphs' numbers are, where the
    module's weights act.
    """
    return (
        *_files(module, exported),
        *_signatures(exported, inference, outputs),
        *check_hyperparameters(module, exported, inference, outputs, edited=True),
        *_calls(exported, inference, outputs),
    )


def _signatures(exported: InspectedModule, inference: Inference, outputs: ExportOutputs) -> Iterator[str]:
    names = signature_outputs(inference, outputs)
    fixed = (inference.convention.rows, inference.convention.length)
    for name, wanted in signature_inputs(inference, outputs).items():
        signature = exported.signatures.get(name)
        if signature is None:
            yield f"signature {name}: it is missing"
        elif (keys := {tensor.key for tensor in signature.inputs}) != wanted:
            yield f"signature {name}: expected the inputs {sorted(wanted)}, found {sorted(keys)}"
        elif narrow := [t for t in signature.inputs if t.dtype != "int32" or t.shape not in ((None, None), fixed)]:
            found = ", ".join(f"{t.key} {t.dtype} {shape_text(t.shape)}" for t in narrow)
            yield f"signature {name}: expected inputs int32 {shape_text((None, None))}, found {found}"
        elif odd := {tensor.key for tensor in signature.outputs} ^ set(names[name]):
            yield f"signature {name}: outputs that are missing or too many: {', '.join(sorted(odd))}"
    for name in sorted(exported.signatures.keys() - names.keys()):
        yield f"signature {name}: nobody asked for it, and nothing proves what it computes"
    for meta_graph in exported.meta_graphs[1:]:
        yield f"meta graph with the tags {', '.join(meta_graph.tags)}: nobody asked for it, and nothing compares it"


def _architecture(exported: InspectedModule, inference: Inference) -> Iterator[str]:
    try:
        found = infer_architecture(exported).architecture.values
    except UnexplainedError as error:
        yield f"the export's own architecture: {error.message}"
        return
    for field, value in inference.architecture.values.items():
        is_number = inference.family.fields[field].kind in NUMBERS
        if field not in found or (not is_number and found[field] != value):
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
    """Checks that the export has the module's callables, each with a trace of each form and its outputs.

    What the traces compute is compared in double precision (surgery.proof.compared).
    """
    for name in exported.callables:
        if name not in (CALL, *inference.submodels):
            yield f"callable {name}: nobody asked for it, and nothing proves what it computes"
    for name, convention in ((CALL, inference.convention), *inference.submodels.items()):
        traces = [trace for trace in exported.traces if trace.callable == name and is_promised(trace, convention)]
        wanted = {(kind, training) for kind in ("dict", convention.kind) for training in (True, False)}
        forms = Counter((structure_of(trace), trace.training) for trace in exported.traces if trace.callable == name)
        for kind, training in sorted(wanted - forms.keys()):
            yield f"{name}: no trace that takes a {kind} with training={training}"
        for form, count in forms.items():
            taken = f"a {form[0]} with training={form[1]}"
            if form not in wanted:
                yield f"{name}: a trace takes {taken}, and nothing proves what it computes"
            elif count > 1:
                yield f"{name}: {count} traces take {taken}, and a module has one"
        for trace in traces:
            promised = set(convention.outputs)
            if "dict" in (structure_of(trace), convention.returned):
                promised |= set(convention.aliases)
            if structure_of(trace) == "dict":
                promised |= {*inference.outputs.paths, *outputs.tap_names} if name == CALL else set()
            found = {call_output(path, leaf, outputs.tapped_blocks) for path, leaf in trace.flat_outputs}
            for key in sorted(promised ^ found):
                word = "lacks" if key in promised else "has a superfluous"
                yield f"{name} with training={trace.training}: the {structure_of(trace)} {word} output {key}"
