"""What Hugging Face's models share: names, configs and code of transformers, models/*/modeling_*.py.

Its configs distinguish both GELUs and name epsilon; torch's Linear keeps its kernel as [out, in]. Names in a checkpoint
of the bare model have no scope; in a checkpoint with a head they have the model's: `bert.`, `electra.`, `albert.`.

The rows serve both directions: `surgery convert` reads checkpoints by them, `surgery checkpoint` writes them. A name
that several releases have spelled in several ways lists today's spelling first, which is the one that is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from surgery.families.publishers.configs import MASKED_LM_KERNEL, config_evidence
from surgery.tables.evidence import ConfigEvidence, Demand
from surgery.tables.head import DENSE, HEAD, HIDDEN, LABELS
from surgery.tables.publisher import Library, Names, Publisher, Spelling
from surgery.tables.rules import WeightRule, drop, move

GENERATION = "Hugging Face transformers"
_GAMMA, _BETA = "{leaf:(?:weight|gamma)}", "{leaf:(?:bias|beta)}"
_HEADS = (
    ("cls.seq_relationship", "the next-sentence head"),
    ("sop_classifier", "the sentence-order head"),
    ("discriminator_predictions", "the discriminator's head"),
    ("qa_outputs", "a question-answering head"),
)
ACTIVATIONS = {
    "gelu": ("gelu",),
    "gelu_python": ("gelu",),
    "gelu_new": ("gelu_tanh",),
    "gelu_pytorch_tanh": ("gelu_tanh",),
    "relu": ("relu",),
}
"""The activations that a word of a config stands for. Of several words for one, the first is written."""


def scoped(model: str) -> str:
    """The pattern of the scope under which a checkpoint may keep the names of a model, such as "bert"."""
    return rf"{{scope:(?:{model}\.)?}}"


def left_behind(model: str, *more: WeightRule) -> tuple[WeightRule, ...]:
    """Rows of the buffers and heads that a checkpoint may have beside its encoder, and of these."""
    buffers = r"embeddings.{name:(?:position_ids|token_type_ids)}"
    return (
        drop(scoped(model) + buffers, because="a buffer that counts positions"),
        *(drop(head + r".{rest:.+}", because=f"{what} is no part of the encoder") for head, what in _HEADS),
        *more,
    )


def _other_classifiers(layers: tuple[str, ...]) -> Iterator[WeightRule]:
    """Rows of layers that a classification head has besides these: its class then is another one."""
    names = [f"{layer}.{leaf}" for layer in layers for leaf in ("weight", "bias")]
    for scope in ("classifier.", "pre_classifier."):
        own = "|".join(re.escape(name.removeprefix(scope)) for name in names if name.startswith(scope))
        found = drop(f"{scope}{{rest:(?!(?:{own})$).+}}", because="a classification head of another form")
        yield replace(found, part=HEAD)


TABLES = {
    "word_embeddings": ("word_embeddings", "vocab"),
    "position_embeddings": ("position_embedding", "positions"),
    "token_type_embeddings": ("type_embeddings", "types"),
}
"""The embedding tables: scope and axis of the rows in the rebuilt encoder by transformers' name."""


def hugging_face_rows(
    model: str, block: str, target: str, names: Mapping[str, str], tables: Mapping[str, tuple[str, str]] = TABLES
) -> tuple[WeightRule, ...]:
    """Rows for transformers' names.

    Args:
        model: Scope of the encoder's names in a model with a head, such as "bert".
        block: Scope of a block.
        target: Scope of a block in the rebuilt encoder.
        names: Names of a block's sublayers, of the masked-LM head's layers, of the pooler and the projection where the
            model can have one, and of the classification head's layers where they are not `classifier` alone.
        tables: The embedding tables that the model has, as in TABLES.
    """
    scope = scoped(model)
    block = scope + block
    patterns = {name: f"{block}.{names[name]}" for name in ("query", "key", "value")}
    rows = [
        move(f"{scope}embeddings.{table}.weight", f"{target_table}/embeddings", f"{axis} embedding")
        for table, (target_table, axis) in tables.items()
    ]
    rows += norm(scope + "embeddings.LayerNorm", "embeddings/layer_norm", "embedding")
    for name, pattern in patterns.items():
        dense = f"{target}/self_attention/{name}"
        rows.append(move(f"{pattern}.weight", f"{dense}/kernel", "(heads size) hidden -> hidden heads size"))
        rows.append(move(f"{pattern}.bias", f"{dense}/bias", "(heads size) -> heads size"))
    output, dense = f"{block}.{names['attention_output']}", f"{target}/self_attention/attention_output"
    rows.append(move(f"{output}.weight", f"{dense}/kernel", "hidden (heads size) -> heads size hidden"))
    rows.append(move(f"{output}.bias", f"{dense}/bias", "hidden"))
    rows += norm(f"{block}.{names['attention_norm']}", f"{target}/self_attention_layer_norm", "hidden")
    rows += linear(f"{block}.{names['intermediate']}", f"{target}/intermediate", "inner", "hidden")
    rows += linear(f"{block}.{names['output']}", f"{target}/output", "hidden", "inner")
    rows += norm(f"{block}.{names['output_norm']}", f"{target}/output_layer_norm", "hidden")
    if "pooler" in names:
        pooler = linear(scope + names["pooler"], "pooler_transform", "pooled", "hidden")
        rows += [replace(row, optional="pooler") for row in pooler]
    if "projection" in names:
        projection = linear(scope + names["projection"], "embedding_projection", "hidden", "embedding")
        rows += [replace(row, optional="embedding projection") for row in projection]
    classifier = classifier_rows(names.get("classifier", HEAD), names.get("classifier_hidden"))
    return (*rows, *_masked_lm(names), *classifier, *left_behind(model, _tied(names["mlm_decoder"])))


