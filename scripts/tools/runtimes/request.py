"""The request to every runtime: all signatures of an export, on batches with ragged masks and random words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from scripts.tools.runtimes.programs.exchange import Arrays, Request, Signature
from surgery.errors import ModuleError
from surgery.explanation.sizes import most_tokens
from surgery.export.manifest import MANIFEST
from surgery.formats import saved_model as saved_model_pb

SHAPES = ((3, 11), (1, 4))
"""Two shapes [batch, seq], so that a size that a converter has frozen shows."""

TEXTS = (("a first text", "Another, which is longer than the first.", "unaffable"), ("one",))
PAIRS = (("with a second", "and", "more of it"), ("other",))
POSITIONS = "masked_lm_positions"


def make_request(export: Path, workplace: Path) -> Request:
    """The request for an export. For each signature, a copy with it as `serving_default` is written into `workplace`.

    Raises ModuleError for a SavedModel that no conversion of this project wrote.
    """
    meta_graph = saved_model_pb.read(export / "saved_model.pb").meta_graphs[0]
    signatures = []
    for name, definition in sorted(meta_graph.signature_def.items()):
        if not definition.inputs:
            continue  # TensorFlow's own: __saved_model_init_op
        alone = workplace / "alone" / name
        write_alone(export, name, alone)
        inputs, outputs = ({key: info.name for key, info in side.items()} for side in _sides(definition))
        signatures.append(Signature(name=name, inputs=inputs, outputs=outputs, alone=str(alone)))
    keys = {key for signature in signatures for key in signature.inputs}
    batches = _texts() if "text" in keys else _tokens(export)
    unknown = keys - batches[0].keys()
    if unknown:
        raise ModuleError(
            f"asking {export} for its outputs: no values are known for the inputs {', '.join(sorted(unknown))}",
            hint="give a folder that `surgery convert` wrote",
        )
    served = {key for signature in signatures for key in signature.outputs}
    manifest = _manifest(export)
    lists = [key for keys in manifest.get("outputs", {}).values() for key in keys if key in served]
    return Request(
        export=str(export),
        signatures=tuple(signatures),
        batches=batches,
        lists=tuple(dict.fromkeys(lists)),
        zeroed=tuple(name for name, outputs in manifest.get("packed", {}).items() if outputs),
    )


def write_alone(export: Path, signature: str, folder: Path) -> None:
    """Writes a SavedModel like `export` with one signature, as `serving_default`. Its weights and assets are links."""
    saved_model = saved_model_pb.read(export / "saved_model.pb")
    definitions = saved_model.meta_graphs[0].signature_def
    chosen = type(definitions[signature]).FromString(definitions[signature].SerializeToString())
    definitions.clear()
    definitions["serving_default"].CopyFrom(chosen)
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(saved_model.SerializeToString())
    for part in ("variables", "assets"):
        if (export / part).exists():
            (folder / part).symlink_to((export / part).resolve(), target_is_directory=True)


def _sides(definition: Any) -> tuple[Any, Any]:
    return definition.inputs, definition.outputs


def _manifest(export: Path) -> dict[str, Any]:
    """The export's manifest; empty if it cannot be read."""
    try:
        data: dict[str, Any] = json.loads((export / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data


def _texts() -> tuple[Arrays, ...]:
    return tuple({"text": np.array(t), "text_pair": np.array(p)} for t, p in zip(TEXTS, PAIRS, strict=True))


def _tokens(export: Path) -> tuple[Arrays, ...]:
    sizes = _manifest(export).get("architecture")
    if sizes is None:
        raise ModuleError(
            f"asking {export} for its outputs: expected {MANIFEST} in it, which says how many words there are",
            hint="give a folder that `surgery convert` wrote",
        )
    random = np.random.default_rng(7)
    batches = []
    for rows, length in SHAPES:
        length = min(length, most_tokens(sizes))
        lengths = random.integers(min(2, length), length + 1, rows)
        lengths[0] = length
        batches.append(
            {
                "input_word_ids": random.integers(0, sizes["vocab_size"], (rows, length), dtype=np.int32),
                "input_mask": (np.arange(length) < lengths[:, None]).astype(np.int32),
                "input_type_ids": random.integers(0, sizes.get("type_vocab_size", 1), (rows, length), dtype=np.int32),
                POSITIONS: random.integers(0, length, (rows, 2), dtype=np.int32),
            }
        )
    return tuple(batches)
