"""Plans a checkpoint: everything that can be refused is refused here, before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surgery.arguments import argument
from surgery.checkpoints.classifier import head_values, labelling_of
from surgery.checkpoints.config import WrittenConfig, write_config
from surgery.checkpoints.edited import refuse_other_layers
from surgery.checkpoints.embedding import MODE as EMBEDDING_MODE
from surgery.checkpoints.embedding import Embedding, find_embedding
from surgery.checkpoints.kept import kept_weights, pooler_scope
from surgery.checkpoints.naming import Form, choose_form
from surgery.checkpoints.pooling import MODES, sentence_files
from surgery.checkpoints.tokenizer import TokenizerFiles, tokenizer_files
from surgery.errors import UsageError
from surgery.explanation.architecture import Inference
from surgery.explanation.assignment import Dropped
from surgery.explanation.heads import DenseHead, Labelling
from surgery.explanation.tokenization import Tokenization, find_tokenization, read_constants
from surgery.explanation.vocabulary import check_vocabulary
from surgery.module import InspectedModule
from surgery.planning.plan import Plan, keep_head, make_plan
from surgery.results import Brief
from surgery.tables.family import POOLED_L2_NORM_EPS


@dataclass(frozen=True, kw_only=True)
class CheckpointRequest:
    """The caller's wishes.

    Attributes:
        drop_pooler: Whether the pooler is left out, and with it the pooled output.
        drop_head: Whether a classification head is left out.
        labels: The names of the head's labels; none for those of the module.
        merge_dropout: The dropout rate in the place of several, where the config has one key for them.
        tokenizer: Whether the tokenizer's files are written.
        vocab: The vocabulary file; None for the module's own.
        lower_case: Whether texts are lower-cased; None for the module's own casing.
        pooling: The pooling for sentence-transformers; None for a checkpoint without its files.
    """

    drop_pooler: bool = False
    drop_head: bool = False
    labels: tuple[str, ...] = ()
    merge_dropout: float | None = None
    tokenizer: bool = True
    vocab: Path | None = None
    lower_case: bool | None = None
    pooling: str | None = None


@dataclass(frozen=True, kw_only=True, repr=False)
class CheckpointPlan(Brief):
    """A checkpoint that is to be written.

    Attributes:
        plan: The module, its architecture with the evidence, and the way of every variable.
        form: The class of transformers for which it is written, and its tensors.
        config: Its config, and the hyperparameters that the config stands for.
        head: The classification head; None where none is written.
        labelling: What is known of the head's labels; None where none is written.
        left_out: Variables of the module that the checkpoint does not have, with the reasons.
        tokenization: The tokenizer with the evidence for its casing; None if its files are not written.
        tokenizer: The tokenizer's files; None if they are not written.
        pooling: The pooling for sentence-transformers; None for a checkpoint without its files.
        embedding: The modules behind the pooling "pooler"; None for any other.
    """

    plan: Plan
    form: Form
    config: WrittenConfig
    head: DenseHead | None
    labelling: Labelling | None
    left_out: tuple[Dropped, ...]
    tokenization: Tokenization | None
    tokenizer: TokenizerFiles | None
    pooling: str | None
    embedding: Embedding | None

    @property
    def normalized(self) -> bool:
        """Whether the module normalises the pooler's output, which transformers' class does not."""
        scope = pooler_scope(self.plan.inference.family)
        has_pooler = scope is not None and any(target.startswith(scope) for target in self.form.targets)
        return has_pooler and POOLED_L2_NORM_EPS in self.plan.architecture.values

    @property
    def sentence_files(self) -> Mapping[str, Any]:
        """The JSON files by which sentence-transformers loads the checkpoint, by name; none without a pooling."""
        if self.pooling is None:
            return {}
        sizes = self.plan.architecture["hidden_size"], self.plan.architecture.longest
        return sentence_files(self.pooling, *sizes) if self.embedding is None else self.embedding.files(*sizes)

    @property
    def config_values(self) -> Mapping[str, Any]:
        """The content of `config.json`."""
        padding = None if self.tokenizer is None else self.tokenizer.padding
        described: Mapping[str, Any] = {}
        if self.head is not None and self.labelling is not None:
            described = head_values(self.head, self.labelling, self.form.library.head)
        return {**({} if padding is None else {"pad_token_id": padding}), **self.config.values, **described}

    @property
    def random_layers(self) -> tuple[str, ...]:
        """Layers of the class that the checkpoint has no weights for: transformers makes them of random numbers."""
        scope = pooler_scope(self.plan.inference.family)
        if scope is None or self.form.part or any(target.startswith(scope) for target in self.form.targets):
            return ()
        return ("pooler",) if any((rule.target or "").startswith(scope) for rule in self.form.dialect.rules) else ()


def plan_checkpoint(
    module: InspectedModule,
    destination: Path,
    request: CheckpointRequest,
    assume: Mapping[str, Any] | None = None,
) -> CheckpointPlan:
    """Explains a module, and plans its checkpoint.

    Raises:
        ModuleError: Files of the module are missing or damaged.
        UnexplainedError: No weight table explains the module, or transformers cannot express it.
        UsageError: An option is missing that transformers' classes demand, or cannot be carried out.
    """
    if request.pooling is not None and request.pooling not in (*MODES, EMBEDDING_MODE):
        raise UsageError(
            f"{argument('pooling', request.pooling)}: sentence-transformers has no such pooling",
            hint="poolings: " + ", ".join((*MODES, EMBEDDING_MODE)),
        )
    if request.pooling is not None and not request.tokenizer:
        raise UsageError(
            f"{argument('pooling', request.pooling)}: sentence-transformers loads no folder without a tokenizer",
            hint=f"leave out {argument('tokenizer', False)}; a module without a vocabulary needs {argument('vocab')}",
        )
    refuse_other_layers(module)
    plan = make_plan(module, destination, assume)
    if isinstance(plan.head, DenseHead):
        plan = keep_head(plan)
    inference = plan.inference
    kept = kept_weights(plan, drop_pooler=request.drop_pooler, drop_head=request.drop_head)
    form = choose_form(module, inference, kept)
    labelling = labelling_of(module, kept.head, form.library.head, request.labels)
    config = write_config(module.name, inference, form, merge_dropout=request.merge_dropout)
    embedding = find_embedding(inference, form, request.pooling)
    tokenization = _tokenization(plan.module, inference, request)
    files = None
    if tokenization is not None:
        files = tokenizer_files(tokenization, inference.architecture.longest)
    return CheckpointPlan(
        plan=plan,
        form=form,
        config=config,
        head=kept.head,
        labelling=labelling,
        left_out=(*plan.weights.dropped, *kept.dropped),
        tokenization=tokenization,
        tokenizer=files,
        pooling=request.pooling if embedding is None else EMBEDDING_MODE,
        embedding=embedding,
    )


def _tokenization(module: InspectedModule, inference: Inference, request: CheckpointRequest) -> Tokenization | None:
    if not request.tokenizer:
        return None
    constants = read_constants(module)
    try:
        found = find_tokenization(module, constants, vocab=request.vocab, lower_case=request.lower_case)
    except UsageError as error:
        if not module.makes_tokens:  # such an error says so itself
            error.advise(f"or leave out the tokenizer's files: {argument('tokenizer', False)}")
        raise
    check_vocabulary(found, inference.architecture)
    return found
