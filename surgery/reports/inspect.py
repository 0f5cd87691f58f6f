"""Report of an inspection: a module's files, signatures and calls, and the architecture that the weight tables find."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from surgery.module import InspectedModule, SignatureInfo, Structure, TensorInfo, Trace, describe
from surgery.reports import architecture, surroundings
from surgery.reports.page import Data, facts, table_of, title
from surgery.wording import Lines, shape_text, size

if TYPE_CHECKING:
    from surgery.explanation.architecture import Inference
    from surgery.explanation.inspection import Inspection

SCHEMA = 1


def data(inspection: Inspection, *, signature: str | None = None, variables: bool = False) -> Data:
    """All facts of an inspection.

    Args:
        inspection: The inspection.
        signature: The only signature to include; None for all.
        variables: Whether to list every variable.
    """
    module = inspection.module
    roles = _roles(inspection.inference)
    data: Data = {
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
                "operations": list(graph.operations),
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
        data["explanation"] = architecture.data(inspection.inference) | surroundings.data(inspection.inference)
    else:
        data["unexplained"] = {
            "reason": Lines(inspection.unexplained),
            "hint": inspection.hint,
            "details": list(inspection.details),
        }
    return data


def text(console: Console, data: Data) -> None:
    """Format, graphs, signatures, calls and files of a module, and its architecture or why no table explains it."""
    title(console, data["name"])
    overview = [
        ("format", data["format"]),
        *_origin(data),
        *((f"sha256 {file.rpartition('/')[2]}", digest) for file, digest in data["sha256"].items()),
        (
            "variables",
            "{count} ({trainable} trainable), ".format(**data["variables"]) + size(data["variables"]["bytes"]),
        ),
    ]
    lists = data["block_outputs"]["lists"]
    if data["callables"] and "explanation" in data:
        exposed = ", ".join(f"{key} (a list of {count})" for key, count in lists.items())
        overview.append(("block outputs", exposed or "not exposed: the call returns its ends only"))
    facts(console, overview)
    for problem in data["problems"]:
        console.print(Text(f"damaged: {problem}", style="bold red"))
    for graph in data["meta_graphs"]:
        tags = "{" + ", ".join(graph["tags"]) + "}"
        empty = " (the empty tag set)" if not graph["tags"] else ""
        title(console, f"Meta graph {tags}{empty}: {graph['nodes']} nodes, {graph['functions']} functions")
        for name, signature in graph["signatures"].items():
            _signature_text(console, name, signature)
        facts(console, [("operations", ", ".join(graph["operations"]))])
    if data["callables"]:
        title(console, "Calls")
        rows = [
            (_call_name(c), arrow, structure_text(c[way]))
            for c in data["callables"]
            for arrow, way in (("takes", "takes"), ("returns", "returns"))
        ]
        table_of(console, ("call", "", "structure"), rows)
    if data["assets"]:
        title(console, "Assets")
        facts(console, list(data["assets"].items()))
    if data["attached_messages"]:
        title(console, "Attached messages")
        rows = [("{" + ", ".join(m["tags"]) + "}", m["key"], m["hex"]) for m in data["attached_messages"]]
        table_of(console, ("tags", "key", "bytes (hex)"), rows)
    if "list" in data["variables"]:
        title(console, "Variables")
        listed = [
            (v["name"], v["dtype"], shape_text(v["shape"]), "trainable" if v["trainable"] else v["attribute"] or "")
            for v in data["variables"]["list"]
        ]
        table_of(console, ("name", "dtype", "shape", ""), listed)
    if "explanation" in data:
        architecture.text(console, data["explanation"])
        checkpoint = not data["meta_graphs"]  # whose head is kept in any case
        surroundings.text(console, data["explanation"], kept=checkpoint)
    else:
        title(console, "No weight table explains this module")
        console.print(escape(data["unexplained"]["reason"]), soft_wrap=True)
        if hint := data["unexplained"]["hint"]:
            console.print(escape(hint), soft_wrap=True)


def _signature(module: InspectedModule, signature: SignatureInfo, roles: dict[str, dict[str, str]]) -> dict[str, Any]:
    inputs = {n.key: n for n in module.input_names if n.signature == signature.name}
    outputs = {n.key: n for n in module.output_names if n.signature == signature.name}
    return {
        "method_name": signature.method_name,
        "inputs": [_tensor(tensor, inputs, roles["inputs"]) for tensor in signature.inputs],
        "outputs": [_tensor(tensor, outputs, roles["outputs"]) for tensor in signature.outputs],
    }


def _tensor(tensor: TensorInfo, names: dict[str, Any], roles: dict[str, str]) -> dict[str, Any]:
    shape = None if tensor.shape is None else list(tensor.shape)
    data: dict[str, Any] = {"key": tensor.key, "dtype": tensor.dtype, "shape": shape, "tensor": tensor.name}
    if tensor.parts:
        data["kind"] = tensor.kind
        data["parts"] = {part.key: part.name for part in tensor.parts}
    if tensor.key in names:
        named = names[tensor.key]
        data["is"] = {"callable": named.callable, "places": list(named.paths), "how": named.how}
        # The entries of a bare list have numbers and no names. Their meaning is in the calling convention.
        entries = [roles[path] for path in named.paths if path.startswith("[") and path in roles]
        if entries and named.callable == "__call__":
            data["is"]["role"] = entries[0]
    return data


def _roles(inference: Inference | None) -> dict[str, dict[str, str]]:
    """The encoder's names of inputs and outputs, by their path in the module's call."""
    if inference is None:
        return {"inputs": {}, "outputs": {}}
    convention = inference.convention
    return {
        "inputs": {path: name for name, path in convention.inputs.items()},
        "outputs": {path: name for name, path in convention.outputs.items()},
    }


def _callable(trace: Trace) -> dict[str, Any]:
    return {
        "name": trace.callable,
        "training": trace.training,
        "takes": describe(trace.inputs),
        "returns": describe(trace.outputs),
    }


def _one_per_mode(module: InspectedModule) -> list[Trace]:
    """The first trace of every callable for each value of `training`, because Keras saves each twice."""
    return list({(trace.callable, trace.training): trace for trace in reversed(module.traces)}.values())[::-1]


def _block_outputs(module: InspectedModule) -> dict[str, Any]:
    """The lists of block outputs, each [batch, seq, hidden], that `__call__` returns, by key with their lengths."""
    trace = module.trace("__call__", training=False)
    outputs: Structure = trace.outputs if trace is not None else None
    lists = {
        key: len(value)
        for key, value in (sorted(outputs.items()) if isinstance(outputs, dict) else ())
        if isinstance(value, list | tuple)
    }
    return {"exposed": bool(lists), "lists": lists}


def _origin(data: Data) -> list[tuple[str, str]]:
    """The TensorFlow that wrote a SavedModel, or the config of a checkpoint; and the graph's size."""
    graph = [("graph", size(data["saved_model_bytes"]))] if data["saved_model_bytes"] else []
    if data["config"] is not None:
        values = ", ".join(f"{key} {value}" for key, value in data["config"]["values"].items())
        return [*graph, (data["config"]["file"], values)]
    return [("written by", f"TensorFlow {data['tensorflow_version'] or '(unknown)'}"), *graph]


