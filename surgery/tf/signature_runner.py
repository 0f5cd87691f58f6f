"""One signature of a SavedModel, run on lists of examples: they are padded together, run, and cut apart again.

The signature runs in a v1 Session, as on a server: only the wanted outputs are computed, and the session has its own
number of threads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # registers the operations of exports that take text  # noqa: F401
from google.protobuf import message

from surgery.batching import MASK
from surgery.batching.bounds import check_values
from surgery.batching.probing import prove
from surgery.batching.sharing import (
    Arrays,
    Layout,
    Shape,
    check_rows,
    group,
    is_matrix,
    join,
    length_of,
    rows_of,
    split,
    split_texts,
    without_batch,
)
from surgery.batching.token_arrays import exactly
from surgery.errors import ModuleError, UsageError
from surgery.formats import saved_model as saved_model_pb
from surgery.module import SERVE
from surgery.scanning.gate import Cleared, clear, clear_remote
from surgery.sources.files import SAVED_MODEL, Files
from surgery.sources.single_files import no_export
from surgery.tf.reasons import reason
from surgery.tf.session import SavedModelSession
from surgery.tf.token_types import token_types


class LoadedSignature:
    """A signature that has been loaded, with the outputs wanted of it (None for all).

    Raises ModuleError when the SavedModel cannot be loaded, UsageError for a signature or output that it lacks and for
    an output without a row for each example, and UntrustedError for a SavedModel that is not clean, unless `trust` says
    to run it all the same.
    """

    def __init__(
        self,
        saved_model: str,
        signature: str,
        outputs: Sequence[str] | None = None,
        *,
        threads: int | None = None,
        trust: bool = False,
        session: SavedModelSession | None = None,
    ) -> None:
        """`session` has the SavedModel open already: several signatures share it, and it stays open after an error."""
        self._session = session or SavedModelSession(_cleared(saved_model, trust), SERVE, threads=threads)
        try:
            self._choose(saved_model, signature, outputs)
        except UsageError:
            if session is None:
                self._session.close()
            raise

    def _choose(self, saved_model: str, signature: str, outputs: Sequence[str] | None) -> None:
        known = self._session.signatures
        if signature not in known:
            raise UsageError(
                f"opening {saved_model}: it has no signature {signature}",
                hint="it has " + ", ".join(sorted(name for name in known if not name.startswith("__"))),
            )
        definition = known[signature]
        self._inputs = {name: _Input(info) for name, info in definition.inputs.items()}
        self._shapes = {name: _shape(info) for name, info in definition.outputs.items()}
        self._wanted = tuple(definition.outputs) if outputs is None else tuple(outputs)
        if missing := [name for name in self._wanted if name not in self._shapes]:
            raise UsageError(
                f"opening {saved_model}: its signature {signature} has no output {', '.join(missing)}",
                hint="it has " + ", ".join(sorted(self._shapes)),
            )
        shapes = {name: self._shapes[name] for name in self._wanted}
        if unbatched := without_batch(shapes, (given.shape for given in self._inputs.values())):
            raise UsageError(
                f"opening {saved_model}: outputs of its signature {signature} have no row for each example: "
                + ", ".join(f"{name} {list(shapes[name] or ())}" for name in unbatched),
                hint="choose other outputs: it has " + ", ".join(sorted(self._shapes.keys() - set(unbatched))),
            )
        self._token_types = token_types(saved_model)
        self._layout: Layout | None = None  # learned from the first batch whose examples differ in length
        fetched = {*self._wanted, MASK} if is_matrix(self._shapes.get(MASK)) else set(self._wanted)
        self._computed = self._session.signature(signature, sorted(fetched))

    def run(self, examples: Sequence[Any]) -> list[dict[str, np.ndarray]]:
        """The wanted outputs of each example, by name, without the batch axis and without padding.

        An example is a mapping by input. For a signature with one input it may be the value itself: a string, or an
        array without its batch axis. If the signature takes `input_mask`, examples may differ in length. They are
        padded; if padding turns out to change the outputs, only examples of equal length are run together. Raises
        UsageError for examples that do not fit, such as a mask other than 0 and 1, and ModuleError when the signature
        cannot be run.
        """
        if not examples:
            return []
        rows = [self._by_input(example) for example in examples]
        if all(given.shape is not None and len(given.shape) == 1 for given in self._inputs.values()):
            return self._run_strings(rows)
        return self._run_arrays(rows)

    def check(self, inputs: Arrays) -> None:
        """Raises UsageError for values in a batch that BERT's inputs cannot have, and names the row."""
        check_values(inputs, self._token_types)

    def _run(self, batch: Arrays) -> Arrays:
        """The outputs of a batch. Raises UsageError for one that has not as many rows."""
        outputs = self._computed(batch)
        check_rows(outputs, rows_of(batch))
        return outputs

    def _by_input(self, example: Any) -> dict[str, Any]:
        given = dict(example) if isinstance(example, Mapping) else {next(iter(self._inputs)): example}
        if set(given) != set(self._inputs):
            raise UsageError(
                f"an example has the inputs {', '.join(sorted(given))}: expected {', '.join(sorted(self._inputs))}",
                hint="give a mapping by input; an array or string alone will do where there is one input",
            )
        return given

    def _run_strings(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, np.ndarray]]:
        """Runs examples of one scalar per input. The signature pads by itself; its mask shows each text's length."""
        outputs = self._run({name: given.stack([row[name] for row in rows]) for name, given in self._inputs.items()})
        return [self._pick(row) for row in split_texts(outputs, self._shapes)]

    def _run_arrays(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, np.ndarray]]:
        requests = [{name: given.array(row[name])[None] for name, given in self._inputs.items()} for row in rows]
        for number, request in enumerate(requests):
            check_values(request, self._token_types, first_row=number)
        layout = self._layout_for(requests)
        found: dict[int, dict[str, np.ndarray]] = {}
        for numbers in group(requests, layout, buckets=False):
            some = [requests[number] for number in numbers]
            answers = split(self._run(join(some, layout)), some, layout)
            found.update(zip(numbers, answers, strict=True))
        return [self._pick({name: value[0] for name, value in found[n].items()}) for n in range(len(rows))]

    def _layout_for(self, requests: Sequence[Arrays]) -> Layout:
        """How these requests of one row each share runs. Whether padding is exact is tried out once.

        Raises UsageError if the requests differ in shape and no mask would distinguish padding from tokens.
        """
        if len({tuple(value.shape for value in request.values()) for request in requests}) == 1:
            return Layout()
        if MASK not in self._inputs or any(value.ndim != 2 for request in requests for value in request.values()):
            raise UsageError(
                "the examples of a batch differ in shape, and the signature has no input_mask by which padding is safe",
                hint="give examples of one shape, or max_batch_size=1",
            )
        # A row whose mask is all zeros attends evenly to all keys, so padding changes it: it is no evidence.
        with_tokens = [request for request in requests if request[MASK].any()]
        if self._layout is None and len({length_of(request) for request in with_tokens}) > 1:
            short, long = (pick(with_tokens, key=length_of) for pick in (min, max))
            proven, _ = prove(Layout(padded=frozenset(self._inputs)), short, long, self._run)
            self._layout = proven or Layout()
        return self._layout or Layout()

    def _pick(self, row: Arrays) -> dict[str, np.ndarray]:
        return {name: row[name] for name in self._wanted}


