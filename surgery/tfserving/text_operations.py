"""Operations of TensorFlow Text in a graph: every program that loads it must have them, a server too."""

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
"""Operations from before the prefix was introduced."""
ROUND_ROBIN = "TFText>RoundRobin"
"""The trimmer, with which `BertPackInputs` cuts texts. TensorFlow Text 2.12 does not link it into servers, and
TensorFlow Serving carried that release up to 2.19."""


def text_operations(graph_def: Any) -> tuple[str, ...]:
    """The kinds of TensorFlow Text's operations in a GraphDef and its functions, sorted."""
    nodes = [graph_def.node, *(function.node_def for function in graph_def.library.function)]
    kinds = {node.op for listed in nodes for node in listed}
    return tuple(sorted(kind for kind in kinds if kind in NAMED or kind.startswith(PREFIX)))
