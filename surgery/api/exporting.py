"""Functions that write SavedModels. Each SavedModel is compared with its source before it is published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surgery.arguments import OneOrMore, PathOrHandle, one_or_more
from surgery.boundary import public
from surgery.limits import Limits
from surgery.progress import Progress, silent

if TYPE_CHECKING:
    from surgery.edits import Edit
    from surgery.jobs.convert import Conversion
    from surgery.jobs.edit import EditedModel
    from surgery.jobs.tap import Tapping
    from surgery.jobs.texts import Preprocessor
    from surgery.planning.requests import Feature, Layers, Tap


@public
def convert(
    module: PathOrHandle,
    destination: PathOrHandle | None = None,
    *,
    trust: bool = False,
    overwrite: bool = False,
    keep_failed: bool = False,
    allow_nonfinite: bool = False,
    assume: Mapping[str, Any] | None = None,
    taps: OneOrMore[str | Tap] = (),
    layers: Layers | None = None,
    features: OneOrMore[str | Feature] = (),
    depths: OneOrMore[int] = (),
    signatures: OneOrMore[str] | Mapping[str, OneOrMore[str]] = (),
    graph: str = "fused",
    packed: bool = False,
    keep_head: bool = False,
    text: bool = False,
    seq_length: int | None = None,
    vocab: PathOrHandle | None = None,
    lower_case: bool | None = None,
    warmup: bool = False,
    report: PathOrHandle | None = None,
    limits: Limits = None,
    progress: Progress | None = None,
) -> Conversion:
    """Converts a module into a verified SavedModel that names every block output.

    Its inputs are int32 [batch, seq]; `sequence_output` and the block outputs are float32 [batch, seq, hidden],
    `pooled_output` is float32 [batch, hidden].

    Args:
        module: As for `inspect`.
        destination: The folder to write; None for `exported/<name>/<next version>`.
        trust: Runs a module even if it could do more than compute (see `scan`). Say so only if you trust who made it.
        overwrite: Replaces the destination, after the new export has passed.
        keep_failed: Keeps the staged export when it fails, to look at.
        allow_nonfinite: Accepts weights that are NaN or infinite.
        assume: Values of hyperparameters for which the module has no evidence, by field.
        taps: Sublayers as further outputs: `"attention_probs@-1"` or `surgery.Tap("attention_probs", layers=-1)`.
        layers: The block outputs that `serving_default` keeps: `"-4:"`, or numbers; None for all.
        features: Signatures that mix and pool block outputs: `"vector=mean@-4:/mean"` or
            `surgery.Feature("vector", mix="mean", layers="-4:", pooling="mean")`.
        depths: Numbers of blocks; each is a signature `depth_<number>` that runs so many blocks.
        signatures: Signatures composed of outputs: `"probe=query_0,pooled_output"` or
            `{"probe": ["query_0", "pooled_output"]}`; `"hidden_states"` alone is Hugging Face's list, embedding first.
        graph: The form of the graphs for inference: `"fused"`, which TensorFlow runs faster on a CPU, or
            `"model_garden"`, the operations of Model Garden's own layers.
        packed: Leaves padding out of all signatures. Rows of padding in their outputs are zeros. Signatures whose
            outputs do not show padding, such as pooled ones, leave it out in any case.
        keep_head: Also writes the signature `classifier` with the head of the model around the encoder, if that is a
            dense layer on the pooled output, or behind another one on the first token. Its outputs, float32 [batch,
            labels], have the model's own names.
        text: Also writes a SavedModel that takes strings, beside the destination.
        seq_length: The most tokens of a row of the text export; None for all positions of the encoder.
        vocab: The vocabulary file, if the module has none.
        lower_case: Whether texts are lower-cased, if the module does not show it.
        warmup: Also writes the requests that TensorFlow Serving runs first, into every export.
        report: Also writes a page about the export into this file, .html, after it is published; as `report` does.
        limits: As for `inspect`.
        progress: Called as `progress(step, done, total)`: the step's name, the units of it that are done (batches,
            or warm-up requests), and all its units, 0 if they are not counted.

    Returns:
        The published export with its plan, its parity report and its manifest.

    Raises:
        SurgeryError: One of the classes in `surgery.errors`. The destination is then as it was before.

    Examples:
        ```python
        done = surgery.convert("bert.tar.gz", "out/bert/1", taps="attention_probs", depths=[4, 6])
        print(done.destination, done.report.passed)
        ```
    """
    from surgery.jobs.convert import convert_module
    from surgery.planning.requests import Request

    return convert_module(
        str(module),
        None if destination is None else Path(destination),
        trust=trust,
        overwrite=overwrite,
        keep_failed=keep_failed,
        allow_nonfinite=allow_nonfinite,
        assume=assume,
        request=Request.of(
            taps=taps,
            layers=layers,
            features=features,
            depths=depths,
            signatures=signatures,
            graph=graph,
            packed=packed,
            keep_head=keep_head,
        ),
        texts=_texts(seq_length, vocab, lower_case) if text else None,
        warmup=warmup,
        page=None if report is None else Path(report),
        progress=progress or silent,
    )


@public
def edit(
    module: PathOrHandle, *edits: Edit, assume: Mapping[str, Any] | None = None, limits: Limits = None
) -> EditedModel:
    """Applies edits to a module's plan, and writes nothing yet. Needs no TensorFlow.

    Args:
        module: As for `inspect`.
        edits: Edits of `surgery.edits`, which are applied in this order.
        assume: As for `convert`.
        limits: As for `inspect`.

    Returns:
        The edited model. `.hits` is the number of places that each edit hit. `.export(destination)` writes and proves
        it, and takes the arguments of `convert`.

    Raises:
        ModuleError: The module is missing, damaged, or no module.
        UnexplainedError: The weight tables leave a variable or a hyperparameter unexplained.
        UsageError: An edit selects blocks or heads that the encoder does not have, or changes nothing.

    Examples:
        >>> from surgery.edits import KeepBlocks, PruneHeads
        >>> edited = surgery.edit("g4_bert_mlm.tar.gz", KeepBlocks("0:2"), PruneHeads([0], "-1"))
        >>> edited.hits
        {'keep blocks 0:2': 2, 'prune head 0 of block -1': 1}
    """
    from surgery.jobs.edit import edit_module

    return edit_module(str(module), edits, assume)


@public
def preprocess(
    module: PathOrHandle,
    destination: PathOrHandle | None = None,
    *,
    seq_length: int | None = None,
    vocab: PathOrHandle | None = None,
    lower_case: bool | None = None,
    trust: bool = False,
    overwrite: bool = False,
    limits: Limits = None,
    progress: Progress | None = None,
) -> Preprocessor:
    """Writes the preprocessor that fits a module, strings to tokens, as a SavedModel with TF Hub's text API.

    Args:
        module: As for `inspect`.
        destination: The folder to write; None for `exported/<name>_preprocess/<next version>`.
        seq_length: The tokens that a row is packed to; None for 128, or the encoder's positions if they are fewer.
        vocab: As for `convert`.
        lower_case: As for `convert`.
        trust: As for `convert`.
        overwrite: Replaces the destination, after the new preprocessor has passed.
        limits: As for `inspect`.
        progress: As for `convert`.

    Returns:
        The published preprocessor with its tokenizer.

    Raises:
        UsageError: The module has no vocabulary or does not show its casing, and no argument supplies it.
        SurgeryError: Another of the classes in `surgery.errors`. The destination is then as it was before.

    Examples:
        ```python
        done = surgery.preprocess("bert.tar.gz", "out/bert_preprocess/1", seq_length=64)
        print(done.destination, done.tokenization.lower_case)
        ```
    """
    from surgery.jobs.texts import write_preprocessor

    return write_preprocessor(
        str(module),
        None if destination is None else Path(destination),
        _texts(seq_length, vocab, lower_case),
        trust=trust,
        overwrite=overwrite,
        progress=progress or silent,
    )


@public
def tap(
    module: PathOrHandle,
    destination: PathOrHandle,
    tensors: OneOrMore[str],
    *,
    signature: str | None = None,
    inputs: PathOrHandle | Mapping[str, Any] | Sequence[PathOrHandle | Mapping[str, Any]] = (),
    trust: bool = False,
    overwrite: bool = False,
    keep_failed: bool = False,
    timeout: int | None = None,
    limits: Limits = None,
    progress: Progress | None = None,
) -> Tapping:
    """Writes a SavedModel with a signature that returns further tensors of its own graph.

    Args:
        module: A folder, an archive or a Hub handle of any SavedModel of TensorFlow 1 or 2.
        destination: The folder to write.
        tensors: Names that `graph` lists, each `"NAME"` or `"NAME=OUTPUT"` with the key of its output.
        signature: As for `graph`.
        inputs: Inputs on which both SavedModels are run: as for `run`, or a list of such batches. Without any, they are
            made from the signature, which is impossible for ragged and sparse inputs and serialized examples.
        trust: As for `convert`.
        overwrite: Replaces the destination, after the new SavedModel has passed.
        keep_failed: Keeps the staged SavedModel when it fails, to look at.
        timeout: The most seconds that a signature may run on one batch; None for the limit `batch_seconds`.
        limits: As for `inspect`.
        progress: As for `convert`.

    Returns:
        The published SavedModel: its new outputs, and how the existing ones compare on inputs made from the signature.

    Raises:
        SurgeryError: One of the classes in `surgery.errors`. The destination is then as it was before.

    Examples:
        ```python
        done = surgery.tap("cnn", "served/cnn/2", ["cnn/conv/Relu=features", "cnn/pool/Mean"])
        print([tap.output for tap in done.taps])
        ```
    """
    from surgery.jobs.tap import tap_module

    return tap_module(
        str(module),
        Path(destination),
        one_or_more(tensors),
        signature=signature,
        inputs=_batches(inputs),
        trust=trust,
        overwrite=overwrite,
        keep_failed=keep_failed,
        progress=progress or silent,
    )


def _batches(inputs: Any) -> list[Any]:
    from surgery.feeding.given import read_given

    several = isinstance(inputs, Sequence) and not isinstance(inputs, str)
    return [read_given(batch) for batch in (inputs if several else [inputs])]


def _texts(seq_length: int | None, vocab: PathOrHandle | None, lower_case: bool | None) -> Any:
    from surgery.planning.texts import Texts

    return Texts(length=seq_length, vocab=None if vocab is None else Path(vocab), lower_case=lower_case)