def _masked_lm(names: Mapping[str, str]) -> list[WeightRule]:
    head = "cls/predictions"
    rows = [
        *linear(names["mlm_dense"], f"{head}/transform/dense", "embedding", "hidden"),
        *norm(names["mlm_norm"], f"{head}/transform/LayerNorm", "embedding"),
        move(names["mlm_bias"], f"{head}/output_bias/bias", "vocab"),
    ]
    return [replace(row, part="mlm", optional="masked-LM head") for row in rows]


def classifier_rows(labels: str = HEAD, hidden: str | None = None) -> list[WeightRule]:
    """Rows of a classification head: of its layer of labels, and of the hidden layer before it where there is one.

    Whether that is what the head computes is said by the config's class. Other layers under these names are dropped.
    """
    rows = linear(labels, HEAD, LABELS, "hidden" if hidden is None else DENSE)
    rows += [] if hidden is None else linear(hidden, HIDDEN, DENSE, "hidden")
    layers = (labels,) if hidden is None else (labels, hidden)
    return [*(replace(row, part=HEAD, optional=row.target) for row in rows), *_other_classifiers(layers)]


def _tied(pattern: str) -> WeightRule:
    return drop(pattern, because="the masked-LM head shares it with the word embeddings, or with its bias")


def linear(pattern: str, target: str, out: str, into: str) -> list[WeightRule]:
    """Rows of a Linear, whose kernel is stored as [out, in]."""
    return [
        move(f"{pattern}.weight", f"{target}/kernel", f"{out} {into} -> {into} {out}"),
        move(f"{pattern}.bias", f"{target}/bias", out),
    ]


def norm(pattern: str, target: str, width: str) -> list[WeightRule]:
    """Rows of a norm, whose leaves are gamma and beta in early checkpoints, weight and bias in later ones."""
    return [
        move(f"{pattern}.{_GAMMA}", f"{target}/gamma", width),
        move(f"{pattern}.{_BETA}", f"{target}/beta", width),
    ]


def hugging_face_checkpoints(
    model: str,
    names: Names,
    dropouts: tuple[str, ...],
    library: Library,
    demands: tuple[Demand, ...] = (),
    code: Mapping[str, Any] | None = None,
) -> Publisher:
    """transformers' checkpoints of a model.

    Args:
        model: Name of the architecture in the config, such as "xlm-roberta".
        names: Transformers' names of the weights.
        dropouts: Fields that `hidden_dropout_prob` gives.
        library: The model's classes.
        demands: Demands on the config beyond those on all models.
        code: Fields that the model's code fixes beyond those that all models fix, with their values.
    """
    place = f"transformers, modeling_{model.replace('-', '_')}.py"
    return Publisher(
        model_types=(model,),
        evidence=(
            *config_evidence(ACTIVATIONS, dropouts, {**CODE, **(code or {})}, place),
            ConfigEvidence(field="layer_norm_eps", key="layer_norm_eps"),
            ConfigEvidence(field="mlm_layer_norm_eps", key="layer_norm_eps", anchors=(MASKED_LM_KERNEL,)),
        ),
        demands=(*DEMANDS, *demands),
        names=names,
        library=library,
    )


CODE = {"attention_mask_adder": -3.4028234663852886e38}
"""What the code of all models fixes: they mask with torch.finfo(torch.float32).min."""
DEMANDS = (
    Demand(
        key="position_embedding_type",
        allowed=("absolute", None),
        because="the rebuilt encoder has absolute positions only",
    ),
    Demand(key="is_decoder", allowed=(False,), because="the rebuilt encoder sees the whole sequence"),
    Demand(key="add_cross_attention", allowed=(False,), because="the rebuilt encoder attends to itself only"),
    Demand(key="pruned_heads", allowed=({}, None), because="the rebuilt encoder has all heads in every block"),
    Demand(
        key="tie_word_embeddings",
        allowed=(True,),
        because="the rebuilt masked-LM head multiplies by the word embeddings",
        anchors=(MASKED_LM_KERNEL,),
    ),
)


def spelling(model: str) -> Spelling:
    """How transformers puts names together, for a model with this scope."""
    return Spelling(
        scopes=("", f"{model}."),
        separator=".",
        kernel="weight",
        gamma=("weight", "gamma"),
        beta=("bias", "beta"),
        transposed=True,
    )
