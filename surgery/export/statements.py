"""The statements of an export's manifest, each compared with what the export is.

The history of an export cannot be compared: the evidence's places, the report of its conversion, and the packages that
wrote it. Everything else can. Statements about the source, such as the names of its variables, are only compared if the
export is held against the very files that the manifest names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from surgery.explanation.heads import Labelling
from surgery.export.manifest import MANIFEST, SCHEMA, edits_data, head_statement, read_manifest, stated_model_type
from surgery.module import InspectedModule
from surgery.plain import plain
from surgery.planning.edit_words import describe, read_edit
from surgery.planning.edits import EditedPlan
from surgery.planning.plan import Plan

HISTORY = frozenset({"packages"})
"""Keys that only say how the export was made."""
LABELLING = frozenset(field.name for field in fields(Labelling))
"""Statements about the labels of a head."""
SINCE_HEADS = LABELLING | {"hidden"}
"""Statements about a head that earlier versions did not make."""
NAMES_OF_HEAD = frozenset({"kernel", "bias", "stored", "others", *LABELLING})
"""Statements about a head that name the module's own variables and outputs, and what its files say of the labels."""
ABSENT = "nothing"


@dataclass(frozen=True, kw_only=True)
class Statements:
    """The content of an export's manifest.

    Attributes:
        values: Its content by key; empty if there is no manifest, or a damaged one.
        missing: True if there is no manifest.
        damage: Why it cannot be read; "" if it can be.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    missing: bool = False
    damage: str = ""

    def names(self, module: InspectedModule) -> bool:
        """Whether the manifest names this module's own files as its source."""
        source = self.values.get("source")
        return isinstance(source, dict) and source.get("sha256") == dict(module.fingerprint)


def read_statements(export: Path) -> Statements:
    """Reads the manifest of an export. A missing or damaged one raises no exception."""
    try:
        values = read_manifest(export)
    except FileNotFoundError:
        return Statements(missing=True)
    except (OSError, ValueError) as error:
        return Statements(damage=str(error))
    if not isinstance(values, dict):
        return Statements(damage=f"expected a JSON object, found {type(values).__name__}")
    return Statements(values=values)


def check_statements(
    statements: Statements,
    plan: Plan,
    exported: InspectedModule,
    hashes: Mapping[str, str],
    edited: EditedPlan | None = None,
) -> tuple[str, ...]:
    """A line for each statement of a manifest that is not true of the export: its key, and both values.

    Args:
        statements: The manifest. Nothing is said of a missing one.
        plan: How the module is explained, with the outputs that the manifest says were asked for.
        exported: The export.
        hashes: SHA-256 of the weights that the export must have, by target.
        edited: The plan of the edits that the manifest names; None if it names none.
    """
    if statements.missing:
        return ()
    if statements.damage:
        return (f"{MANIFEST} cannot be read: {statements.damage}",)
    own = statements.names(plan.module)
    facts = _facts(plan, exported, hashes, edited, own=own)
    stated = _stated(statements.values, plan, own=own)
    for key in ("request", "packed", "head"):  # earlier versions did not write them
        if key not in stated:
            del facts[key]
    for key in ("graph", "packed", "keep_head") if isinstance(stated.get("request"), dict) else ():
        if key not in stated["request"]:
            del facts["request"][key]
    if "source" in facts and "model_type" not in stated.get("source", {}):
        del facts["source"]["model_type"]
    for key in SINCE_HEADS if isinstance(stated.get("head"), dict) and facts.get("head") else ():
        if key not in stated["head"]:
            facts["head"].pop(key, None)
    return tuple(f"{MANIFEST}: {line}" for line in _differences(stated, facts, ""))


def unknown_keys(statements: Statements) -> tuple[str, ...]:
    """The keys of a manifest that this version does not know. Another version or another tool has written them."""
    return tuple(key for key in statements.values if key not in KNOWN)


def _facts(
    plan: Plan, exported: InspectedModule, hashes: Mapping[str, str], edited: EditedPlan | None, *, own: bool
) -> dict[str, Any]:
    """What a true manifest of this export states, in the form of `_stated`."""
    module, architecture = plan.module, plan.inference.architecture
    values = {field: value for field, value in architecture.values.items() if own or field not in _written(plan)}
    assignments = {}
    for a in plan.weights.assignments:
        if a.target in hashes:
            assignments[a.target] = {
                "shape": list(a.shape),
                "trainable": a.variable.trainable,
                "sha256": hashes[a.target],
                **({"variable": a.variable.name, "layout": a.layout.sentence} if own else {}),
            }
    facts: dict[str, Any] = {
        "schema": SCHEMA,
        "architecture": {"family": architecture.family, **values},
        "assignments": assignments,
        "outputs": {
            name: sorted(tensor.key for tensor in signature.outputs) for name, signature in exported.signatures.items()
        },
        "request": plain(plan.outputs.request.short),
        "packed": plain(plan.packed),
        "head": _head_facts(plan, own=own),
        "parity": {"passed": True},
    }
    if own:
        facts["evidence"] = {evidence.field: evidence.value for evidence in plan.inference.evidence}
        facts["source"] = {
            "format": module.format,
            "tensorflow_version": module.tensorflow_version,
            "model_type": stated_model_type(module),
        }
        facts["architecture"]["generation"] = architecture.generation
        facts["dropped"] = sorted(drop.variable.name for drop in plan.weights.dropped)
        facts["kept"] = sorted(str(name) for name in (*(v.attribute for v in plan.weights.kept), *module.constants))
    if edited is not None:
        facts["edits"] = edits_data(edited)
    data: dict[str, Any] = plain(facts)
    return data


