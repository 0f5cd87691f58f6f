"""The tokenizer's files of a checkpoint: the vocabulary, and the config that makes transformers' tokenizer of it.

transformers' BertTokenizer and AlbertTokenizer follow google-research's tokenization.py, as tensorflow_text does: both
strip accents where they lower-case, and split punctuation and CJK characters. RoBERTa's and XLM-R's have no casing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from surgery.errors import ModuleError
from surgery.explanation.tokenization import FAIRSEQ, Tokenization
from surgery.formats.text_files import read_bytes, read_lines

CONFIG = "tokenizer_config.json"
WORD_PIECES, SENTENCE_PIECES, FAIRSEQ_PIECES = "vocab.txt", "spiece.model", "sentencepiece.bpe.model"
BYTE_PAIRS, MERGES = "vocab.json", "merges.txt"
"""The names under which transformers looks for the files."""
_WORD_PIECE = {"cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "unk": "[UNK]", "mask": "[MASK]"}
_SENTENCE_PIECE = {
    **{"bos": "[CLS]", "eos": "[SEP]"},
    **{"cls": "[CLS]", "sep": "[SEP]", "pad": "<pad>", "unk": "<unk>", "mask": "[MASK]"},
}


@dataclass(frozen=True, kw_only=True)
class TokenizerFiles:
    """The files of a tokenizer.

    Attributes:
        files: The content of each file that is the module's own, by its name in the checkpoint.
        config: The content of `tokenizer_config.json`.
        padding: The id of the padding token, where the vocabulary shows it.
    """

    files: dict[str, bytes]
    config: dict[str, Any]
    padding: int | None


def tokenizer_files(tokenization: Tokenization, length: int) -> TokenizerFiles:
    """The files for a tokenizer whose texts may have `length` tokens.

    Raises ModuleError for a vocabulary without [UNK] and for what is no regular file, LimitError for a file that is too
    large, and OSError for one that cannot be read. Its other special tokens are those that `check_vocabulary` demands.
    """
    content = read_bytes(tokenization.file)
    uncased = {"model_max_length": length, "clean_up_tokenization_spaces": False}
    if tokenization.merges is not None:
        files = {BYTE_PAIRS: content, MERGES: read_bytes(tokenization.merges)}
        config = {"tokenizer_class": "RobertaTokenizer", **uncased, "add_prefix_space": tokenization.prefix_space}
        return TokenizerFiles(files=files, config=config, padding=None)
    if tokenization.fairseq:
        config = {"tokenizer_class": "XLMRobertaTokenizer", **uncased}
        return TokenizerFiles(files={FAIRSEQ_PIECES: content}, config=config, padding=FAIRSEQ.index("<pad>"))
    common = {"do_lower_case": tokenization.lower_case, **uncased}
    if tokenization.pieces:
        config = {"tokenizer_class": "AlbertTokenizer", **common, "keep_accents": False, **_named(_SENTENCE_PIECE)}
        return TokenizerFiles(files={SENTENCE_PIECES: content}, config=config, padding=None)
    tokens = read_lines(tokenization.file)
    # The padding, which no text has, is what a vocabulary without a mask token gets in its place: transformers would
    # otherwise add a token, for which the word embeddings have no row.
    special = {name: token for name, token in _WORD_PIECE.items() if token in tokens}
    if "unk" not in special:
        raise ModuleError(f"reading the vocabulary {tokenization.file}: expected a token [UNK], found none")
    special.setdefault("mask", special["pad"])
    config = {
        "tokenizer_class": "BertTokenizer",
        **common,
        "strip_accents": None,
        "tokenize_chinese_chars": True,
        **_named(special),
    }
    return TokenizerFiles(files={WORD_PIECES: content}, config=config, padding=tokens.index(special["pad"]))


def _named(tokens: dict[str, str]) -> dict[str, str]:
    return {f"{name}_token": token for name, token in tokens.items()}
