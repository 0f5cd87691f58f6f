"""One signature of a SavedModel, loaded to be run on lists of examples: padded together, computed, and cut apart again.

It runs in a v1 Session, as a server runs it: only the outputs that are asked for are computed, and the session has its
own number of threads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # registers the operations of exports that take text  # noqa: F401

from surgery.errors import UsageError
from surgery.module import SERVE
from surgery.tf.session import SavedModelSession

MASK = "input_mask"
"""[batch, seq], 1 for a token: as an input it allows padding; as an output it tells how long each text is."""
TOLERANCE = 2e-5
"""Of what padding may change: rounding."""


class LoadedSignature:
    """A signature and the outputs wanted of it (None: all). Raises ModuleError, or UsageError for what it lacks."""

    def __init__(
        self, saved_model: str, signature: str, outputs: Sequence[str] | None = None, *, threads: int | None = None
    ) -> None:
        folder = saved_model if "://" in saved_model else Path(saved_model)
        self._session = SavedModelSession(folder, SERVE, threads=threads)
        known = self._session.signatures
        if signature not in known:
            self._session.close()
            raise UsageError(
                f"opening {saved_model}: it has no signature {signature}",
                hint="it has " + ", ".join(sorted(name for name in known if not name.startswith("__"))),
            )
        found = known[signature]
        self._inputs = {name: _Input(info) for name, info in found.inputs.items()}
        self._shapes = {name: _shape(info) for name, info in found.outputs.items()}
        self._wanted = tuple(found.outputs) if outputs is None else tuple(outputs)
        if missing := [name for name in self._wanted if name not in self._shapes]:
            self._session.close()
            raise UsageError(
                f"opening {saved_model}: its signature {signature} has no output {', '.join(missing)}",
                hint="it has " + ", ".join(sorted(self._shapes)),
            )
        self._tells_lengths = MASK in self._shapes and self._shapes[MASK] == (None,)
        self._padding_is_exact: bool | None = None
        fetched = {*self._wanted, MASK} if self._tells_lengths else set(self._wanted)
        self._run = self._session.signature(signature, sorted(fetched))

    def run(self, examples: Sequence[Any]) -> list[dict[str, np.ndarray]]:
        """The wanted outputs of each example, without a batch axis and without padding.

        An example is a mapping by input, or the value itself where there is one input only: a string, or an array
        without its batch axis. Where the signature takes `input_mask`, examples may differ in length: they are padded,
        or where the model turns out to see padding, run with those of their own length.
        """
        if not examples:
            return []
        rows = [self._by_input(example) for example in examples]
        if all(given.shape == () for given in self._inputs.values()):
            return self._run_strings(rows)
        return self._run_arrays(rows)

    def _by_input(self, example: Any) -> dict[str, Any]:
        given = dict(example) if isinstance(example, Mapping) else {next(iter(self._inputs)): example}
        if set(given) != set(self._inputs):
            raise UsageError(
                f"an example has the inputs {', '.join(sorted(given))}: expected {', '.join(sorted(self._inputs))}",
                hint="give a mapping by input; an array or string alone will do where there is one input",
            )
        return given

    def _run_strings(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, np.ndarray]]:
        """One scalar an example and input: the signature pads by itself, and its mask says how far."""
        outputs = self._run({name: given.stack([row[name] for row in rows]) for name, given in self._inputs.items()})
        lengths: Sequence[int | None] = [None] * len(rows)
        longest = None
        if self._tells_lengths:
            lengths, longest = outputs[MASK].sum(axis=1).tolist(), outputs[MASK].shape[1]
        return self._apart(outputs, lengths, longest)

    def _run_arrays(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, np.ndarray]]:
        arrays = [{name: np.asarray(row[name], given.dtype) for name, given in self._inputs.items()} for row in rows]
        if len({tuple(array.shape for array in row.values()) for row in arrays}) == 1:
            outputs = self._run({name: np.stack([row[name] for row in arrays]) for name in self._inputs})
            return self._apart(outputs, [None] * len(rows), None)
        if MASK not in self._inputs or any(array.ndim != 1 for row in arrays for array in row.values()):
            raise UsageError(
                "the examples of a batch differ in shape, and the signature has no input_mask by which padding is safe",
                hint="give examples of one shape, or max_batch_size=1",
            )
        # Attention of a row that masks everything is even over all keys, so padding would change it: it is run alone.
        together = [index for index, row in enumerate(arrays) if row[MASK].any()]
        if self._padding_is_exact is None and len({len(arrays[index][MASK]) for index in together}) > 1:
            self._padding_is_exact = self._try_padding([arrays[index] for index in together])
        groups: dict[int, list[int]] = {}
        for index, row in enumerate(arrays):
            shared = self._padding_is_exact and row[MASK].any()
            groups.setdefault(-1 if shared else len(row[MASK]), []).append(index)
        found: dict[int, dict[str, np.ndarray]] = {}
        for group in groups.values():
            found.update(zip(group, self._run_padded([arrays[index] for index in group]), strict=True))
        return [found[index] for index in range(len(rows))]

    def _try_padding(self, arrays: Sequence[Mapping[str, np.ndarray]]) -> bool:
        """Whether the shortest row gives the same beside the longest as alone. MobileBERT's embeddings see padding."""
        shortest, longest = (pick(arrays, key=lambda row: len(row[MASK])) for pick in (min, max))
        (alone,) = self._run_padded([shortest])
        padded = self._run_padded([shortest, longest])[0]
        return all(np.allclose(padded[name], value, rtol=TOLERANCE, atol=TOLERANCE) for name, value in alone.items())

    def _run_padded(self, arrays: Sequence[Mapping[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
        """Rows of any length, padded with zeros, which the mask hides, and cut again."""
        lengths = [len(row[MASK]) for row in arrays]
        longest = max(lengths)
        feeds = {name: np.zeros((len(arrays), longest), given.dtype) for name, given in self._inputs.items()}
        for place, row in enumerate(arrays):
            for name, array in row.items():
                feeds[name][place, : len(array)] = array
        return self._apart(self._run(feeds), lengths, longest)

    def _apart(
        self, outputs: Mapping[str, np.ndarray], lengths: Sequence[int | None], longest: int | None
    ) -> list[dict[str, np.ndarray]]:
        """Rows of the outputs; a free axis that is as long as the batch's longest row is cut to the row's length."""
        rows = []
        for index, length in enumerate(lengths):
            row = {}
            for name in self._wanted:
                value = outputs[name][index]
                if length is not None:
                    free = zip(self._shapes[name] or (), value.shape, strict=True)
                    value = value[tuple(slice(length if n is None and size == longest else None) for n, size in free)]
                row[name] = value
            rows.append(row)
        return rows


class _Input:
    """An input of a signature: its dtype, and its shape without the batch axis."""

    def __init__(self, info: Any) -> None:
        self.dtype = tf.dtypes.as_dtype(info.dtype).as_numpy_dtype
        self.shape = _shape(info)

    def stack(self, values: Sequence[Any]) -> np.ndarray:
        # UTF-8 whatever the locale says: it is what tokenizers read.
        return np.array([v.encode("utf-8", "surrogateescape") if isinstance(v, str) else v for v in values], self.dtype)


def _shape(info: Any) -> tuple[int | None, ...] | None:
    """Sizes without the batch axis, None where free; None for a tensor of unknown rank."""
    if info.tensor_shape.unknown_rank:
        return None
    return tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim[1:])
