"""The table of mutations: what is made wrong in an export on disk, in which samples, and what must name it there.

A mutation in a block is made in the second of three or more. ALBERT's blocks share their weights: a wrong one shows in
the first block, but a wrong operation in the second application only.
"""

from __future__ import annotations

import json
from pathlib import Path

from surgery.export.manifest import MANIFEST
from tests.support.mutations import graphs, values
from tests.support.mutations.mutation import (
    ALBERT,
    BERT,
    CHECKPOINT,
    EARLY,
    ELECTRA,
    FAMILIES,
    MOBILEBERT,
    NORMALIZED,
    ROBERTA,
    SHARP,
    TALKING_HEADS,
    TF1_SHARP,
    TRAINING,
    Mutation,
    first,
    silent,
)

ATTENTION = r"(?:layer_1/(?:self_)?attention|^transformer/self_attention)"
GAMMA = r"(?:layer_1/|^transformer/)(?:self_attention_layer_norm|attention/norm)/gamma"
SCALE = r"(?:layer_1/(?:self_)?attention/[Mm]ul|transformer/self_attention/[Mm]ul_1)/y"
LOGITS = (
    r"(?:(?:layer_1/(?:self_)?attention/einsum|transformer/self_attention/einsum_2)/Einsum"
    r"|layer_1/(?:self_)?attention/MatMul|transformer/self_attention/MatMul_2)"
)
PROJECTIONS = (
    r"(?:layer_1/(?:self_)?attention/(?:query|key|value)/add|/self_attention/(?:query|key|value)/add_1"
    r"|layer_1/(?:self_)?attention/Reshape(?:_1|_2)?|transformer/self_attention/Reshape_[456])"
)
EPSILON = (
    r"(?:layer_1/(?:self_attention_layer_norm|attention/norm)/(?:batchnorm/)?add"
    r"|/transformer/self_attention_layer_norm/(?:batchnorm_1/add|add_2))/y"
)
GELU = r"(?:transformer[/_]layer_1/.*Gelu|transformer/activation\w*/Gelu_1)"
ADDER = r"softmax\w*/mul\w*/y"
EMBEDDING_DROPOUT = r"encoder(?:_\d+)?/(?:mobile_bert_embedding(?:_\d+)?/)?(?:embedding_)?dropout(?:_\d+)?/dropout"
OTHER_POSITIONS = (r"no evidence for pad_token_id", r"^pad_token_id: the module has 1, the export unknown")
BLOCK_DROPOUT = r"layer_1/self_attention/dropout(?:_\d+)?/dropout"


def swap_lines(folder: Path) -> None:
    """Two words of the vocabulary change places."""
    path = folder / "assets" / "vocab.txt"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[500], lines[501] = lines[501], lines[500]
    path.write_bytes(b"".join(lines))


def restate(folder: Path) -> None:
    """The manifest gives a block twice the heads."""
    path = folder / MANIFEST
    content = json.loads(path.read_text())
    content["architecture"]["num_attention_heads"] *= 2
    path.write_text(json.dumps(content))


