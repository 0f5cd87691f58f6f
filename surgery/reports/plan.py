"""Report of a plan: the architecture, the way of every variable, and the export that would be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from surgery.plain import plain
from surgery.reports import architecture, padding, surroundings
from surgery.reports.page import Data, facts, table_of, title
from surgery.tables.head import HEAD
from surgery.wording import shape_text, size

if TYPE_CHECKING:
    from surgery.planning.plan import Plan

SCHEMA = 1


def data(plan: Plan) -> Data:
    """The architecture, the way of every variable, and the signatures and folder that would be written."""
    return {
        "name": plan.module.name,
        "format": plan.module.format,
        **architecture.data(plan.inference),
        **surroundings.data(plan.inference),
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
                "group": a.group,
                "block": a.block,
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
        "packed": plain(plan.packed),
        "destination": str(plan.destination),
        "weight_bytes": sum(a.variable.nbytes for a in plan.weights.assignments),
    }


def text(console: Console, data: Data) -> None:
    """The same facts as tables. Variables of one row of the weight table share its number."""
    title(console, f"Plan for {data['name']} ({data['format']})")
    architecture.text(console, data)
    surroundings.text(console, data, kept=HEAD in data["signatures"])
    title(
        console,
        f"Weights: {len(data['assignments'])} assigned, {len(data['kept'])} kept, {len(data['dropped'])} dropped",
    )
    numbers: dict[tuple[str, str], int] = {}
    for a in data["assignments"]:
        numbers.setdefault((a["rule"], a["layout"]), len(numbers) + 1)
    rows = [(str(numbers[a["rule"], a["layout"]]), a["variable"], a["target"], _shapes(a)) for a in data["assignments"]]
    table_of(console, ("rule", "variable", "target", "shape"), rows)
    title(console, "Rules: the rows of the weight table that say so")
    table_of(
        console, ("rule", "source name", "layout"), [(str(n), rule, layout) for (rule, layout), n in numbers.items()]
    )
    for kept in data["kept"]:
        console.print(escape(f"kept: {kept['variable']} as the attribute {kept['attribute']}"))
    for dropped in data["dropped"]:
        console.print(escape(f"dropped: {dropped['variable']}: {dropped['because']}"))
    title(console, f"Would be written to {data['destination']}")
    export = [(f"signature {name}", ", ".join(outputs)) for name, outputs in data["signatures"].items()]
    if data["packed"]:
        export += [("padding", padding.sentence(data["packed"]))]
    export += [("assets", ", ".join(f"{key} ({file})" for key, file in data["assets"].items()) or "none")]
    export += [("weights", size(data["weight_bytes"]))]
    facts(console, export)


def _shapes(assignment: Data) -> str:
    before, after = shape_text(assignment["from"]), shape_text(assignment["to"])
    return before if before == after else f"{before} to {after}"
