"""The Python interface: one function a command, each returning the frozen result that the command prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surgery.batching import BATCH_TOKENS
from surgery.progress import Progress, silent

if TYPE_CHECKING:
    from surgery.edits import Edit
    from surgery.explanation.inspection import Inspection
    from surgery.graph_taps.listing import GraphListing
    from surgery.jobs.convert import Conversion
    from surgery.jobs.edit import EditedModel
    from surgery.jobs.extract import Extracted
    from surgery.jobs.serve import Serving
    from surgery.jobs.tap import Tapping
    from surgery.jobs.texts import Preprocessor
    from surgery.jobs.verify import Verification
    from surgery.planning.outputs import Request
    from surgery.planning.plan import Plan

Source = str | PathLike[str]


def inspect(module: Source) -> Inspection:
    """Looks into a module folder, archive or Hub handle without TensorFlow.

    Raises ModuleError when it is no SavedModel. A module that no table explains is no error here.
    """
    from surgery.explanation.inspection import explain_module
    from surgery.sources.opening import open_module

    with open_module(str(module), with_weights=False) as found:
        return explain_module(found)


def plan(
    module: Source,
    destination: Source | None = None,
    *,
    assume: Mapping[str, Any] | None = None,
    taps: Sequence[str] = (),
    layers: str | None = None,
    features: Sequence[str] = (),
    depths: Sequence[int] = (),
    signatures: Sequence[str] = (),
) -> Plan:
    """What `convert` would do, without TensorFlow and without touching the destination.

    Raises ModuleError for a damaged module, UnexplainedError when the weight tables leave anything open, UsageError for
    outputs that the encoder cannot have.
    """
    from surgery.export.publish import choose_destination
    from surgery.planning.plan import make_plan
    from surgery.sources.opening import open_module

    with open_module(str(module), with_weights=False) as found:
        wanted = None if destination is None else Path(destination)
        destination = wanted or choose_destination(None, found.name, overwrite=False)
        return make_plan(found, destination, assume, _request(taps, layers, features, depths, signatures))


def convert(
    module: Source,
    destination: Source | None = None,
    *,
    atol: float | None = None,
    rtol: float | None = None,
    overwrite: bool = False,
    keep_failed: bool = False,
    allow_nonfinite: bool = False,
    assume: Mapping[str, Any] | None = None,
    taps: Sequence[str] = (),
    layers: str | None = None,
    features: Sequence[str] = (),
    depths: Sequence[int] = (),
    signatures: Sequence[str] = (),
    text: bool = False,
    seq_length: int | None = None,
    vocab: Source | None = None,
    lower_case: bool | None = None,
    warmup: bool = False,
    progress: Progress | None = None,
) -> Conversion:
    """Converts a module into a verified SavedModel; without a destination into `exported/<name>/<next version>`.

    `taps` ("attention_probs@-1"), `layers` ("-4:"), `features` ("text=mean@-4:/mean"), `depths` and `signatures`
    ("probe=query_0,pooled_output") add outputs, spelled as on the command line; see surgery.planning.outputs.
    `text` writes a second SavedModel that takes strings, cut to `seq_length` tokens; `vocab` and `lower_case` supply
    what the module does not have. `warmup` writes the requests that TensorFlow Serving runs first into both.

    `atol` and `rtol` bound the error of every output: `max |error| <= atol + rtol * RMS(expected)`. Raises
    SurgeryError (see surgery.errors); whatever happens, the destination is either as it was or the verified export.
    """
    from surgery.jobs.convert import convert_module
    from surgery.planning.texts import Texts
    from surgery.proof.parity import Tolerance

    return convert_module(
        str(module),
        None if destination is None else Path(destination),
        tolerance=Tolerance.of(atol, rtol),
        overwrite=overwrite,
        keep_failed=keep_failed,
        allow_nonfinite=allow_nonfinite,
        assume=assume,
        request=_request(taps, layers, features, depths, signatures),
        texts=Texts(seq_length, None if vocab is None else Path(vocab), lower_case) if text else None,
        warmup=warmup,
        progress=progress or silent,
    )


def verify(
    module: Source,
    exported: Source,
    *,
    atol: float | None = None,
    rtol: float | None = None,
    allow_nonfinite: bool = False,
    assume: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Compares an export with a module; `result.report.passed` is the verdict.

    Raises SurgeryError when one of the two cannot be opened or the module is not explained.
    """
    from surgery.jobs.verify import verify_export
    from surgery.proof.parity import Tolerance

    return verify_export(
        str(module),
        Path(exported),
        tolerance=Tolerance.of(atol, rtol),
        allow_nonfinite=allow_nonfinite,
        assume=dict(assume or {}),
        progress=progress or silent,
    )


