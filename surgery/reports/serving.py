"""How to serve an export, as JSON-ready data."""

from __future__ import annotations

from typing import Any

from surgery.jobs.serve import Serving
from surgery.module import TensorInfo
from surgery.tfserving.notes import advice
from surgery.tfserving.reply_size import LIMIT
from surgery.tfserving.served import ServedSignature


def serving_data(serving: Serving) -> dict[str, Any]:
    """What goes in and out by signature, with bytes; commands, files, notes and the warm-up."""
    served, kept = serving.served, serving.warmup
    return {
        "exported": str(served.folder),
        "model": served.model,
        "version": served.version,
        "base_path": str(served.base_path),
        "newer_versions": list(served.newer),
        "text_operations": list(served.text_operations),
        "batch": served.batch,
        "length": served.length,
        "longest_row": served.longest,
        "limit": LIMIT,
        "signatures": {
            signature.name: {**_signature(signature), "advice": list(advice(served, signature))}
            for signature in served.signatures
        },
        "notes": list(serving.notes),
        "commands": {
            "move": serving.move,
            "server": serving.server,
            "docker": serving.docker,
            "curl": serving.curl,
        },
        "files": dict(serving.files),
        "missing": serving.missing,
        "written": None if serving.written is None else str(serving.written),
        "warmup": {
            "bytes": served.warmup_bytes,
            "written": None if kept is None else str(kept.file),
            "requests": [{"signature": r.signature, "size": r.label} for r in kept.requests] if kept else None,
        },
    }


def _signature(signature: ServedSignature) -> dict[str, Any]:
    reply = signature.reply
    return {
        "inputs": [_tensor(tensor) for tensor in signature.signature.inputs],
        "outputs": [{**_tensor(t), "bytes": reply.outputs[t.key]} for t in signature.signature.outputs],
        "reply_bytes": reply.total,
        "exact": reply.exact,
        "fits": reply.fits,
        "largest_batch": reply.largest_batch,
        "rest_bytes": {"inputs": reply.columns, "instances": reply.rows},
    }


def _tensor(tensor: TensorInfo) -> dict[str, Any]:
    return {
        "key": tensor.key,
        "dtype": tensor.dtype,
        "shape": None if tensor.shape is None else list(tensor.shape),
    }
