"""The taps of a transformer block in the original BERT's terms, for all families whose attention is Keras's own.

tf_keras' MultiHeadAttention scales the queries before it multiplies them with the keys, so what enters its softmax
layer are the scaled logits, still without the mask; what leaves it are the probabilities.
"""

from __future__ import annotations

from surgery.tables import sublayers
from surgery.tables.family import Tap

QKV = "batch seq heads size"
MAP = "batch heads seq seq"
HIDDEN = "batch seq hidden"


def attention_taps(layer: str, scope: str, *, width: str = "hidden") -> tuple[Tap, ...]:
    """Taps of a MultiHeadAttention at the path `layer` of a block, whose weights are below `scope`."""
    query_bias, output = f"{scope}/query/bias", f"{scope}/attention_output"
    return (
        *(
            Tap(
                name,
                QKV,
                f"the {what}, split by head",
                f"{layer}._{name}_dense",
                "output",
                sublayers.after_bias,
                (f"{scope}/{name}/bias",),
            )
            for name, what in (("query", "queries"), ("key", "keys"), ("value", "values"))
        ),
        Tap(
            "attention_logits",
            MAP,
            "scaled products of queries and keys, before mask and softmax",
            f"{layer}._softmax",
            "input",
            sublayers.logits,
            (query_bias,),
        ),
        Tap(
            "attention_probs",
            MAP,
            "the attention maps: each query's shares sum to 1, padding gets none",
            f"{layer}._softmax",
            "output",
            sublayers.probabilities,
            (query_bias,),
        ),
        Tap(
            "attention_context",
            QKV,
            "values weighed by the attention, by head",
            f"{layer}._output_dense",
            "input",
            sublayers.before_kernel,
            (f"{output}/kernel",),
        ),
        Tap(
            "attention_output",
            f"batch seq {width}",
            "the context projected back, before the residual",
            f"{layer}._output_dense",
            "output",
            sublayers.after_bias,
            (f"{output}/bias",),
        ),
    )


def feed_forward_taps(scope: str) -> tuple[Tap, ...]:
    """Taps of the second half of Model Garden's TransformerEncoderBlock, whose weights are below `scope`."""
    return (
        Tap(
            "attention_norm",
            HIDDEN,
            "the middle of the block: the normed sum of input and attention",
            "_attention_layer_norm",
            "output",
            sublayers.after_norm,
            (f"{scope}/self_attention_layer_norm/beta",),
            when=(("norm_first", False),),
        ),
        Tap(
            "attention_norm",
            HIDDEN,
            "the middle of the block: the sum of input and attention, not normed yet",
            "_output_layer_norm",
            "input",
            sublayers.before_norm,
            (f"{scope}/output_layer_norm/gamma",),
            when=(("norm_first", True),),
        ),
        Tap(
            "intermediate_preactivation",
            "batch seq inner",
            "inside the feed-forward, before the activation",
            "_intermediate_dense",
            "output",
            sublayers.after_bias,
            (f"{scope}/intermediate/bias",),
        ),
        Tap(
            "intermediate",
            "batch seq inner",
            "inside the feed-forward, after the activation",
            "_intermediate_activation_layer",
            "output",
            sublayers.before_kernel,
            (f"{scope}/output/kernel",),
        ),
        Tap(
            "ffn_output",
            HIDDEN,
            "the feed-forward's output, before the residual",
            "_output_dense",
            "output",
            sublayers.after_bias,
            (f"{scope}/output/bias",),
        ),
    )
