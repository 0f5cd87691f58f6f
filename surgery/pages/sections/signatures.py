"""The signatures with their inputs and outputs, and lines that call them, to copy."""

from __future__ import annotations

from surgery.module import DEFAULT_SIGNATURE
from surgery.pages.section import Data, Documents, Section, found

CLIENT = "client.py"
"""The file of `surgery serving` that asks for a signature over gRPC."""


def view(documents: Documents) -> Data | None:
    """The signatures of each meta graph, and the clients of TensorFlow Serving, where the module can be served."""
    graphs = [
        {**graph, "signatures": _default_first(graph["signatures"])}
        for graph in documents["inspect"]["meta_graphs"]
        if graph["signatures"]
    ]
    serving = found(documents, "serving")
    if not graphs:
        return None
    described = {} if serving is None else serving["signatures"]
    return {
        "graphs": graphs,
        "several": len(documents["inspect"]["meta_graphs"]) > 1,
        "serving": serving,
        "advice": {name: signature["advice"] for name, signature in described.items() if signature["advice"]},
        "commands": _commands(serving),
    }


def _default_first(signatures: Data) -> Data:
    return dict(sorted(signatures.items(), key=lambda item: item[0] != DEFAULT_SIGNATURE))


def _commands(serving: Data | None) -> list[Data]:
    """The commands for TensorFlow Serving and its clients, in the order in which they are needed."""
    if serving is None:
        return []
    commands = serving["commands"]
    titles = {
        "move": "First, into a folder that is named by a version",
        "server": "The server",
        "docker": "or in its container",
        "docker_gpu": "or in its container, on a GPU",
        "curl": "A request over REST",
    }
    lines = [{"title": titles[name], "text": commands[name]} for name in titles if commands[name] is not None]
    return [*lines, {"title": f"A client over gRPC, {CLIENT}", "text": serving["files"][CLIENT]}]


SIGNATURES = Section(name="signatures", title="Signatures and clients", view=view)
