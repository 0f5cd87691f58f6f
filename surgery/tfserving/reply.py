"""The reply of a signature to one request: its size over gRPC and over REST, and the batch that gRPC accepts."""

from __future__ import annotations

from dataclasses import dataclass

from surgery.module import SignatureInfo
from surgery.tfserving.example_inputs import sizes
from surgery.tfserving.reply_size import LIMIT, is_exact, json_bytes, largest, reply_bytes, tensor_bytes


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The size of a signature's reply to one request.

    Attributes:
        outputs: Bytes over gRPC, by output; None for strings, whose size is not known.
        total: Bytes of the whole gRPC reply.
        exact: False where integers are counted at their largest size, or strings are left out.
        columns: About as many bytes over REST, for a request with `inputs`.
        rows: About as many bytes over REST, for a request with `instances`.
        largest_batch: The most rows whose reply gRPC's default limit accepts; None where the batch is fixed.
    """

    outputs: dict[str, int | None]
    total: int
    exact: bool
    columns: int
    rows: int
    largest_batch: int | None

    @property
    def fits(self) -> bool:
        """Whether gRPC's default limit accepts the reply."""
        return self.total <= LIMIT


def reply_of(signature: SignatureInfo, model: str, version: int, batch: int, length: int) -> Reply:
    """The reply of a signature to a request of `batch` rows with `length` tokens."""

    def shaped(rows: int) -> dict[str, tuple[str, tuple[int, ...]]]:
        known = ((t, sizes(t.shape, rows, length)) for t in signature.outputs)
        return {tensor.key: (tensor.dtype, size) for tensor, size in known if size is not None}

    def total(rows: int) -> int:
        return reply_bytes(shaped(rows), model, version, signature.name)

    found = shaped(batch)
    free = any(t.shape is not None and t.shape[:1] == (None,) for t in signature.outputs)
    return Reply(
        outputs={t.key: tensor_bytes(*found[t.key]) if t.key in found else None for t in signature.outputs},
        total=total(batch),
        exact=all(t.shape is not None and is_exact(t.dtype) for t in signature.outputs),
        columns=json_bytes(found, rows=False),
        rows=json_bytes(found, rows=True),
        largest_batch=largest(lambda rows: total(rows) <= LIMIT) if free else None,
    )
