"""Functions that take an export: they compare it with its module, show how to serve it, or run a corpus through it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surgery.arguments import OneOrMore, PathOrHandle, one_or_more
from surgery.batching import BATCH_TOKENS
from surgery.boundary import public
from surgery.limits import Limits
from surgery.progress import Progress, silent

if TYPE_CHECKING:
    from surgery.jobs.extract import Extracted
    from surgery.jobs.loaded_export import LoadedExport
    from surgery.jobs.run import Ran
    from surgery.jobs.serve import Serving
    from surgery.jobs.verify import Verification


@public
def verify(
    module: PathOrHandle,
    exported: PathOrHandle,
    *,
    allow_nonfinite: bool = False,
    trust: bool = False,
    assume: Mapping[str, Any] | None = None,
    node_data: PathOrHandle | None = None,
    overwrite: bool = False,
    timeout: int | None = None,
    limits: Limits = None,
    progress: Progress | None = None,
) -> Verification:
    """Compares an export with a module: outputs, weights, contract, and the statements of the export's manifest.

    An export whose manifest calls it edited is compared with the module after the same edits.

    Args:
        module: As for `inspect`.
        exported: The folder of the export.
        allow_nonfinite: As for `convert`.
        trust: As for `convert`.
        assume: As for `convert`.
        node_data: A folder for the errors of every output as node data for Model Explorer, which lays them over the
            graph of the export. It is written whatever the verdict is. None for none.
        overwrite: Replaces the folder of `node_data`.
        timeout: As for `tap`.
        limits: As for `inspect`.
        progress: As for `convert`.

    Returns:
        The verdict as `.passed`, and as `.report` all comparisons behind it; of an edited export also `.edits`, and
        `.unproven`, the outputs that could not be compared. A difference raises no exception.

    Raises:
        SurgeryError: The module or the export cannot be opened, or no weight table explains the module.
        UsageError: The folder of `node_data` exists already.
        WriteError: It cannot be written.

    Examples:
        ```python
        same = surgery.verify("bert.tar.gz", "out/bert/1").passed
        ```
    """
    from surgery.jobs.verify import verify_export

    return verify_export(
        str(module),
        Path(exported),
        trust=trust,
        allow_nonfinite=allow_nonfinite,
        assume=dict(assume or {}),
        node_data=None if node_data is None else Path(node_data),
        overwrite=overwrite,
        progress=progress or silent,
    )


@public
def serving(
    exported: PathOrHandle,
    *,
    signatures: OneOrMore[str] = (),
    batch: int = 1,
    length: int | None = None,
    labels: Mapping[str, int] | OneOrMore[str] = (),
    output: PathOrHandle | None = None,
    warmup: bool = False,
    mixed_precision: str | None = None,
    trust: bool = False,
    overwrite: bool = False,
    limits: Limits = None,
    progress: Progress | None = None,
) -> Serving:
    """Shows how to put an export behind TensorFlow Serving. Only `warmup` and `mixed_precision` need TensorFlow.

    Args:
        exported: The folder of the export.
        signatures: The signatures to describe; none for all.
        batch: The rows of a request.
        length: The tokens of a row; None for 128, or the longest row if that is shorter.
        labels: Versions of the model to serve side by side, by the label under which clients ask for them:
            `{"stable": 1, "canary": 2}`, or texts such as `"canary=2"`.
        output: The folder for the files; None if they are not written. Commands name files only where they are written.
        warmup: Writes the requests that TensorFlow Serving runs first into the export, after they have been read back
            and replayed.
        mixed_precision: `"bfloat16"` measures what TensorFlow Serving's `--mixed_precision=bfloat16` costs in error and
            gains in time, for each signature, where this machine's processor has the instructions. None measures
            nothing.
        trust: As for `convert`.
        overwrite: Replaces files of `output`, and warm-up requests.
        limits: As for `inspect`.
        progress: As for `convert`.

    Returns:
        Inputs and outputs by signature with the bytes of a reply, commands, and files by name. `.fits` says whether
        every reply fits into gRPC's default limit of 4 MiB. `.mixed_precision` has the measurement, or says why this
        machine cannot tell.

    Raises:
        ModuleError: The server cannot load the export.
        UsageError: The export has no such signature, version or length, or a file exists already.
        WriteError: A file cannot be written. Every file is either whole or as it was before.

    Examples:
        >>> found = surgery.serving("bert/1", batch=32, length=64)
        >>> found.fits, found.served.first.reply.total
        (True, 2113813)
    """
    from surgery.jobs.serve import serve_export

    return serve_export(
        Path(exported),
        one_or_more(signatures),
        batch=batch,
        length=length,
        labels=labels if isinstance(labels, Mapping) else one_or_more(labels),
        output=None if output is None else Path(output),
        warmup=warmup,
        mixed_precision=mixed_precision,
        trust=trust,
        overwrite=overwrite,
        progress=progress or silent,
    )


@public
def run(
    exported: PathOrHandle,
    inputs: PathOrHandle | Mapping[str, Any],
    *,
    signature: str | None = None,
    outputs: OneOrMore[str] | None = None,
    destination: PathOrHandle | None = None,
    trust: bool = False,
    overwrite: bool = False,
    timeout: int | None = None,
    limits: Limits = None,
    progress: Progress | None = None,
) -> Ran:
    """Runs a signature of any SavedModel on one batch, as a server does.

    Args:
        exported: A folder, an archive or a Hub handle of any SavedModel of TensorFlow 1 or 2.
        inputs: An array, or a number, a text or lists of them, for each input by its key; or the path of an `.npz` file
            of such arrays. An array has the dtype that the signature takes, or one that is cast without changing a
            value. A ragged input `r` is lists of unequal length, or `r.values` and `r.row_splits`; a sparse one is
            `s.indices`, `s.values` and `s.dense_shape`. A dict among the strings becomes a serialized
            `tf.train.Example`: values or lists of them by feature.
        signature: As for `graph`.
        outputs: The outputs to compute; None for all.
        destination: The `.npz` file to write the outputs to; None to write none.
        trust: As for `convert`.
        overwrite: Replaces the file, when the signature has run.
        timeout: As for `tap`.
        limits: As for `inspect`.
        progress: As for `convert`.

    Returns:
        The outputs as numpy arrays by key in `.outputs`, and in `.casts` what was cast of the inputs.

    Raises:
        UsageError: An input is missing, unknown, or of another dtype or shape: the message has every fault, and lists
            what the signature takes.
        SurgeryError: Another of the classes in `surgery.errors`. The file is then as it was before.

    Examples:
        ```python
        ran = surgery.run("exported/bert_text/1", {"text": ["a text"]}, outputs="pooled_output")
        print(ran["pooled_output"].shape)
        ```
    """
    from surgery.feeding.given import read_given
    from surgery.jobs.run import run_signature

    return run_signature(
        str(exported),
        read_given(inputs),
        signature=signature,
        outputs=None if outputs is None else one_or_more(outputs),
        destination=None if destination is None else Path(destination),
        trust=trust,
        overwrite=overwrite,
        progress=progress or silent,
    )


@public
def extract(
    exported: PathOrHandle,
    inputs: OneOrMore[PathOrHandle],
    destination: PathOrHandle,
    *,
    signature: str | None = None,
    outputs: OneOrMore[str] | None = None,
    columns: OneOrMore[str] = (),
    id_column: str | None = None,
    with_text: bool = True,
    processes: int | None = None,
    batch_tokens: int = BATCH_TOKENS,
    beam_options: OneOrMore[str] = (),
    trust: bool = False,
    overwrite: bool = False,
    limits: Limits = None,
    progress: Progress | None = None,
) -> Extracted:
    """Runs a signature that takes texts over files, and writes its outputs as sharded Parquet.

    Each text is a row. An output [batch, seq, hidden] becomes a list of as many vectors as the text has tokens: rows
    have no padding.

    Args:
        exported: The folder of a text export.
        inputs: Text files with one text per line (.gz or not), Parquet files, or globs of them.
        destination: The folder to write. It appears when it is complete.
        signature: A signature that takes strings. None for the smallest that has `outputs` and leaves padding out, else
            `text`, else `serving_default`.
        outputs: The outputs to compute and write; None for all.
        columns: The Parquet column of the texts, or `"INPUT=COLUMN"` for each input of the signature.
        id_column: A Parquet column to carry along as `id`.
        with_text: Writes each text, beside its file and line.
        processes: Workers on this machine; None for one per core.
        batch_tokens: The most tokens of a batch.
        beam_options: Options of Apache Beam, such as `("--runner=DaskRunner",
            "--dask_client_address=tcp://HOST:8786")`; without a runner it runs on this machine.
        trust: As for `convert`.
        overwrite: Replaces the destination when the new one is complete.
        limits: As for `inspect`.
        progress: As for `convert`; a unit is a text.

    Returns:
        The folder, its columns and shards, and the numbers of texts, tokens and rejected lines.

    Raises:
        SurgeryError: One of the classes in `surgery.errors`. The destination is then as it was before.

    Examples:
        ```python
        done = surgery.extract("out/bert_text/1", "corpus.txt", "features", outputs="pooled_output")
        print(done.texts, done.tokens / done.seconds)
        ```
    """
    from surgery.beam.corpus import Corpus
    from surgery.jobs.extract import extract_features

    return extract_features(
        str(exported),
        Corpus(inputs=tuple(map(str, one_or_more(inputs))), columns=one_or_more(columns), id_column=id_column),
        str(destination),
        signature=signature,
        outputs=None if outputs is None else one_or_more(outputs),
        with_text=with_text,
        batch_tokens=batch_tokens,
        processes=processes,
        beam_options=one_or_more(beam_options),
        trust=trust,
        overwrite=overwrite,
        progress=progress or silent,
    )


@public
def load(exported: PathOrHandle, *, trust: bool = False, limits: Limits = None) -> LoadedExport:
    """Loads an export into this process, to compute outputs of texts or tokens and to look at them.

    Args:
        exported: The folder of an export. One that takes texts, as `convert` writes it with `text=True`, has everything
            below; any other takes tokens, and has `encode` only.
        trust: As for `convert`.
        limits: As for `inspect`.

    Returns:
        An object with `encode(texts)`, which returns arrays, `tokens(texts)`, `attention(text)` and
        `similarity(texts)`. For a corpus in files, `extract` is made. `encode` of an export that takes tokens knows the
        forms in which people pass them, such as `encode(input_ids=ids, attention_mask=mask)`.

    Raises:
        ModuleError: The export is missing or damaged.
        UsageError: The SavedModel takes neither texts nor the tokens of a BERT.
        UntrustedError: The export could do more than compute, and `trust` is False.

    Examples:
        ```python
        model = surgery.load("out/bert_text/1")
        model.encode(["the first text", "another"])["pooled_output"].shape
        model.attention("the cat sat on the mat").plot(block=-1)
        ```
    """
    from surgery.jobs.load import load_export

    return load_export(str(exported), trust=trust)
