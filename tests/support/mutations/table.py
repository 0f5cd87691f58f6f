"""The table of mutations: what is made wrong in an export, in which samples, and where it must be named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.editing import Edit, edited
from tests.support.mutations import graphs, values
from tests.support.tampering import with_values

Make = Callable[[Path, Path], frozenset[str]]
BERT, ELECTRA, ALBERT = "g4_bert_dropouts", "g4_electra", "g4_albert_dropout"
MOBILEBERT, TALKING_HEADS = "g4_mobilebert_layer_norm", "g4_talkheads"
SHARP, TF1_SHARP = "g2_sharp", "tf1_sharp"
ALL = (BERT, ELECTRA, ALBERT, MOBILEBERT, TALKING_HEADS, SHARP, TF1_SHARP)
UNSHARED = (BERT, MOBILEBERT, TALKING_HEADS, SHARP)

ATTENTION = r"(?:layer_1/(?:self_)?attention|^transformer/self_attention)"
SCALE = r"(?:layer_1/(?:self_)?attention/Mul|transformer/self_attention/Mul_1)/y"
LOGITS = r"(?:layer_1/(?:self_)?attention/einsum|transformer/self_attention/einsum_2)/Einsum"
EPSILON = r"(?:layer_1/(?:self_attention_layer_norm|attention/norm)/batchnorm|transformer/self_attention_layer_norm/batchnorm_1)/add/y"
ADDER = r"softmax\w*/mul\w*/y"
GELU = r"(?:layer_1/.*Gelu|activation/Gelu_1)"
QKV = r"(?:layer_1/(?:self_)?attention/(?:query|key|value)/add|transformer/self_attention/(?:query|key|value)/add_1)"
RATE, SCALE_OF_KEPT = r"embedding_dropout/dropout/GreaterEqual/y", r"embedding_dropout/dropout/Const"


@dataclass(frozen=True, kw_only=True)
class Mutation:
    row: str
    what: str
    samples: tuple[str, ...]
    make: Make


def weights(row, what, samples, edit):
    return Mutation(row=row, what=what, samples=samples, make=lambda export, folder: with_values(export, folder, edit))


def graph(row, what, samples, edit):
    def make(export, folder):
        edited(export, folder, edit)
        return frozenset()
    return Mutation(row=row, what=what, samples=samples, make=make)

E_DROP = r"encoder/(?:\w+/)?(?:embedding_dropout|dropout_\d+)/dropout"
MUTATIONS = (
    weights("swapped query and key", "weights", UNSHARED + (ALBERT, ELECTRA), values.exchange("/query/", "/key/", ATTENTION)),
    graph("swapped query and key", "within one einsum", UNSHARED + (ALBERT,), graphs.with_swapped_operands(LOGITS, False)),
    weights("swapped blocks", "weights", UNSHARED, values.exchange("layer_0/", "layer_1/")),
    weights("duplicated block", "weights", UNSHARED, values.copy("layer_1/", "layer_2/")),
    weights("ulp", "weights", UNSHARED+(ALBERT,TF1_SHARP), values.change(ATTENTION + "/value/kernel", values.next_number)),
    graph("another GELU", "graph", (BERT, MOBILEBERT, ALBERT, TALKING_HEADS, SHARP), graphs.with_another_gelu(GELU, False)),
    graph("0.044715", "graph", (BERT, ALBERT, TALKING_HEADS, SHARP), graphs.scaled(GELU + "/Cast/x", 1.0001, False)),
    graph("epsilon", "graph", UNSHARED + (ALBERT, TF1_SHARP), graphs.scaled(EPSILON, 10, False)),
    graph("wrong head split", "graph", UNSHARED + (ALBERT,), graphs.with_another_head_split(QKV, False)),
    weights("wrong head split", "weights", UNSHARED + (ALBERT,), values.change(ATTENTION + "/query/kernel", values.split_otherwise)),
    graph("scale", "graph", UNSHARED + (ALBERT, TF1_SHARP), graphs.scaled(SCALE, 1.0001, False)),
    weights("zeroed row", "weights", UNSHARED + (ALBERT,), values.change("word_embeddings?/embeddings", values.without_a_word)),
    weights("dropped bias", "value", UNSHARED + (ALBERT,), values.change(ATTENTION + "/value/bias", lambda x: 0 * x)),
    weights("dropped bias", "key", UNSHARED + (ALBERT,), values.change(ATTENTION + "/key/bias", lambda x: 0 * x)),
    graph("swapped outputs", "signature", (BERT, MOBILEBERT, ALBERT), graphs.swap_outputs("encoder_outputs_0", "encoder_outputs_1")),
    graph("dropped output", "signature", (BERT, ALBERT), graphs.drop_output("encoder_outputs_1")),
    graph("extra signature", "signature", (BERT,), graphs.extra_signature("other")),
    graph("adder", "graph", UNSHARED + (ALBERT,), graphs.scaled(ADDER, 1e-5, False)),
    graph("dropout rate", "embeddings, training", UNSHARED + (ALBERT, ELECTRA), graphs.scaled(E_DROP + "/GreaterEqual/y", 1.5, True)),
    graph("dropout scale", "embeddings, training", UNSHARED + (ALBERT, ELECTRA), graphs.scaled(E_DROP + "/Const", 1.04, True)),
    graph("activation training", "gelu", (BERT, MOBILEBERT, ALBERT, TALKING_HEADS, SHARP), graphs.with_another_gelu(GELU, True)),
)