def _stated(values: Mapping[str, Any], plan: Plan, *, own: bool) -> dict[str, Any]:
    """The statements of a manifest that can be compared: lists of objects by name, sets of names sorted."""
    stated = {key: value for key, value in values.items() if key in KNOWN - HISTORY}
    skipped = () if own else _written(plan)
    if isinstance(stated.get("architecture"), dict):
        left_out = {*skipped, *(() if own else ("generation",))}
        stated["architecture"] = {key: v for key, v in stated["architecture"].items() if key not in left_out}
    stated["evidence"] = _by(stated.get("evidence"), "field", "value")
    keys = ("shape", "trainable", "sha256", *(("variable", "layout") if own else ()))
    stated["assignments"] = _by(stated.get("assignments"), "target", *keys)
    if isinstance(stated.get("outputs"), dict):
        stated["outputs"] = {name: _sorted(outputs) for name, outputs in stated["outputs"].items()}
    if isinstance(stated.get("parity"), dict):
        stated["parity"] = {"passed": stated["parity"].get("passed")}
    if isinstance(stated.get("edits"), dict):
        stated["edits"] = {**stated["edits"], "applied": _reworded(stated["edits"].get("applied"))}
    source = stated.pop("source", None)
    if not own and isinstance(stated.get("head"), dict):
        stated["head"] = _nameless(stated["head"])
    if not own:
        return {key: value for key, value in stated.items() if key not in ("evidence", "dropped", "kept")}
    if isinstance(source, dict):
        stated["source"] = {key: source.get(key) for key in ("format", "tensorflow_version")}
        if "model_type" in source:  # earlier versions did not write it
            stated["source"]["model_type"] = source["model_type"]
    stated["dropped"] = _sorted([*_by(stated.get("dropped"), "variable", "because")])
    stated["kept"] = _sorted(stated.get("kept"))
    return stated


def _head_facts(plan: Plan, *, own: bool) -> dict[str, Any] | None:
    """What a manifest states of the head that is kept; without the names of variables if they are another module's."""
    found = head_statement(plan)
    return found if found is None or own else _nameless(found)


def _nameless(head: Mapping[str, Any]) -> dict[str, Any]:
    """A head, or its hidden layer, without what names the module's variables and outputs."""
    kept = {key: value for key, value in head.items() if key not in NAMES_OF_HEAD}
    hidden = kept.get("hidden")
    return {**kept, "hidden": _nameless(hidden)} if isinstance(hidden, dict) else kept


def _written(plan: Plan) -> Mapping[str, Any]:
    """Fields in which the module and its export may differ: the manifest states the value of its own source."""
    return plan.inference.family.encoder.writes


def _by(rows: Any, name: str, *keys: str) -> dict[str, Any]:
    """Rows of a manifest by one of their keys: the value of the other key, or of several by key.

    Rows of another form are left out. Their statements are then missing.
    """
    found = {}
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and name in row:
            found[str(row[name])] = row.get(keys[0]) if len(keys) == 1 else {key: row.get(key) for key in keys}
    return found


def _reworded(applied: Any) -> Any:
    """The edits of a manifest in the words of this version."""
    try:
        return [{**row, "edit": describe(read_edit(row["edit"]))} for row in applied]
    except (LookupError, TypeError, ValueError):
        return applied


def _sorted(names: Any) -> Any:
    return sorted(map(str, names)) if isinstance(names, list) else names


def _differences(stated: Any, fact: Any, key: str) -> Iterator[str]:
    if isinstance(stated, dict) and isinstance(fact, dict):
        for name in dict.fromkeys((*fact, *stated)):
            below = f"{key}.{name}" if key else name
            yield from _differences(stated.get(name, ABSENT), fact.get(name, ABSENT), below)
    elif stated != fact or isinstance(stated, bool) != isinstance(fact, bool):
        yield f"{key} says {_shown(stated)}, expected {_shown(fact)}"


def _shown(value: Any) -> str:
    text = "nothing" if value is ABSENT else repr(value)
    return text if len(text) <= 100 else f"{text[:97]}…"


KNOWN = frozenset(
    {
        "schema",
        "source",
        "architecture",
        "evidence",
        "assignments",
        "dropped",
        "kept",
        "outputs",
        "request",
        "packed",
        "head",
        "edits",
        "parity",
        "packages",
    }
)
"""The keys of a manifest that this version writes."""
