"""Every result as JSON-ready data. The text for people is rendered from the same data, so both tell the same facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from surgery.module import InspectedModule, SignatureInfo, Structure, TensorInfo, Trace, describe
from surgery.plain import plain
from surgery.proof.parity import report_data

if TYPE_CHECKING:
    from surgery.explanation.architecture import Inference
    from surgery.explanation.inspection import Inspection
    from surgery.jobs.convert import Conversion
    from surgery.jobs.edit import EditedExport
    from surgery.jobs.texts import Preprocessor
    from surgery.jobs.verify import Verification
    from surgery.planning.plan import Plan


def inspection_data(inspection: Inspection, *, signature: str | None = None, variables: bool = False) -> dict[str, Any]:
    """All facts of an inspection; one signature only, or all, and every variable when asked for."""
    module = inspection.module
    roles = _roles(inspection.inference)
    data: dict[str, Any] = {
        "name": module.name,
        "format": module.format,
        "tensorflow_version": module.tensorflow_version or None,
        "saved_model_bytes": module.saved_model_bytes,
        "config": None if module.config is None else {"file": module.config.file, "values": dict(module.config.values)},
        "sha256": dict(module.fingerprint),
        "meta_graphs": [
            {
                "tags": list(graph.tags),
                "nodes": graph.node_count,
                "functions": graph.function_count,
                "signatures": {
                    s.name: _signature(module, s, roles) for s in graph.signatures if signature in (None, s.name)
                },
            }
            for graph in module.meta_graphs
        ],
        "callables": [_callable(trace) for trace in _one_per_mode(module)],
        "block_outputs": _block_outputs(module),
        "assets": dict(module.assets),
        "variables": {
            "count": len(module.variables),
            "trainable": sum(v.trainable for v in module.variables),
            "bytes": module.weight_bytes,
        },
        "attached_messages": [
            {"tags": list(tags), "key": key, "hex": message.hex()}
            for tags, messages in module.attached_messages.items()
            for key, message in messages.items()
        ],
        "problems": list(module.problems),
    }
    if variables:
        data["variables"]["list"] = [
            {
                "name": v.name,
                "dtype": v.dtype,
                "shape": list(v.shape),
                "trainable": v.trainable,
                "attribute": v.attribute,
            }
            for v in module.variables
        ]
    if inspection.inference is not None:
        data["explanation"] = architecture_data(inspection.inference)
    else:
        data["unexplained"] = {"reason": inspection.unexplained, "details": list(inspection.details)}
    return data


def architecture_data(inference: Inference) -> dict[str, Any]:
    """Family, generation, and each field with its value and evidence."""
    return {
        "family": inference.architecture.family,
        "generation": inference.architecture.generation,
        "architecture": [
            {
                "field": field,
                "value": value,
                "evidence": [
                    {"source": e.kind, "place": e.place, "places": e.count}
                    for e in inference.evidence
                    if e.field == field
                ],
            }
            for field, value in inference.architecture.values.items()
        ],
    }


def plan_data(plan: Plan) -> dict[str, Any]:
    """What would be written where, and the way of every variable."""
    return {
        "name": plan.module.name,
        "format": plan.module.format,
        **architecture_data(plan.inference),
        "convention": plain(plan.inference.convention),
        "heads": {name: plain(convention) for name, convention in plan.inference.submodels.items()},
        "assignments": [
            {
                "variable": a.variable.name,
                "target": a.target,
                "layout": a.layout.sentence,
                "from": list(a.variable.shape),
                "to": list(a.shape),
                "rule": a.rule,
                "part": a.part,
            }
            for a in plan.weights.assignments
        ],
        "kept": [
            *({"variable": v.name, "attribute": v.attribute} for v in plan.weights.kept),
            *({"variable": f"constant {value}", "attribute": name} for name, value in plan.module.constants.items()),
        ],
        "dropped": [{"variable": d.variable.name, "because": d.because} for d in plan.weights.dropped],
        "assets": dict(plan.module.assets),
        "signatures": {name: list(outputs) for name, outputs in plan.signatures.items()},
        "destination": str(plan.destination),
        "weight_bytes": sum(a.variable.nbytes for a in plan.weights.assignments),
    }


def taps_data(plan: Plan, batch: int, length: int) -> dict[str, Any]:
    """What an encoder offers to tap; bytes are those of one block in a reply of this batch and length."""
    from surgery.planning.taps import offered

    inference = plan.inference
    return {
        "name": plan.module.name,
        "family": inference.family.name,
        "blocks": inference.architecture["num_hidden_layers"],
        "batch": batch,
        "length": length,
        "taps": [
            {
                "name": name,
                "axes": list(offer.axes),
                "shape": list(offer.shape(inference)),
                "bytes": offer.nbytes(inference, batch, length),
                "meaning": offer.row.meaning,
            }
            for name, offer in offered(inference).items()
        ],
        "not_offered": dict(inference.family.no_taps),
    }


def conversion_data(conversion: Conversion) -> dict[str, Any]:
    """The published export and its proof."""
    return {
        "destination": str(conversion.destination),
        "text_destination": None if conversion.text_destination is None else str(conversion.text_destination),
        "warmup_requests": {str(destination): count for destination, count in conversion.warmups.items()},
        "signatures": {name: list(outputs) for name, outputs in conversion.plan.signatures.items()},
        "parity": report_data(conversion.report),
    }


def edit_data(export: EditedExport) -> dict[str, Any]:
    """A published edit: what it hit, what stayed the same to the bit, and what changed by intent."""
    edited = export.edited
    return {
        "destination": str(export.destination),
        "edits": [{"edit": edit, "places": count} for edit, count in edited.hits],
        "blocks": [{"origin": place.origin, "pruned_heads": list(place.pruned)} for place in edited.places],
        "unchanged": list(export.unchanged),
        "changed": list(export.changed),
        "dropped": len(edited.plan.weights.dropped),
        "signatures": {name: list(outputs) for name, outputs in edited.plan.signatures.items()},
        "parity": report_data(export.report),
    }


def preprocessor_data(preprocessor: Preprocessor) -> dict[str, Any]:
    """A published preprocessor: its tokenizer, and where it is."""
    tokenization = preprocessor.tokenization
    return {
        "destination": str(preprocessor.destination),
        "tokenizer": "SentencePiece" if tokenization.pieces else "WordPiece",
        "vocabulary": tokenization.file.name,
        "lower_case": tokenization.lower_case,
        "lower_case_from": tokenization.why,
        "seq_length": preprocessor.length,
    }


def verification_data(verification: Verification) -> dict[str, Any]:
    """The verdict on an export."""
    return {
        "module": verification.plan.module.name,
        "exported": str(verification.exported),
        "parity": report_data(verification.report),
        "notes": list(verification.notes),
    }


def _signature(module: InspectedModule, signature: SignatureInfo, roles: dict[str, dict[str, str]]) -> dict[str, Any]:
    inputs = {n.key: n for n in module.input_names if n.signature == signature.name}
    outputs = {n.key: n for n in module.output_names if n.signature == signature.name}
    return {
        "inputs": [_tensor(tensor, inputs, roles["inputs"]) for tensor in signature.inputs],
        "outputs": [_tensor(tensor, outputs, roles["outputs"]) for tensor in signature.outputs],
    }


def _tensor(tensor: TensorInfo, names: dict[str, Any], roles: dict[str, str]) -> dict[str, Any]:
    shape = None if tensor.shape is None else list(tensor.shape)
    data: dict[str, Any] = {"key": tensor.key, "dtype": tensor.dtype, "shape": shape, "tensor": tensor.name}
    if tensor.key in names:
        named = names[tensor.key]
        data["is"] = {"callable": named.callable, "places": list(named.paths), "how": named.how}
        # A bare list has positions only; what stands there, the calling convention knows.
        found = [roles[path] for path in named.paths if path.startswith("[") and path in roles]
        if found and named.callable == "__call__":
            data["is"]["role"] = found[0]
    return data


def _roles(inference: Inference | None) -> dict[str, dict[str, str]]:
    """Encoder inputs and outputs by their place in the source's call."""
    if inference is None:
        return {"inputs": {}, "outputs": {}}
    convention = inference.convention
    return {
        "inputs": {place: name for name, place in convention.inputs.items()},
        "outputs": {place: name for name, place in convention.outputs.items()},
    }


def _callable(trace: Trace) -> dict[str, Any]:
    return {
        "name": trace.callable,
        "training": trace.training,
        "takes": describe(trace.inputs),
        "returns": describe(trace.outputs),
    }


def _one_per_mode(module: InspectedModule) -> list[Trace]:
    """The first trace of every callable for each value of `training`: Keras saves each twice under other names."""
    return list({(trace.callable, trace.training): trace for trace in reversed(module.traces)}.values())[::-1]


def _block_outputs(module: InspectedModule) -> dict[str, Any]:
    """Whether `__call__` gives more than its ends: lists of sequence tensors [batch, seq, hidden], by key."""
    trace = module.trace("__call__", training=False)
    outputs: Structure = trace.outputs if trace is not None else None
    lists = {
        key: len(value)
        for key, value in (outputs.items() if isinstance(outputs, dict) else ())
        if isinstance(value, list | tuple)
    }
    return {"exposed": bool(lists), "lists": lists}