def _cleared(saved_model: str, trust: bool) -> Cleared:
    """Lets a folder through the gate, or an address in a remote file system."""
    if "://" not in saved_model:
        folder = Path(saved_model)
        files = Files(folder=folder, name=folder.name)
        if files.saved_model is None:
            raise no_export(folder)
        return clear(files, trust=trust)
    try:
        with tf.io.gfile.GFile(f"{saved_model.rstrip('/')}/{SAVED_MODEL}", "rb") as file:
            return clear_remote(saved_model, saved_model_pb.SavedModel.FromString(file.read()), trust=trust)
    except (tf.errors.OpError, message.DecodeError) as error:
        raise ModuleError(f"opening {saved_model}: {reason(error)}", hint="check the address") from error


class _Input:
    """An input of a signature: its numpy dtype, and its declared shape with the batch axis."""

    def __init__(self, info: Any) -> None:
        self.dtype = tf.dtypes.as_dtype(info.dtype).as_numpy_dtype
        self.shape = _shape(info)

    def array(self, value: Any) -> np.ndarray:
        """One row of the input. Raises UsageError for a number that an input of integers would change."""
        if np.issubdtype(self.dtype, np.integer):
            return exactly(np.asarray(value), self.dtype)
        return np.asarray(value, self.dtype)

    def stack(self, values: Sequence[Any]) -> np.ndarray:
        """Scalars of one input for several rows. Raises as `array` does."""
        if np.dtype(self.dtype) != object:
            return self.array(values)
        # Tokenizers read UTF-8, whatever the locale is.
        return np.array([v.encode("utf-8", "surrogateescape") if isinstance(v, str) else v for v in values], self.dtype)


def _shape(info: Any) -> Shape | None:
    """Sizes with the batch axis, None for a free axis; None for a tensor of unknown rank."""
    if info.tensor_shape.unknown_rank:
        return None
    return tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim)
