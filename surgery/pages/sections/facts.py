"""What several sections take from the documents: the encoder, its parts, and the comparison with the module."""

from __future__ import annotations

from math import prod
from typing import Any

from surgery.explanation.groups import BLOCKS, EMBEDDINGS, POOLER, SHARED_BLOCK
from surgery.pages.section import Data, Documents, found


def explanation(documents: Documents) -> Data | None:
    """Family, generation and hyperparameters with their evidence; None for a module that no table explains.

    Of an export they are those of its manifest, whose evidence was read in the module that it was made from.
    """
    if (manifest := found(documents, "manifest")) is not None:
        values = manifest["architecture"]
        by_field: dict[str, list[Data]] = {}
        for e in manifest["evidence"]:
            row = {"source": e["source"], "place": e["place"], "places": e["count"]}
            by_field.setdefault(e["field"], []).append(row)
        fields = [
            {"field": field, "value": value, "evidence": by_field.get(field, [])}
            for field, value in values.items()
            if field not in ("family", "generation")
        ]
        return {
            "family": values["family"],
            "generation": values["generation"],
            "architecture": fields,
            "unknown": {},
            "read_in": manifest["source"]["name"],
        }
    explained: Data | None = documents["inspect"].get("explanation")
    return None if explained is None else {**explained, "read_in": None}


def hyperparameters(documents: Documents) -> dict[str, Any]:
    """The hyperparameters by field; empty for a module that no table explains."""
    explained = explanation(documents)
    return {} if explained is None else {field["field"]: field["value"] for field in explained["architecture"]}


def weights(documents: Documents) -> list[Data]:
    """The weights of the encoder: the variable from which each comes, its axes and shapes, and its part of the model.

    The plan has them. The manifest of an export names the variables of the module from which it was made, and has them
    all where no table explains the export, as after some edits. `from` is None where only the manifest tells.
    """
    plan, manifest = found(documents, "plan"), found(documents, "manifest")
    stated = {} if manifest is None else {a["target"]: a for a in manifest["assignments"]}
    if plan is not None:
        of_source = "verify" in documents or "convert" in documents
        rows = [{**a, **({} if of_source else _origin(stated.get(a["target"])))} for a in plan["assignments"]]
    else:
        rows = [{**a, **_origin(a), "to": a["shape"]} for a in stated.values()]
        rows = [{**row, "group": row.get("group") or "weights", "block": row.get("block")} for row in rows]
    if manifest is not None:  # heads that an edit has pruned are missing in the export, not in the layout
        shapes = {v["name"]: v["shape"] for v in documents["inspect"]["variables"]["list"]}
        rows = [{**row, "to": shapes.get(row["target"], row["to"])} for row in rows]
    return rows


def _origin(stated: Data | None) -> Data:
    """What a manifest knows of a weight's origin; nothing for a weight that it does not have."""
    return {} if stated is None else {"variable": stated["variable"], "layout": stated["layout"], "from": None}


def parts(documents: Documents) -> list[Data]:
    """The parts of the encoder in the order of computation, each with its weights and their number of parameters.

    `share` is that number as a part of the largest.
    """
    groups: dict[tuple[str, int | None], list[Data]] = {}
    for weight in weights(documents):
        groups.setdefault((weight["group"], weight["block"]), []).append(weight)
    counts = {key: sum(prod(weight["to"]) for weight in rows) for key, rows in groups.items()}
    most = max(counts.values(), default=0) or 1
    return [
        {
            "group": group,
            "block": block,
            "name": group if block is None else f"block {block}",
            "weights": groups[group, block],
            "parameters": counts[group, block],
            "share": counts[group, block] / most,
        }
        for group, block in sorted(groups, key=_place)
    ]


def _place(key: tuple[str, int | None]) -> tuple[int, int]:
    group, block = key
    order = (EMBEDDINGS, BLOCKS, SHARED_BLOCK, POOLER)
    return (order.index(group) if group in order else len(order), block or 0)


def parity(documents: Documents) -> Data | None:
    """The comparison with the module: made for this page, else that of the conversion, which the manifest has."""
    for name in ("verify", "convert", "manifest"):
        if (document := found(documents, name)) is not None:
            return {**document["parity"], "by": name}
    return None


def unproven(documents: Documents) -> list[str]:
    """The outputs of an edited export that could not be compared, because its manifest lacks a layer of theirs."""
    return list((found(documents, "verify") or {"unproven": []})["unproven"])
