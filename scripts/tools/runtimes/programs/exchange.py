"""Requests and answers between scripts/runtimes and a program in a runtime's environment: two folders of plain files.

The request is `request.json` (the export's folder and its signatures) and `inputs.N.npz` for each batch. The answer is
`answer.json` (for each signature, whether it opened and ran, or why not) and `SIGNATURE.N.npz` with outputs by the
runtime's own names. This file needs only numpy.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Signature:
    """A signature of the export.

    Attributes:
        name: Its name.
        inputs: Names of tensors (`name:0`) by key of the input.
        outputs: Names of tensors (`name:0`) by key of the output.
        alone: The folder of a copy of the export that has only this signature, as `serving_default`.
    """

    name: str
    inputs: dict[str, str]
    outputs: dict[str, str]
    alone: str


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request to run each signature on each batch.

    Attributes:
        export: The folder of the SavedModel.
        signatures: Its signatures.
        batches: The inputs of all signatures for each batch: int32 [batch, seq], or texts as numpy's `str` [batch].
        lists: Keys of the outputs that the export's call returns, in the order of its lists.
        zeroed: Signatures whose rows of padding are zeros, which the call's are not.
    """

    export: str
    signatures: tuple[Signature, ...]
    batches: tuple[Arrays, ...]
    lists: tuple[str, ...] = ()
    zeroed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A signature that a runtime has opened.

    Attributes:
        run: A function from inputs by key to outputs by the runtime's own names.
        precision: The precision with which the runtime says that it computes.
        note: A remark for readers of the results.
        expects: The outputs that it should return; None for all outputs of the signature.
    """

    run: Callable[[Arrays], Arrays]
    precision: str = "float32"
    note: str = ""
    expects: tuple[str, ...] | None = None


class CannotLoad(Exception):
    """A signature cannot be loaded; the message is the runtime's reason, on one line."""


def write_request(folder: Path, request: Request) -> None:
    """Writes a request into a folder, which must not exist yet."""
    folder.mkdir(parents=True)
    signatures = [asdict(signature) for signature in request.signatures]
    about = {"export": request.export, "signatures": signatures, "lists": request.lists, "zeroed": request.zeroed}
    (folder / "request.json").write_text(json.dumps(about), encoding="utf-8")
    for number, batch in enumerate(request.batches):
        _write_arrays(folder / f"inputs.{number}.npz", batch)


def read_request(folder: Path) -> Request:
    """Reads a request from its folder."""
    about = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    batches = tuple(_arrays(folder / f"inputs.{n}.npz") for n in range(len(list(folder.glob("inputs.*.npz")))))
    signatures = tuple(Signature(**signature) for signature in about["signatures"])
    return Request(
        export=about["export"],
        signatures=signatures,
        batches=batches,
        lists=tuple(about["lists"]),
        zeroed=tuple(about["zeroed"]),
    )


def answer_folder() -> Path:
    """The folder for the answer. The program's own files belong there as well: whoever asked removes it."""
    return Path(sys.argv[2])


def answer(open_signature: Callable[[Request, Signature], Opened | None], version: str) -> None:
    """Answers the request in the folder `sys.argv[1]`, and writes the answer into the folder `sys.argv[2]`.

    If a signature fails, the others are still tried. A signature to which this runtime does not apply opens as None,
    and is left out.
    """
    request, folder = read_request(Path(sys.argv[1])), answer_folder()
    outcomes = {}
    for signature in request.signatures:
        try:
            opened = open_signature(request, signature)
            if opened is None:
                continue
            for number, batch in enumerate(request.batches):
                outputs = opened.run({key: batch[key] for key in signature.inputs})
                _write_arrays(folder / f"{signature.name}.{number}.npz", outputs)
        except Exception as error:
            outcomes[signature.name] = {"loads": False, "reason": one_line(error)}
            continue
        expects = signature.outputs if opened.expects is None else opened.expects
        outcomes[signature.name] = {
            "loads": True,
            "precision": opened.precision,
            "note": opened.note,
            "expects": sorted(expects),
        }
    # Written last, so that a process that dies before the end has not answered.
    (folder / "answer.json").write_text(json.dumps({"version": version, "signatures": outcomes}), encoding="utf-8")


def read_outputs(folder: Path, signature: str, batches: int) -> list[Arrays]:
    """Outputs of a signature for each batch, by name."""
    return [_arrays(folder / f"{signature}.{number}.npz") for number in range(batches)]


def one_line(error: BaseException | str, limit: int = 240) -> str:
    """The first line of a message that is not empty, cut at `limit`; for an unknown operation, the operation's name."""
    lines = [" ".join(line.split()) for line in str(error).splitlines()]
    line = next(filter(None, lines), type(error).__name__)
    if unknown := re.search(r"Op type not registered '[^']+'", line):
        return unknown[0]
    return line if len(line) <= limit else line[: limit - 1] + "…"


def in_chunks(keys: Sequence[str], size: int) -> list[Sequence[str]]:
    """Splits keys into groups of at most `size`, in order."""
    return [keys[start : start + size] for start in range(0, len(keys), size)]


def _write_arrays(file: Path, arrays: Arrays) -> None:
    np.savez(file, **arrays)  # type: ignore[arg-type]  # for its stubs, one of them could be the flag allow_pickle


def _arrays(file: Path) -> Arrays:
    with np.load(file) as stored:
        return dict(stored)
