"""Report of how to serve an export: tables that fit the terminal, and commands and files that are never folded."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from surgery.jobs.serve import Serving
from surgery.module import TensorInfo
from surgery.reports import mixed_precision
from surgery.reports.page import Data, Whole, facts, table_of, title
from surgery.tfserving.config_files import MODELS_CONFIG
from surgery.tfserving.notes import advice
from surgery.tfserving.reply_size import LIMIT
from surgery.tfserving.served import ServedSignature
from surgery.wording import Lines, shape_text, size

SCHEMA = 1


def data(serving: Serving) -> Data:
    """Inputs and outputs by signature, with the bytes of a reply; commands, files, notes and the warm-up."""
    served, warmup = serving.served, serving.warmup
    return {
        "exported": str(served.folder),
        "model": served.model,
        "version": served.version,
        "base_path": str(served.base_path),
        "versions": list(served.versions.there),
        "newer_versions": list(served.versions.newer),
        "labels": dict(served.versions.labels),
        "text_operations": list(served.text_operations),
        "batch": served.batch,
        "length": served.length,
        "longest_row": served.longest,
        "limit": LIMIT,
        "signatures": {
            signature.name: {**_signature(signature), "advice": list(advice(served, signature))}
            for signature in served.signatures
        },
        "flags": dict(serving.flags),
        "notes": list(serving.notes),
        "commands": {
            name: None if command is None else Lines(command)
            for name, command in (
                ("move", serving.move),
                ("server", serving.server),
                ("docker", serving.docker),
                ("docker_gpu", serving.docker_gpu),
                ("curl", serving.curl),
            )
        },
        "curl_by_label": {label: Lines(command) for label, command in serving.curl_by_label.items()},
        "files": {name: Lines(text) for name, text in serving.files.items()},
        "written": None if serving.written is None else str(serving.written),
        "warmup": {
            "bytes": served.warmup_bytes,
            "written": None if warmup is None else str(warmup.file),
            "requests": [{"signature": r.signature, "size": r.label} for r in warmup.requests] if warmup else None,
        },
        "mixed_precision": mixed_precision.data(serving.mixed_precision),
    }


def text(console: Console, data: Data) -> None:
    """Signatures with the bytes of a reply, notes and commands. Files that were not written are shown in full."""
    version = "no version" if data["version"] is None else f"version {data['version']}"
    title(console, f"{data['model']}, {version}, for TensorFlow Serving")
    overview: list[tuple[str, str]] = [("folder", Whole(data["exported"])), ("base path", Whole(data["base_path"]))]
    if len(data["versions"]) > 1 or data["labels"]:
        overview.append(("versions", ", ".join(_version(data, number) for number in data["versions"])))
    if data["text_operations"]:
        overview.append(("operations", "of TensorFlow Text: " + ", ".join(data["text_operations"])))
    facts(console, [*overview, ("warm-up", _warmup(data["warmup"]))])
    for name, signature in data["signatures"].items():
        _signature_text(console, name, signature, data)
    if data["mixed_precision"] is not None:
        mixed_precision.text(console, data["mixed_precision"], f"{data['batch']} x {data['length']}")
    if data["notes"]:
        title(console, "Notes")
        for note in data["notes"]:
            _sentence(console, note, None)
    title(console, "Flags of the server, by what they mean for this export")
    for flag, meaning in data["flags"].items():
        _verbatim(console, flag, style="dim")
        _sentence(console, meaning, None)
    if data["commands"]["server"] is None:
        title(console, "Server")
        _sentence(console, f"it needs {MODELS_CONFIG} here: --output DIR writes it, and shows the commands", "yellow")
    for heading, command in _commands(data):
        title(console, heading)
        _verbatim(console, command)
    if data["written"] is not None:
        title(console, "Files")
        _verbatim(console, "".join(f"wrote {data['written']}/{name}\n" for name in data["files"]).rstrip("\n"))
        return
    title(console, "Files, which --output DIR writes")
    for name, text in data["files"].items():
        title(console, name)
        _verbatim(console, text.rstrip("\n"))


def _commands(data: Data) -> list[tuple[str, str]]:
    """The commands that there are, in the order in which they are needed, each with its heading."""
    commands = data["commands"]
    requests = [(f"A request over REST, to the label {label}", c) for label, c in data["curl_by_label"].items()]
    listed = [
        ("First", commands["move"]),
        ("Server", commands["server"]),
        ("or in its container", commands["docker"]),
        ("or in its container, on a GPU with NVIDIA's container toolkit", commands["docker_gpu"]),
        *(requests or [("A request over REST", commands["curl"])]),
    ]
    return [(heading, command) for heading, command in listed if command is not None]


def _version(data: Data, number: int) -> str:
    """A version, with its labels."""
    labels = [label for label, version in data["labels"].items() if version == number]
    return f"{number} ({', '.join(labels)})" if labels else str(number)


def _signature(signature: ServedSignature) -> Data:
    reply = signature.reply
    return {
        "packed": signature.zeros is not None,
        "zeros": list(signature.zeros or ()),
        "inputs": [_tensor(tensor) for tensor in signature.signature.inputs],
        "outputs": [{**_tensor(t), "bytes": reply.outputs[t.key]} for t in signature.signature.outputs],
        "reply_bytes": reply.total,
        "exact": reply.exact,
        "fits": reply.fits,
        "largest_batch": reply.largest_batch,
        "rest_bytes": {"inputs": reply.columns, "instances": reply.rows},
    }


def _tensor(tensor: TensorInfo) -> Data:
    return {
        "key": tensor.key,
        "dtype": tensor.dtype,
        "shape": None if tensor.shape is None else list(tensor.shape),
    }


def _signature_text(console: Console, name: str, signature: Data, data: Data) -> None:
    title(console, f"signature {name}")
    rows = [("input", t["key"], _type(t), "", "") for t in signature["inputs"]]
    rows += [
        (
            "output",
            t["key"],
            _type(t),
            "?" if t["bytes"] is None else size(t["bytes"]),
            "zeros" if t["key"] in signature["zeros"] else "",
        )
        for t in signature["outputs"]
    ]
    heads = ("", "key", "type", "in a reply", *(("at padding",) if signature["zeros"] else ()))
    table_of(console, heads, [row[: len(heads)] for row in rows])
    if signature["packed"]:
        console.print("padding is not computed" + ("" if signature["zeros"] else ", and no output shows it"))
    bound = "" if signature["exact"] else " at most, without strings" if _has_strings(signature) else " at most"
    most = "" if signature["largest_batch"] is None else f"; the largest batch that does: {signature['largest_batch']}"
    verdict = "fits into" if signature["fits"] else "does NOT fit into"
    line = (
        f"a reply of {data['batch']} x {data['length']} tokens: {size(signature['reply_bytes'])}{bound} over gRPC, "
        f"{verdict} its default of {data['limit'] // 2**20} MiB{most}"
    )
    _sentence(console, line, None if signature["fits"] else "bold red")
    rest = signature["rest_bytes"]
    if rest["inputs"]:
        console.print(
            f'over REST about {size(rest["inputs"])} to a request with "inputs", {size(rest["instances"])} to one with '
            '"instances"; that limit is not for REST',
            markup=False,
        )
    for line in signature["advice"]:
        _sentence(console, f"- {line}", None)


def _warmup(warmup: Data) -> str:
    if warmup["written"] is not None:
        return f"wrote {warmup['written']}: {len(warmup['requests'])} requests, each read back and replayed"
    if warmup["bytes"] is None:
        return "none; --warmup writes it"
    return f"there already, {size(warmup['bytes'])}"


def _has_strings(signature: Data) -> bool:
    return any(tensor["bytes"] is None for tensor in signature["outputs"])


def _type(tensor: Data) -> str:
    return f"{tensor['dtype']} {shape_text(tensor['shape'])}"


def _sentence(console: Console, text: str, style: str | None) -> None:
    console.print(Text(text, style=style or ""))


def _verbatim(console: Console, text: str, style: str = "") -> None:
    """Prints lines as they are, whatever the terminal's width, because people copy them."""
    console.print(Text(text, style=style), soft_wrap=True)