MUTATIONS = (
    Mutation(
        row="swapped query and key",
        where="weights of a block",
        weights=values.exchange("/query/", "/key/", ATTENTION),
        first=first(*FAMILIES, ELECTRA, weights=True),
    ),
    Mutation(
        row="swapped query and key",
        where="operands of the einsum of the logits",
        graph=graphs.with_swapped_operands(LOGITS, training=False),
        inference=True,
        first=first(*FAMILIES),
    ),
    Mutation(
        row="swapped blocks",
        where="weights",
        weights=values.exchange("layer_0/", "layer_1/"),
        first=first(BERT, MOBILEBERT, TALKING_HEADS, block=0),
    ),
    Mutation(
        row="a duplicated block",
        where="weights",
        weights=values.copy("layer_1/", "layer_2/"),
        first=first(BERT, MOBILEBERT, TALKING_HEADS, block=2),
    ),
    Mutation(
        row="one weight off by one unit in the last place",
        where="gamma of a layer norm",
        weights=values.change(GAMMA, values.next_number),
        first=first(*FAMILIES, SHARP, TF1_SHARP, logits=False, weights=True),
    ),
    Mutation(
        row="another GELU",
        where="a block of the inference trace",
        graph=graphs.with_another_gelu(GELU, training=False),
        inference=True,
        first=first(*FAMILIES, logits=False),
        told=(r"hidden_act is .* but gelu.* at .*(layer_1/|Gelu_1/)",),
    ),
    Mutation(
        row="GELU's constant 0.044715 x 1.0001",
        where="a block of the inference trace",
        graph=graphs.scaled(f"{GELU}/(?:Cast|mul_3)/x", 1.0001, training=False),
        inference=True,
        first=first(BERT, ALBERT, TALKING_HEADS, SHARP),
        told=(r"no evidence for hidden_act\n.*(layer_1/|add_1|BiasAdd_1)",),
    ),
    Mutation(
        row="another epsilon",
        where="one layer norm: 1e-12 → 1e-11",
        graph=graphs.scaled(EPSILON, 10, training=False),
        inference=True,
        first=silent(*FAMILIES, TF1_SHARP),
        told=(
            r"layer_norm_eps is 1e-12 .* but 1e-11 at .*(layer_1/|_1/|add_2/)",
            r"layer_norm_eps: .* 1e-11, in .*(layer_1/|_1/|add_2/)",
        ),
    ),
    Mutation(
        row="the wrong head split",
        where="query, key and value of a block: [size, heads]",
        graph=graphs.with_another_head_split(PROJECTIONS, training=False),
        inference=True,
        first=first(*FAMILIES),
    ),
    Mutation(
        row="the wrong head split",
        where="a kernel: [hidden, size, heads]",
        weights=values.change(f"{ATTENTION}/query/kernel", values.split_otherwise),
        first=first(*FAMILIES, weights=True),
    ),
    Mutation(
        row="the attention scale x 1.0001",
        where="a block of the inference trace",
        graph=graphs.scaled(SCALE, 1.0001, training=False),
        inference=True,
        first=first(*FAMILIES, SHARP, TF1_SHARP),
    ),
    Mutation(
        row="a zeroed vocabulary row",
        where="a word of no batch",
        weights=values.change("word_embeddings?/embeddings", values.without_a_word),
        first=silent(*FAMILIES, ELECTRA),
    ),
    Mutation(
        row="a dropped bias",
        where="value of a block",
        weights=values.change(f"{ATTENTION}/value/bias", lambda array: array * 0),
        first=first(*FAMILIES, logits=False, weights=True),
    ),
    Mutation(
        row="a dropped bias",
        where="key of a block, which softmax does not see",
        weights=values.change(f"{ATTENTION}/key/bias", lambda array: array * 0),
        first=silent(*FAMILIES, SHARP),
    ),
    Mutation(
        row="swapped outputs",
        where="signature",
        graph=graphs.swap_outputs("encoder_outputs_0", "encoder_outputs_1"),
        first=dict.fromkeys(FAMILIES, "encoder_outputs_0"),
    ),
    Mutation(
        row="a dropped output",
        where="signature",
        graph=graphs.drop_output("encoder_outputs_1"),
        first=dict.fromkeys((BERT, MOBILEBERT), "encoder_outputs_1"),
        told=(
            r"signature serving_default: outputs that are missing or too many: encoder_outputs_1$",
            r"outputs.serving",
        ),
    ),
    Mutation(
        row="an extra signature",
        where="map of signatures",
        graph=graphs.extra_signature("other"),
        first=silent(BERT, ALBERT),
        told=(r"signature other: nobody asked for it, and nothing proves what it computes$", r"outputs.other"),
    ),
    Mutation(
        row="another mask adder",
        where="the inference trace",
        graph=graphs.scaled(ADDER, 1e-4, training=False),
        inference=True,
        first=silent(*FAMILIES),
        told=(r"^attention_mask_adder: .*, the export -100000, in __call__",),
    ),
    Mutation(
        row="another offset of positions",
        where="the inference trace of a RoBERTa",
        graph=graphs.with_constant("encoder/add/y", 2, training=False),
        inference=True,
        first=first(ROBERTA, block=None),
        told=OTHER_POSITIONS,
    ),
    Mutation(
        row="positions that count padding",
        where="the inference trace of a RoBERTa",
        graph=graphs.with_constant("encoder/NotEqual/y", -1, training=False),
        inference=True,
        first=first(ROBERTA, block=None),
        told=OTHER_POSITIONS,
    ),
    Mutation(
        row="swapped rows of a table",
        where="positions of a RoBERTa: padding's and the first token's",
        weights=values.change("token_position_embedding/embeddings", values.with_first_rows_swapped),
        first=first(ROBERTA, block=None),
    ),
    Mutation(
        row="another dropout rate",
        where="embeddings, training trace only",
        graph=graphs.with_rate(EMBEDDING_DROPOUT, 0.3),
        first=first(*FAMILIES, ELECTRA, EARLY, block=None, training=True),
        told=(r"^embedding_dropout: .* the export 0.3, in __call__ of a \w+ with training=True at",),
    ),
    Mutation(
        row="another dropout rate",
        where="attention of a block, training trace only",
        graph=graphs.with_rate(BLOCK_DROPOUT, 0.3),
        first=first(BERT, TALKING_HEADS, SHARP, training=True),
        told=(
            r"attention_probs_dropout is .* but 0.3 at .*layer_1/",
            r"^attention_probs_dropout: .* the export 0.3, in __call__ of a \w+ with training=True at .*layer_1/",
        ),
    ),
    Mutation(
        row="another scale of what dropout keeps",
        where="embeddings, training trace only",
        graph=graphs.scaled(f"{EMBEDDING_DROPOUT}/Const", 1.04, training=True),
        first={**first(*FAMILIES, block=None, training=True), **silent(CHECKPOINT)},
        told=(r"^embedding_dropout: what a rate of .* by the export, in __call__ of a \w+ with training=True at",),
    ),
    Mutation(
        row="another activation",
        where="a block, training trace only",
        graph=graphs.with_another_gelu(GELU, training=True),
        first=first(*FAMILIES, SHARP, logits=False, training=True),
    ),
    Mutation(
        row="a pooled output that is not normalised",
        where="the inference trace",
        graph=graphs.without_normalisation(training=False),
        inference=True,
        first={NORMALIZED: "pooled_output"},
        told=(r"^the export's own architecture: .* no place in the rebuilt encoder for pooler_output",),
    ),
    Mutation(
        row="a pooled output that is not normalised",
        where="training trace only",
        graph=graphs.without_normalisation(training=True),
        first={NORMALIZED: f"{TRAINING}.pooled_output"},
    ),
    Mutation(
        row="another epsilon",
        where="the normalisation of the pooled output: 1e-12 → 1e-11",
        graph=graphs.scaled("l2_normalize/Maximum/y", 10, training=False),
        inference=True,
        first=silent(NORMALIZED),
        told=(r"^pooled_l2_norm_eps: the module has 1e-12, the export 1e-11, in ",),
    ),
    Mutation(
        row="two lines of the vocabulary swapped",
        where="assets",
        files=swap_lines,
        first=silent(BERT, ALBERT),
        told=(r"asset vocab_file: vocab.txt is not the module's vocab.txt",),
    ),
    Mutation(
        row="`do_lower_case` flipped",
        where="the variable",
        weights=values.change("do_lower_case", lambda array: ~array),
        first=silent(BERT, EARLY),
    ),
    Mutation(
        row="a manifest that says something else than the export is",
        where="its architecture",
        files=restate,
        first=silent(BERT),
        told=(r"architecture.num_attention_heads says 8, expected 4",),
    ),
    Mutation(
        row="a layer that a feature names twice, counted once",
        where="the mean of a feature",
        graph=graphs.in_features("AddN", graphs.counted_once),
        features=True,
        first={BERT: "twice.twice"},
    ),
    Mutation(
        row="a feature's layers in another order",
        where="the concatenation of a feature",
        graph=graphs.in_features("ConcatV2", graphs.first_two_swapped),
        features=True,
        first={BERT: "ordered.ordered"},
    ),
    Mutation(
        row="hidden states counted without the embedding",
        where="signature",
        graph=graphs.swap_outputs("hidden_states_0", "hidden_states_1", "hidden_states"),
        features=True,
        first={BERT: "hidden_states.hidden_states_0"},
    ),
)
