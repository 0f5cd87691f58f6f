"""What two exports say of themselves in their manifests, `assets.extra/surgery.json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from surgery.comparing.facts import Fact
from surgery.export.manifest import MANIFEST
from surgery.export.statements import HISTORY, read_statements
from surgery.module import InspectedModule

MEASURED = frozenset({"parity", "evidence"})
"""Keys that say how an export was proven, which differs between two proofs of one export."""


def compare_manifests(a: InspectedModule, b: InspectedModule) -> tuple[Fact, ...]:
    """Each statement of either manifest, such as `architecture.hidden_size`. A module without one makes none."""
    one, other = (dict(_statements(Path(module.folder))) for module in (a, b))
    return tuple(Fact(name=name, a=one.get(name), b=other.get(name)) for name in dict.fromkeys([*one, *other]))


def _statements(folder: Path) -> Iterator[tuple[str, Any]]:
    found = read_statements(folder)
    if found.missing:
        return
    yield MANIFEST.as_posix(), f"damaged: {found.damage}" if found.damage else "present"
    kept = {key: value for key, value in found.values.items() if key not in HISTORY | MEASURED}
    yield from _leaves(kept, "")


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every value that is no object or list, by its path. An empty object or list is a value."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{number}]")
    else:
        yield path, value
