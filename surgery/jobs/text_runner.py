"""Rows of texts or tokens through the signatures of an open export: texts in batches of similar length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from surgery.arguments import argument
from surgery.batching.texts import batches
from surgery.errors import UsageError
from surgery.export.text_signatures import Part
from surgery.formats.checkpoint_values import numpy_dtype
from surgery.module import TensorInfo
from surgery.progress import Progress, counting

if TYPE_CHECKING:
    from surgery.tf.session import SavedModelSession
    from surgery.tf.signature_runner import LoadedSignature

Text = str | tuple[str, str]
"""A text, or a pair of texts that share a row."""
Texts = Text | Iterable[Text]
Outputs = dict[str, np.ndarray]

FEW = 100
"""The most texts of a call that are few."""


class Row(NamedTuple):
    """A text or a pair, and its place among those of the caller.

    Attributes:
        number: Its place.
        texts: The text, or both texts.
    """

    number: int
    texts: tuple[str, ...]


class TextRunner:
    """The signatures of an export in one session, which has the weights once. `close` frees them.

    A session for few runs answers the first call of a signature three times as fast, but computes the whole of it, also
    for tokens or the output of block 0. So the first call with many texts opens another in its place.

    `exported` names the export in errors. `open_session(few_runs)` opens it. `limit` is the most tokens of a row.
    Without `few_runs`, it is opened once and for all.
    """

    def __init__(
        self, exported: str, open_session: Callable[[bool], SavedModelSession], limit: int, *, few_runs: bool
    ) -> None:
        self._exported = exported
        self._open_session = open_session
        self._few_runs = few_runs
        self._session: SavedModelSession | None = open_session(few_runs)
        self._limit = limit
        self._loaded: dict[Part, LoadedSignature] = {}

    def close(self) -> None:
        """Frees the weights."""
        self._loaded.clear()
        if self._session is not None:
            self._session.close()
            self._session = None

    def run(self, rows: Sequence[Row], parts: Sequence[Part], batch_tokens: int, progress: Progress) -> list[Outputs]:
        """The outputs of each row by name, without batch axis and padding, in the order of the rows."""
        found = dict(self.each(rows, parts, batch_tokens, progress))
        return [found[row.number] for row in rows]

    def each(
        self, rows: Sequence[Row], parts: Sequence[Part], batch_tokens: int, progress: Progress
    ) -> Iterator[tuple[int, Outputs]]:
        """The numbers of the rows with their outputs, as the batches are done: long rows come first."""
        _check(batch_tokens)
        if self._few_runs and len(rows) > FEW and self._session is not None:
            self.close()
            self._few_runs = False
            self._session = self._open_session(False)
        runners = [(self._runner(part), [tensor.key for tensor in part.signature.inputs]) for part in parts]
        tick = counting(progress, "encode", len(rows))
        for batch in batches(rows, limit=self._limit, tokens=batch_tokens):
            outputs: list[Outputs] = [{} for _ in batch]
            for runner, keys in runners:
                given = [dict(zip(keys, row.texts, strict=True)) for row in batch]
                for values, more in zip(outputs, runner.run(given), strict=True):
                    values.update(more)
            for row, values in zip(batch, outputs, strict=True):
                yield row.number, values
                tick()

    def tokens(
        self, inputs: Mapping[str, np.ndarray], part: Part, batch_tokens: int, progress: Progress
    ) -> list[Outputs]:
        """The outputs of each row of tokens, [batch, seq], with its padding."""
        _check(batch_tokens)
        keys = [tensor.key for tensor in part.signature.inputs]
        rows, length = inputs[keys[0]].shape
        size = max(1, batch_tokens // max(1, length))
        runner, found = self._runner(part), list[Outputs]()
        runner.check(inputs)
        progress("encode", 0, rows)
        for start in range(0, rows, size):
            batch = range(start, min(start + size, rows))
            found += runner.run([{key: inputs[key][row] for key in keys} for row in batch])
            progress("encode", len(found), rows)
        return found

    def _runner(self, part: Part) -> LoadedSignature:
        from surgery.tf.signature_runner import LoadedSignature

        if self._session is None:
            raise UsageError(f"running {self._exported}: it is closed", hint="load it again")
        if part not in self._loaded:
            name, outputs = part.signature.name, part.outputs
            self._loaded[part] = LoadedSignature(self._exported, name, outputs, session=self._session)
        return self._loaded[part]


def rows_of(texts: Texts) -> tuple[list[Row], int]:
    """The texts as rows, and the number of texts in each: 2 for pairs. Raises UsageError for anything else."""
    if not isinstance(texts, Iterable) or isinstance(texts, bytes | Mapping):
        raise UsageError(f"{argument('texts')}: it is {type(texts).__name__}: expected a text, or several")
    listed: list[Any] = [texts] if is_one(texts) else list(texts)
    split = [(item,) if isinstance(item, str) else item for item in listed]
    for number, item in enumerate(split):
        if not isinstance(item, tuple | list) or not all(isinstance(text, str) for text in item):
            raise UsageError(
                f"{argument('texts')}: number {number} is {type(listed[number]).__name__}: expected a text, or a tuple "
                "of two texts"
            )
    counts = {len(item) for item in split} or {1}
    if len(counts) > 1 or not counts <= {1, 2}:
        raise UsageError(
            f"{argument('texts')}: tuples of {' and '.join(map(str, sorted(counts)))} texts: expected texts, or pairs "
            "of two texts, and not both",
            hint="run texts and pairs one after the other",
        )
    return [Row(number, tuple(map(str, item))) for number, item in enumerate(split)], counts.pop()


def _check(batch_tokens: int) -> None:
    if batch_tokens < 1:
        raise UsageError(f"{argument('batch_tokens', batch_tokens)}: expected 1 or more")


def is_one(texts: Any) -> bool:
    """Whether this is one text or pair, and not several: a tuple of two strings is a pair."""
    return isinstance(texts, str) or (
        isinstance(texts, tuple) and len(texts) == 2 and all(isinstance(text, str) for text in texts)
    )


def joined(rows: Sequence[np.ndarray], tensor: TensorInfo) -> np.ndarray:
    """The rows of an output as one array, with zeros behind those that are shorter than others."""
    if not rows:
        dtype = object if tensor.dtype == "string" else numpy_dtype(tensor.dtype)
        return np.zeros((0, *(size or 0 for size in (tensor.shape or ())[1:])), dtype)
    sizes = [max(row.shape[axis] for row in rows) for axis in range(rows[0].ndim)]
    if all(list(row.shape) == sizes for row in rows):
        return np.stack(rows)
    found = np.zeros((len(rows), *sizes), rows[0].dtype)
    for place, row in zip(found, rows, strict=True):
        place[tuple(slice(size) for size in row.shape)] = row
    return found
