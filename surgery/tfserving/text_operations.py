"""Which operations of a graph are TensorFlow Text's: whoever loads it must have them, a server as well."""

from __future__ import annotations

from typing import Any

PREFIX = "TFText>"
NAMED = frozenset(
    {
        "CaseFoldUTF8",
        "ConstrainedSequence",
        "FastBertNormalize",
        "FastWordpieceTokenizeWithOffsets",
        "FindSourceOffsets",
        "MaxSpanningTree",
        "NormalizeUTF8",
        "NormalizeUTF8WithOffsetsMap",
        "PhraseTokenize",
        "RegexSplitWithOffsets",
        "RougeL",
        "SentenceFragments",
        "SentenceFragmentsV2",
        "SentencepieceDetokenizeOp",
        "SentencepieceIdToStringOp",
        "SentencepieceOp",
        "SentencepieceStringToIdOp",
        "SentencepieceTokenizeOp",
        "SentencepieceTokenizeWithOffsetsOp",
        "SentencepieceVocabSizeOp",
        "SplitMergeTokenizeWithOffsets",
        "TokenizerFromLogits",
        "UnicodeScriptTokenizeWithOffsets",
        "WhitespaceTokenizeWithOffsets",
        "WordpieceTokenizeWithOffsets",
    }
)
"""Those without the prefix, which only later ones have."""
ROUND_ROBIN = "TFText>RoundRobin"
"""The trimmer's, by which `BertPackInputs` cuts texts. TensorFlow Text 2.12 does not link them for servers; TensorFlow
Serving carried that one up to 2.19."""


def text_operations(graph_def: Any) -> tuple[str, ...]:
    """The kinds of TensorFlow Text's operations in a GraphDef and its functions, sorted."""
    nodes = [graph_def.node, *(function.node_def for function in graph_def.library.function)]
    kinds = {node.op for listed in nodes for node in listed}
    return tuple(sorted(kind for kind in kinds if kind in NAMED or kind.startswith(PREFIX)))
