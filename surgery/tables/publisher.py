"""A checkpoint's publisher: what its configs, its code and its names say of the function. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from surgery.tables.evidence import CodeEvidence, ConfigEvidence, Demand, GraphEvidence
from surgery.tables.head import HeadConfig


@dataclass(frozen=True, kw_only=True)
class Spelling:
    """How a publisher puts the names of a checkpoint's weights together.

    Attributes:
        scopes: Scopes under which the checkpoint may keep all names.
        separator: What separates a layer's name from its leaf.
        kernel: Leaf of a dense layer's kernel.
        gamma: Leaf of a norm's scale; of several names the first that the checkpoint has counts.
        beta: Leaf of a norm's offset, likewise.
        transposed: True where kernels are stored as [out, in], False where as [in, out].
    """

    scopes: tuple[str, ...] = ("",)
    separator: str = "/"
    kernel: str = "kernel"
    gamma: tuple[str, ...] = ("gamma",)
    beta: tuple[str, ...] = ("beta",)
    transposed: bool = False


@dataclass(frozen=True, kw_only=True)
class Names:
    """The publisher's own names of the weights of a BERT or ALBERT.

    They are written out for the float64 computation, which shares nothing with the weight rows, so that a slip in
    either shows. A name is that of a layer; "" says that the layer has no weights.

    Attributes:
        words: Table of the word embeddings.
        positions: Table of the position embeddings.
        types: Table of the token-type embeddings; "" for a model without token types.
        embedding_norm: Norm of the embeddings.
        projection: Dense layer from embedding size to hidden size.
        block: Scope of a block, with `{}` for its number unless all blocks share one.
        query: Dense layer of the queries, below the block, as all that follow up to `output_norm`.
        key: Dense layer of the keys.
        value: Dense layer of the values.
        attention_output: Dense layer after the attention.
        attention_norm: Norm after the attention.
        intermediate: First dense layer of the feed-forward.
        output: Second dense layer of the feed-forward.
        output_norm: Norm after the feed-forward; of several names the first that the checkpoint has counts.
        pooler: Dense layer of the pooled output.
        mlm_dense: Dense layer of the masked-LM head.
        mlm_norm: Norm of the masked-LM head.
        mlm_bias: Bias of the masked-LM head's logits; a variable, not a layer.
        classifier: Dense layer of a classification head that gives the labels.
        classifier_hidden: Dense layer before it, on the first token of the sequence output; "" where that one reads the
            pooled output.
        classifier_act: The activation of that one.
        spelling: How names are put together.
    """

    words: str
    positions: str
    types: str
    embedding_norm: str
    projection: str
    block: str
    query: str
    key: str
    value: str
    attention_output: str
    attention_norm: str
    intermediate: str
    output: str
    output_norm: tuple[str, ...]
    pooler: str
    mlm_dense: str = ""
    mlm_norm: str = ""
    mlm_bias: str = ""
    classifier: str = ""
    classifier_hidden: str = ""
    classifier_act: str = ""
    spelling: Spelling = Spelling()


@dataclass(frozen=True, kw_only=True)
class MobileBertNames:
    """The publisher's own names of the weights of a MobileBERT, written out like those of `Names`.

    Attributes:
        words: Table of the word embeddings.
        positions: Table of the position embeddings.
        types: Table of the token-type embeddings.
        embedding_projection: Dense layer from three word embeddings to the hidden size.
        embedding_norm: Norm of the embeddings.
        block: Scope of a block, with `{}` for its number.
        bottleneck_input: Bottleneck at the block's input, below the block, as all that follow up to
            `bottleneck_output`. A bottleneck is a scope with a dense layer and a norm.
        shared_bottleneck: Bottleneck of queries and keys.
        query: Dense layer of the queries.
        key: Dense layer of the keys.
        value: Dense layer of the values.
        attention_output: Scope of the dense layer and the norm after the attention.
        stacked: Scope of each feed-forward but the last, with `{}` for its number.
        intermediate: First dense layer of a feed-forward.
        output: Scope of the second dense layer of a feed-forward and its norm.
        bottleneck_output: Bottleneck at the block's output.
        pooler: Dense layer of the pooled output.
        dense: Name of the dense layer in the scope of a bottleneck, or of an output.
        norm: Name of the norm there.
        classifier: Dense layer of a classification head, on the pooled output.
        spelling: How names are put together.
    """

    words: str
    positions: str
    types: str
    embedding_projection: str
    embedding_norm: str
    block: str
    bottleneck_input: str
    shared_bottleneck: str
    query: str
    key: str
    value: str
    attention_output: str
    stacked: str
    intermediate: str
    output: str
    bottleneck_output: str
    pooler: str
    dense: str
    norm: str
    classifier: str
    spelling: Spelling


@dataclass(frozen=True, kw_only=True)
class LibraryClass:
    """A class of a publisher's library.

    Attributes:
        name: Its name, such as "BertForMaskedLM".
        task: Its task, as the publisher's site names it.
        loader: The class of the library that loads any such checkpoint, such as "AutoModelForMaskedLM".
    """

    name: str
    task: str
    loader: str


@dataclass(frozen=True, kw_only=True)
class Library:
    """The publisher's library, for which checkpoints are written.

    Attributes:
        name: Its name, such as "transformers".
        classes: Its class by the part that the class has on the encoder: a sub-model such as "mlm", "classifier" for
            a classification head, "" for the encoder alone.
        scope: Scope of the encoder's names in a class that has more than the encoder.
        divided: The field that its code divides by the number of heads: the quotient is the size of a head.
        head: How its configs describe a classification head.
    """

    name: str
    classes: Mapping[str, LibraryClass]
    scope: str
    divided: str
    head: HeadConfig


@dataclass(frozen=True, kw_only=True)
class Publisher:
    """One publisher's checkpoints of a family.

    Attributes:
        model_types: Names of the architecture in its checkpoints' configs; None stands for a config that names none.
            Names of weights that are no checkpoint's have none.
        evidence: Rows of the config and of the publisher's code.
        names: The publisher's own names of the weights.
        demands: Keys of the config that must have one of a few values.
        graph: Rows read from the graph of unknown purpose that may lie beside a checkpoint.
        library: The publisher's library, for which checkpoints are written; None where none is.
    """

    model_types: tuple[str | None, ...]
    evidence: tuple[ConfigEvidence | CodeEvidence, ...]
    names: Names | MobileBertNames
    demands: tuple[Demand, ...] = ()
    graph: tuple[GraphEvidence, ...] = ()
    library: Library | None = None
