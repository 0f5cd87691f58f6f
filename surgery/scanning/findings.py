"""The result of a scan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from surgery.results import Result


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that makes a module unclean.

    Attributes:
        operation: The type of the operation; "asset" for a path.
        group: What such operations do, such as "touches files".
        could: What it could do, in words.
        node: The name of the operation; the path of an asset.
        kind: The part of the module in which it stands, such as "signature"; see surgery.scanning.places.
        place: Where it stands: the signature or callable, the calls that lead there, and the function.
        tags: The tags of its meta graph.
    """

    operation: str
    group: str
    could: str
    node: str
    kind: str
    place: str
    tags: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.operation} ({self.node}) in {self.place}: {self.could}"


@dataclass(frozen=True, kw_only=True, repr=False)
class Scan(Result, report="scan"):
    """What a module could do.

    Attributes:
        name: Name of the module.
        format: Its format for people.
        operations: The number of operations by group, part of the module, and type.
        places: The number of operations by place and type.
        findings: What makes the module unclean.
        assets: Its asset files, relative to the folder.
        bytecode: Layers whose Python bytecode lies in the module. Nothing in surgery runs it.
        graphs: True for a SavedModel. Nothing of a checkpoint is run: its weights are data, and a graph beside them is
            only read.
    """

    name: str
    format: str
    operations: Mapping[str, Mapping[str, Counter[str]]] = field(default_factory=dict)
    places: Mapping[str, Counter[str]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    assets: tuple[str, ...] = ()
    bytecode: tuple[str, ...] = ()
    graphs: bool = True

    @property
    def clean(self) -> bool:
        """True if every operation is on the allowlist, and no attribute or asset leads out of the module."""
        return not self.findings
