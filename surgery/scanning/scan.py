"""Scans a SavedModel: every operation, wherever it stands, against the allowlist. Nothing is run."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from surgery.errors import ModuleError
from surgery.formats.saved_model import asset_files
from surgery.scanning.constants import bytecode_in, graph_in, may_hold_strings, strings_of
from surgery.scanning.file_names import ASSET, CHECKPOINT, FileNames
from surgery.scanning.findings import Finding, Scan
from surgery.scanning.operations import ALLOWED, ASSETS, NUMBERS, ONLY_TO_SAVE, PLUMBING
from surgery.scanning.places import INITIALISER, ITSELF, Place, Places, places_of, places_within
from surgery.scanning.refused import COULD, FILES, NETWORK, OTHER, REFUSED, UNKNOWN
from surgery.sources import inspect_folder, well_formed
from surgery.sources.files import Files, inside

REACHES_OUT = frozenset(
    {
        *("debug_urls", "debug_ops_spec", "output_stream", "memory_region_name", "container", "containers"),
        *("file_name", "filename", "file_pattern", "vocab_file", "log_dir_path", "output_file_path"),
        *("reader_path_prefix", "writer_path_prefix", "descriptor_source"),
    }
)
"""Attributes that name files, streams, memory or containers outside the module. Empty, they name none."""
CONTAINERS = frozenset({"container", "containers"})
JOB = "/job:"
OWN_JOB = "/job:localhost"
Counts = dict[Place, Counter[tuple[str, str]]]
"""The number of operations by place, group and type."""
DEEPEST = 8
"""Graphs in the constants of graphs in constants are followed to this depth."""


def scan_files(files: Files) -> Scan:
    """Scans the files of a module. Nothing of a checkpoint is run: it is clean.

    Raises ModuleError when there is no module, or a damaged one.
    """
    if files.saved_model is None:
        return Scan(name=files.name, format=inspect_folder(files).format, graphs=False)
    objects = any(meta_graph.object_graph_def.nodes for meta_graph in files.saved_model.meta_graphs)
    with well_formed(files.name):
        return scan_saved_model(
            files.saved_model, files.folder, files.name, "TF2 SavedModel" if objects else "TF1 SavedModel"
        )


def scan_saved_model(saved_model: Any, folder: Path | None, name: str, format: str) -> Scan:
    """Scans a parsed SavedModel.

    `folder` is where its assets and Keras's metadata lie; None for an address in a remote file system.
    """
    counts: Counts = defaultdict(Counter)
    findings: list[Finding] = []
    assets: dict[str, None] = {}
    for meta_graph in saved_model.meta_graphs:
        tags = tuple(sorted(meta_graph.meta_info_def.tags))
        files = [asset.filename for asset in asset_files(meta_graph)]
        assets.update(dict.fromkeys(f"assets/{file}" for file in files))
        findings += [_outside(file, tags) for file in files if not _inside(folder, file)]
        places = places_of(meta_graph)
        scanner = _Scanner(tags, FileNames(meta_graph, places.calls), counts)
        findings += scanner.scan(meta_graph.graph_def, places)
    return Scan(
        name=name,
        format=format,
        operations=_by_group(counts),
        places=_by_place(counts),
        findings=tuple(dict.fromkeys(findings)),
        assets=tuple(assets),
        bytecode=bytecode_in(folder, saved_model),
    )


class _Scanner:
    """Scans the graphs of one meta graph, and counts its operations."""

    def __init__(self, tags: tuple[str, ...], file_names: FileNames | None, counts: Counts) -> None:
        self._tags, self._file_names, self._counts = tags, file_names, counts
        self._read: set[bytes] = set()

    def scan(self, graph: Any, places: Places, depth: int = 0) -> Iterator[Finding]:
        """The findings of a graph, of its functions, and of the graphs in its constants."""
        for node in graph.node:
            yield from self._node(ITSELF, node, places, places.nodes[node.name], depth)
        for function in graph.library.function:
            name = function.signature.name
            place = places.functions[name]
            for node in function.node_def:
                yield from self._node(name, node, places, place, depth)
            for attribute in (
                *function.attr.values(),
                *(a for f in function.arg_attr.values() for a in f.attr.values()),
            ):
                yield from self._constants(attribute, place, name, depth)

    def _node(self, body: str, node: Any, places: Places, place: Place, depth: int) -> Iterator[Finding]:
        group = NUMBERS if node.op in places.functions else _group(node.op, place)
        self._counts[place][group, node.op] += 1
        problems = list(self._problems(group, body, node, place))
        attributes = node.attr
        for name in attributes:  # twice as fast as `items`
            value = attributes[name]
            if not may_hold_strings(value):
                continue
            if name in REACHES_OUT and (given := [text for text in strings_of(value) if text]):
                shown = ", ".join(text.decode(errors="replace") for text in given)
                wording = "shares a container" if name in CONTAINERS else "leads out of the module"
                problems.append((OTHER if name in CONTAINERS else FILES, f"its attribute {name} {wording}: {shown}"))
            yield from self._constants(value, place, node.name, depth)
        if JOB in node.device and OWN_JOB not in node.device:
            problems.append((NETWORK, f"it is placed on another machine: {node.device}"))
        if problems:
            refused = group if group in COULD else problems[0][0]
            yield self._finding(node.op, refused, "; ".join(why for _, why in problems), node.name, place)

    def _problems(self, group: str, body: str, node: Any, place: Place) -> Iterator[tuple[str, str]]:
        """What is wrong with an operation where it stands: the group of what it could do, and the words."""
        if group in COULD:
            yield group, COULD[group]
        elif group in (PLUMBING, ASSETS):
            own = CHECKPOINT if group == PLUMBING else ASSET
            if group == ASSETS and place.kind != INITIALISER:
                yield FILES, "it reads a file each time that it is run, not only as the module is loaded"
            others = sorted(self._file_names.of(body, node) - {own}) if self._file_names else ["a graph in a constant"]
            if others:
                yield FILES, f"it opens a file that is not {own}: the name comes from {', '.join(others)}"

    def _constants(self, value: Any, place: Place, name: str, depth: int) -> Iterator[Finding]:
        """The findings of the graphs in an attribute."""
        for data in strings_of(value):
            if len(data) in (0, 1) or data in self._read:
                continue
            self._read.add(data)
            graph = graph_in(data)
            if graph is not None and depth == DEEPEST:
                yield self._finding("Const", OTHER, "graphs stand in the constants of graphs, too deep", name, place)
            elif graph is not None:
                inner = _Scanner(self._tags, None, self._counts)
                yield from inner.scan(graph, places_within(graph, place, name), depth + 1)

    def _finding(self, operation: str, group: str, could: str, node: str, place: Place) -> Finding:
        return Finding(
            operation=operation,
            group=group,
            could=could,
            node=node,
            kind=place.kind,
            place=str(place),
            tags=self._tags,
        )


def _by_group(counts: Counts) -> dict[str, dict[str, Counter[str]]]:
    found: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for place, operations in counts.items():
        for (group, operation), number in operations.items():
            found[group][place.kind][operation] += number
    return {group: dict(kinds) for group, kinds in found.items()}


def _by_place(counts: Counts) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for place, operations in counts.items():
        for (_, operation), number in operations.items():
            found[str(place)][operation] += number
    return dict(found)


def _group(operation: str, place: Place) -> str:
    if place.plumbing and operation in ONLY_TO_SAVE:
        return PLUMBING
    return ALLOWED.get(operation) or REFUSED.get(operation) or (FILES if operation in ONLY_TO_SAVE else UNKNOWN)


def _inside(folder: Path | None, file: str) -> bool:
    """Whether an asset lies in the module's folder, links resolved."""
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts:
        return False
    try:
        return folder is None or bool(inside(folder, f"assets/{file}"))
    except ModuleError:
        return False


def _outside(file: str, tags: tuple[str, ...]) -> Finding:
    return Finding(
        operation="asset",
        group=FILES,
        could="its path leads out of the module's folder",
        node=f"assets/{file}",
        kind="asset",
        place="the module's assets",
        tags=tags,
    )
