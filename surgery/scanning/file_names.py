"""Which file an operation would open: where the name that it is given comes from.

A name is followed back through the graph, through calls to their callers, and through a variable to what is assigned to
it, where nothing else can change it: TensorFlow 2 keeps the path of an asset in such a variable. The only files of a
module's own are its assets, and, where variables are saved and restored, the checkpoint that the loader names.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from tensorboard.compat.proto import types_pb2

from surgery.formats.saved_model import asset_files
from surgery.graphs.calls import CALLS
from surgery.graphs.functions import functions_of
from surgery.graphs.reach import owner
from surgery.scanning.places import ITSELF, Call

ASSET = "an asset"
CHECKPOINT = "the checkpoint"

TAKES: Mapping[str, tuple[int, ...]] = {
    "MergeV2Checkpoints": (0, 1),
    "InitializeTableFromTextFile": (1,),
    "InitializeTableFromTextFileV2": (1,),
}
"""The inputs of an operation that are names of files; of every other one, the first."""
HANDED_ON = frozenset({"Identity", "PlaceholderWithDefault", "ShardedFilename"})
"""Operations whose first input is the name, or its beginning."""
ASSIGNS = frozenset({"AssignVariableOp", "Assign"})
HANDLE = "VarHandleOp"
KNOW_VARIABLES = frozenset({*ASSIGNS, "ReadVariableOp", "VarIsInitializedOp"})
"""Operations that take the handle of a variable and do nothing with it that is not seen here."""

Tensor = tuple[str, str]
"""The function in which a tensor is, and the tensor's name there."""


