"""The function that writes a module as a Hugging Face folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surgery.arguments import OneOrMore, PathOrHandle, one_or_more
from surgery.boundary import public
from surgery.limits import Limits
from surgery.progress import Progress, silent

if TYPE_CHECKING:
    from surgery.jobs.checkpoint import Checkpoint


@public
def checkpoint(
    module: PathOrHandle,
    destination: PathOrHandle,
    *,
    verify: bool = False,
    trust: bool = False,
    overwrite: bool = False,
    allow_nonfinite: bool = False,
    assume: Mapping[str, Any] | None = None,
    drop_pooler: bool = False,
    drop_head: bool = False,
    labels: OneOrMore[str] = (),
    merge_dropout: float | None = None,
    pooling: str | None = None,
    tokenizer: bool = True,
    vocab: PathOrHandle | None = None,
    lower_case: bool | None = None,
    limits: Limits = None,
    progress: Progress | None = None,
) -> Checkpoint:
    """Writes a module as a Hugging Face folder, which transformers loads. Only `verify` needs TensorFlow.

    Args:
        module: As for `inspect`, or an export that `convert` or `edit` has written.
        destination: The folder to write.
        verify: Also computes the checkpoint in numpy and the module in TensorFlow, both in double precision, and
            compares all outputs.
        trust: As for `convert`, where `verify` runs the module.
        overwrite: Replaces the destination, after the new checkpoint has passed.
        allow_nonfinite: As for `convert`.
        assume: As for `convert`.
        drop_pooler: Leaves out the pooler, and with it the pooled output. ElectraModel has none.
        drop_head: Leaves out the classification head. Otherwise a head that transformers has a class for, such as
            BertForSequenceClassification, is written, too.
        labels: The names of the head's labels, if the module does not have them.
        merge_dropout: One of the module's dropout rates, for a module with several rates that the config has under one
            key. Inference does not depend on it.
        pooling: `"mean"`, `"cls"`, `"max"` or `"mean_sqrt_len"`: also writes the files by which
            sentence-transformers loads the folder, and pools the last block's output. `"pooler"` makes it return the
            module's pooled output; so does None for a module that normalises it, because transformers' class does not.
        tokenizer: Whether the tokenizer's files are written.
        vocab: As for `convert`.
        lower_case: As for `convert`.
        limits: As for `inspect`.
        progress: As for `convert`.

    Returns:
        The published folder, what was written, and the proof: every tensor and hyperparameter read back from the
        folder, and with `verify` the difference of every output.

    Raises:
        SurgeryError: One of the classes in `surgery.errors`. The destination is then as it was before.
        UnexplainedError: No weight table explains the module, or transformers cannot express it.
        UsageError: transformers can express it only with an option, which the error names.

    Examples:
        >>> done = surgery.checkpoint("g4_bert_mlm.tar.gz", "bert_hf")
        >>> done.planned.form.class_name, done.accounting.tensors
        ('BertForMaskedLM', 60)
    """
    from surgery.checkpoints.plan import CheckpointRequest
    from surgery.jobs.checkpoint import write_checkpoint

    return write_checkpoint(
        str(module),
        Path(destination),
        CheckpointRequest(
            drop_pooler=drop_pooler,
            drop_head=drop_head,
            labels=one_or_more(labels),
            merge_dropout=merge_dropout,
            tokenizer=tokenizer,
            vocab=None if vocab is None else Path(vocab),
            lower_case=lower_case,
            pooling=pooling,
        ),
        verify=verify,
        trust=trust,
        overwrite=overwrite,
        allow_nonfinite=allow_nonfinite,
        assume=assume,
        progress=progress or silent,
    )