def edit(module: Source, *edits: Edit, assume: Mapping[str, Any] | None = None) -> EditedModel:
    """A module with edits (see surgery.edits), not written yet.

    `.hits` says how many places each edit hit, `.export(destination)` writes and proves it. Needs no TensorFlow.
    Raises UsageError for an edit that aims at what there is not, or changes nothing.
    """
    from surgery.jobs.edit import edit_module

    return edit_module(str(module), edits, assume)


def graph(module: Source, *, signature: str | None = None, match: str | None = None) -> GraphListing:
    """The tensors of a signature's graph, of any SavedModel, by the names that `tap` takes. Needs no TensorFlow.

    `match` is a part of a name, or a glob for all of it. Raises ModuleError for what is no SavedModel, UsageError for
    a signature that it does not have.
    """
    from surgery.graph_taps.listing import matching, open_graph

    with open_graph(str(module), signature, with_weights=False) as found:
        return matching(found, match)


def tap(
    module: Source,
    destination: Source,
    tensors: Sequence[str],
    *,
    signature: str | None = None,
    overwrite: bool = False,
    keep_failed: bool = False,
    progress: Progress | None = None,
) -> Tapping:
    """Writes a SavedModel of which a signature returns `tensors`, `NAME` or `NAME=OUTPUT`, beside its own outputs.

    Raises SurgeryError; whatever happens, the destination is either as it was or verified against the module.
    """
    from surgery.jobs.tap import tap_module

    return tap_module(
        str(module),
        Path(destination),
        tensors,
        signature=signature,
        overwrite=overwrite,
        keep_failed=keep_failed,
        progress=progress or silent,
    )


def preprocess(
    module: Source,
    destination: Source | None = None,
    *,
    seq_length: int | None = None,
    vocab: Source | None = None,
    lower_case: bool | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Preprocessor:
    """Writes the module's preprocessor, strings to tokens, as a SavedModel with TF Hub's text API.

    Raises UsageError when the module has no vocabulary, or does not say its casing, and no argument does.
    """
    from surgery.jobs.texts import write_preprocessor
    from surgery.planning.texts import Texts

    return write_preprocessor(
        str(module),
        None if destination is None else Path(destination),
        Texts(seq_length, None if vocab is None else Path(vocab), lower_case),
        overwrite=overwrite,
        progress=progress or silent,
    )


def extract(
    exported: Source,
    inputs: Sequence[Source],
    destination: Source,
    *,
    signature: str | None = None,
    outputs: Sequence[str] | None = None,
    columns: Sequence[str] = (),
    id_column: str | None = None,
    with_text: bool = True,
    processes: int | None = None,
    batch_tokens: int = BATCH_TOKENS,
    beam_options: Sequence[str] = (),
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Extracted:
    """Runs a signature of texts over files, and writes its `outputs` as sharded Parquet, a row a text, unpadded.

    `inputs` are text files, one text a line, or Parquet files with `columns`, or globs. `beam_options` choose the
    runner; without one it runs on this machine in `processes`. Raises SurgeryError; the folder appears when complete.
    """
    from surgery.beam.corpus import Corpus
    from surgery.jobs.extract import extract_features

    return extract_features(
        str(exported),
        Corpus(inputs=tuple(map(str, inputs)), columns=tuple(columns), id_column=id_column),
        str(destination),
        signature=signature,
        outputs=outputs,
        with_text=with_text,
        batch_tokens=batch_tokens,
        processes=processes,
        beam_options=beam_options,
        overwrite=overwrite,
        progress=progress or silent,
    )


def serving(
    exported: Source,
    *,
    signatures: Sequence[str] = (),
    batch: int = 1,
    length: int | None = None,
    output: Source | None = None,
    warmup: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Serving:
    """How to serve an export: replies of so many rows and tokens, commands, and files by name. Needs no TensorFlow.

    `output` writes the files there; `warmup` writes the requests that TensorFlow Serving runs first, after they have
    been read back and replayed, which needs TensorFlow. Raises SurgeryError; nothing is left half written.
    """
    from surgery.jobs.serve import serve_export

    return serve_export(
        Path(exported),
        signatures,
        batch=batch,
        length=length,
        output=None if output is None else Path(output),
        warmup=warmup,
        overwrite=overwrite,
        progress=progress or silent,
    )


def _request(
    taps: Sequence[str],
    layers: str | None,
    features: Sequence[str],
    depths: Sequence[int],
    signatures: Sequence[str],
) -> Request:
    from surgery.planning.outputs import Request

    return Request(tuple(taps), layers, tuple(features), tuple(depths), tuple(signatures))