class FileNames:
    """The names of files in a meta graph. `calls` are the calls in it (see Places)."""

    def __init__(self, meta_graph: Any, calls: Mapping[str, Sequence[Call]]) -> None:
        graph, objects = meta_graph.graph_def, meta_graph.object_graph_def
        self._functions = functions_of(graph)
        self._nodes: dict[str, dict[str, Any]] = {
            name: {node.name: node for node in function.node_def} for name, function in self._functions.items()
        }
        self._nodes[ITSELF] = {node.name: node for node in graph.node}
        self._assets = {owner(asset.tensor_info.name) for asset in asset_files(meta_graph)}
        self._saver = owner(meta_graph.saver_def.filename_tensor_name)
        self._callers: dict[str, list[tuple[str, Any]]] = defaultdict(list)
        self._assigned: dict[str, list[str]] = defaultdict(list)
        for body, within in calls.items():
            for call in within:
                self._callers[call.function].append((body, self._nodes[body][call.node]))
        for node in graph.node:
            if node.op in ASSIGNS and len(node.input) > 1:
                self._assigned[owner(node.input[0])].append(node.input[1])
        variables = [node.variable for node in objects.nodes if node.WhichOneof("kind") == "variable"]
        # Other variables may have its name: many are called "Variable".
        strings = (variable for variable in variables if variable.dtype == types_pb2.DT_STRING)
        self._restored = {variable.name.removesuffix(":0") for variable in strings}
        self._bound: dict[str, list[str]] = {}
        for function, concrete in objects.concrete_functions.items():
            kinds = [
                objects.nodes[i].WhichOneof("kind") if i < len(objects.nodes) else "" for i in concrete.bound_inputs
            ]
            self._bound[function] = [ASSET if kind == "asset" else f"a captured {kind or 'object'}" for kind in kinds]

    def of(self, body: str, node: Any) -> frozenset[str]:
        """Where the names come from that an operation takes: `ASSET`, `CHECKPOINT`, or a description of anything else.

        Args:
            body: The function in which it is; "" for the graph itself.
            node: The operation.
        """
        inputs = [feed for feed in node.input if not feed.startswith("^")]
        if any(number >= len(inputs) for number in TAKES.get(node.op, (0,))):
            return frozenset({"nothing"})
        stack: list[Tensor] = [(body, inputs[number]) for number in TAKES.get(node.op, (0,))]
        seen: set[Tensor] = set()
        found: set[str] = set()
        while stack:
            tensor = stack.pop()
            if tensor not in seen:
                seen.add(tensor)
                for end in self._back(*tensor):
                    if isinstance(end, str):
                        found.add(end)
                    else:
                        stack.append(end)
        return frozenset(found)

    def _back(self, body: str, tensor: str) -> Iterator[Tensor | str]:
        """One step back: tensors before this one, or where it comes from."""
        name = owner(tensor)
        node = self._nodes[body].get(name)
        if node is None:
            yield from self._argument(body, name)
            return
        inputs = [(body, feed) for feed in node.input if not feed.startswith("^")]
        if body == ITSELF and name == self._saver:
            yield CHECKPOINT
        elif body == ITSELF and name in self._assets:
            yield ASSET
        elif node.op in HANDED_ON and inputs:
            yield inputs[0]
        elif node.op == "Pack" and inputs:
            yield from inputs
        elif node.op == "StringJoin" and inputs:
            yield inputs[0]
            yield from (f"a name joined with {text!r}" for ending in inputs[1:] for text in self._outside(*ending))
        elif (
            node.op == "ReadVariableOp" and inputs and body == ITSELF and (given := self._assigned[owner(inputs[0][1])])
        ):
            yield from ((ITSELF, feed) for feed in given)
            if why := self._changes_elsewhere(owner(inputs[0][1])):
                yield f"the variable {owner(inputs[0][1])}, {why}"
        elif node.op == "Const":
            yield f"the constant {b' '.join(node.attr['value'].tensor.string_val)[:200]!r}"
        else:
            yield f"the operation {name} ({node.op})"

    def _changes_elsewhere(self, handle: str) -> str:
        """Why a variable may have another value than the graph itself assigns to it; "" if it cannot."""
        if handle in self._lent:
            return "which other operations can change"
        name = _shared_name(self._nodes[ITSELF][handle]) if handle in self._nodes[ITSELF] else b""
        if self._shared_names[name] != 1:
            return "which has other handles"
        return "which the checkpoint restores" if name.decode(errors="replace") in self._restored else ""

    @cached_property
    def _lent(self) -> frozenset[str]:
        """Operations of the graph itself whose outputs any other operation takes than those in KNOW_VARIABLES."""
        nodes = self._nodes[ITSELF].values()
        return frozenset(owner(feed) for node in nodes if node.op not in KNOW_VARIABLES for feed in node.input)

    @cached_property
    def _shared_names(self) -> Counter[bytes]:
        """The handles of string variables, in the graph itself and in functions, by the name of what they share."""
        nodes = (node for within in self._nodes.values() for node in within.values())
        return Counter(_shared_name(node) for node in nodes if node.op == HANDLE and _holds_strings(node))

    def _argument(self, function: str, name: str) -> Iterator[Tensor | str]:
        arguments = (
            [a.name for a in self._functions[function].signature.input_arg] if function in self._functions else []
        )
        if name not in arguments:
            yield f"the missing operation {name}"
            return
        number = arguments.index(name)
        for body, node in self._callers[function]:
            given = [feed for feed in node.input if not feed.startswith("^")]
            if node.op in CALLS and number < len(given):
                yield body, given[number]
            else:
                yield f"an argument that {node.name} ({node.op}) gives"
        if function in self._bound:
            bound = self._bound[function]
            position = number - (len(arguments) - len(bound))
            yield bound[position] if position >= 0 else "an input of a callable"
        elif not self._callers[function]:
            yield "an argument that nothing gives"

    def _outside(self, body: str, tensor: str) -> Iterator[str]:
        """Endings of a name that lead out of the folder of its beginning, or that are not constants."""
        stack, seen = [tensor], set()
        while stack:
            name = owner(stack.pop())
            node = self._nodes[body].get(name)
            if name in seen:
                continue
            seen.add(name)
            if node is not None and node.op in ("Identity", "Select"):
                stack += node.input[0 if node.op == "Identity" else 1 :]
            elif node is None or node.op != "Const":
                yield name
            else:
                texts = (text.decode(errors="replace") for text in node.attr["value"].tensor.string_val)
                yield from (text for text in texts if ".." in text)


def _shared_name(handle: Any) -> bytes:
    """The name by which handles share a variable."""
    name: bytes = handle.attr["shared_name"].s if "shared_name" in handle.attr else b""
    return name or str(handle.name).encode()


def _holds_strings(handle: Any) -> bool:
    return "dtype" in handle.attr and handle.attr["dtype"].type == types_pb2.DT_STRING
