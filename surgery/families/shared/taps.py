"""The taps of a transformer block in the original BERT's terms, for every family that uses Keras's own attention.

tf_keras' MultiHeadAttention scales the queries before it multiplies them with the keys. The tensor that enters its
softmax layer is therefore the scaled logits before the mask is added; the tensor that leaves it is the probabilities.
"""

from __future__ import annotations

from surgery.tables import sublayers
from surgery.tables.family import Tap

QKV = "batch seq heads size"
MAP = "batch heads seq seq"
HIDDEN = "batch seq hidden"
INNER = "batch seq inner"


def attention_taps(layer: str, scope: str, *, width: str = "hidden") -> tuple[Tap, ...]:
    """Taps of a Keras MultiHeadAttention.

    Args:
        layer: Path of the attention layer from its block.
        scope: Scope of the attention's weights.
        width: Axis of the attention's output, which is a bottleneck in some families.
    """
    query_bias, output = f"{scope}/query/bias", f"{scope}/attention_output"
    projected, maps = f"batch seq {width}", "the attention maps: each query's shares sum to 1, padding gets none"
    # fmt: off
    return (
        *(
            Tap(name=name, axes=QKV, meaning=f"the {plural}, split by head",
                layer=f"{layer}._{name}_dense", finder=sublayers.after_bias, anchors=(f"{scope}/{name}/bias",))
            for name, plural in (("query", "queries"), ("key", "keys"), ("value", "values"))
        ),
        Tap(name="attention_logits", axes=MAP, meaning="scaled products of queries and keys, before mask and softmax",
            layer=f"{layer}._softmax", side="input", finder=sublayers.logits, anchors=(query_bias,)),
        Tap(name="attention_probs", axes=MAP, meaning=maps,
            layer=f"{layer}._softmax", finder=sublayers.probabilities, anchors=(query_bias,)),
        Tap(name="attention_context", axes=QKV, meaning="values weighed by the attention, by head", side="input",
            layer=f"{layer}._output_dense", finder=sublayers.before_kernel, anchors=(f"{output}/kernel",)),
        Tap(name="attention_output", axes=projected, meaning="the context projected back, before the residual",
            layer=f"{layer}._output_dense", finder=sublayers.after_bias, anchors=(f"{output}/bias",)),
    )
    # fmt: on


def feed_forward_taps(scope: str) -> tuple[Tap, ...]:
    """Taps of the second half of Model Garden's TransformerEncoderBlock, whose weights are below `scope`."""
    norm_beta, output_norm_gamma = f"{scope}/self_attention_layer_norm/beta", f"{scope}/output_layer_norm/gamma"
    kernel, bias = f"{scope}/output/kernel", f"{scope}/output/bias"
    post_norm, pre_norm = (("norm_first", False),), (("norm_first", True),)
    middle = "the middle of the block: the normed sum of input and attention"
    unnormed_middle = "the middle of the block: the sum of input and attention, not normed yet"
    # fmt: off
    return (
        Tap(name="attention_norm", axes=HIDDEN, meaning=middle, when=post_norm,
            layer="_attention_layer_norm", finder=sublayers.after_norm, anchors=(norm_beta,)),
        Tap(name="attention_norm", axes=HIDDEN, meaning=unnormed_middle, when=pre_norm,
            layer="_output_layer_norm", side="input", finder=sublayers.before_norm, anchors=(output_norm_gamma,)),
        Tap(name="intermediate_preactivation", axes=INNER, meaning="inside the feed-forward, before the activation",
            layer="_intermediate_dense", finder=sublayers.after_bias, anchors=(f"{scope}/intermediate/bias",)),
        Tap(name="intermediate", axes=INNER, meaning="inside the feed-forward, after the activation",
            layer="_intermediate_activation_layer", finder=sublayers.before_kernel, anchors=(kernel,)),
        Tap(name="ffn_output", axes=HIDDEN, meaning="the feed-forward's output, before the residual",
            layer="_output_dense", finder=sublayers.after_bias, anchors=(bias,)),
    )
    # fmt: on
