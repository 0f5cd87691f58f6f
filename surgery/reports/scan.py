"""Report of a scan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from surgery.reports.page import Data, lines, table_of, title

if TYPE_CHECKING:
    from surgery.scanning.findings import Scan

SCHEMA = 1


def data(scan: Scan) -> Data:
    """The operations of a module by what they do, by part of the module and by type, and the findings."""
    return {
        "name": scan.name,
        "format": scan.format,
        "clean": scan.clean,
        "graphs": scan.graphs,
        "operations": {
            group: {kind: dict(sorted(kinds[kind].items())) for kind in sorted(kinds)}
            for group, kinds in sorted(scan.operations.items())
        },
        "places": {place: dict(sorted(scan.places[place].items())) for place in sorted(scan.places)},
        "findings": [
            {
                "operation": finding.operation,
                "group": finding.group,
                "could": finding.could,
                "node": finding.node,
                "kind": finding.kind,
                "place": finding.place,
                "tags": list(finding.tags),
            }
            for finding in scan.findings
        ],
        "assets": list(scan.assets),
        "bytecode": list(scan.bytecode),
    }


def text(console: Console, data: Data) -> None:
    """One row per group of operations, then each finding with its place."""
    title(console, f"{data['name']} ({data['format']})")
    if not data["graphs"]:
        console.print("clean: nothing of a checkpoint is run, its weights are data")
        return
    rows = []
    for group, kinds in data["operations"].items():
        types = {operation for counts in kinds.values() for operation in counts}
        parts = ", ".join(f"{kind} {sum(counts.values()):,}" for kind, counts in kinds.items())
        rows.append((group, f"{sum(map(_count, kinds.values())):,}", str(len(types)), parts))
    table_of(console, ("operations that", "count", "types", "by part of the module"), rows)
    if data["assets"]:
        console.print(Text("assets: " + ", ".join(data["assets"])))
    if data["bytecode"]:
        console.print(Text(f"Python bytecode, never run by surgery: {', '.join(data['bytecode'])}"))
    if data["clean"]:
        console.print("clean: every operation is on the allowlist")
        return
    title(console, f"Not clean: {len(data['findings']):,} findings")
    for finding in data["findings"]:
        lines(
            console,
            (f"{finding['operation']} ({finding['node']})", f"  in {finding['place']}", f"  {finding['could']}"),
        )


def _count(counts: dict[str, int]) -> int:
    return sum(counts.values())