def _signature_text(console: Console, name: str, data: Data) -> None:
    rows: list[tuple[str, ...]] = []
    for way in ("inputs", "outputs"):
        for tensor in data[way]:
            meaning = tensor.get("is")
            named = " = ".join(meaning["places"]) if meaning else ""
            if meaning and "role" in meaning:
                named += f" {meaning['role']}"
            if meaning and meaning["callable"] != "__call__":
                named = f"{meaning['callable']}: {named}" if named else meaning["callable"]
            row = (
                way[:-1],
                tensor["key"],
                f"{tensor.get('kind', '')} {tensor['dtype']} {shape_text(tensor['shape'])}".lstrip(),
                tensor["tensor"] or ", ".join(tensor.get("parts", {}).values()),
                named,
            )
            rows.append(row)
    shows_places = any(row[4] for row in rows)
    heads = ("", "key", "type", "tensor", "is, in the call")
    method = f", method {data['method_name']}" if data["method_name"] else ""
    console.print(Text.assemble((f"signature {name}", "bold"), (method, "dim")))
    table_of(console, heads if shows_places else heads[:4], [row if shows_places else row[:4] for row in rows])
    for how in dict.fromkeys(t["is"]["how"] for way in ("inputs", "outputs") for t in data[way] if "is" in t):
        console.print(Text(f"is, in the call: known by {how}", style="dim"))


def _call_name(call: Data) -> str:
    training = "" if call["training"] is None else f"(training={call['training']})"
    return f"{call['name']}{training}"


def structure_text(value: Any) -> str:
    """A structure on one line. A list of equal entries shows one of them: `list of 12 x float32 [?, ?, 768]`."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {structure_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        items = [structure_text(item) for item in value]
        if len(items) > 1 and len(set(items)) == 1:
            return f"list of {len(items)} x {items[0]}"
        return f"list of {len(items)}: " + ", ".join(items) if items else "nothing"
    return str(value)
