"""Text files that come with a module: their lines are those of a lookup table."""

from __future__ import annotations

import os

import pytest

from surgery import limits
from surgery.checkpoints.tokenizer import tokenizer_files
from surgery.errors import LimitError, ModuleError
from surgery.explanation.architecture import Architecture
from surgery.explanation.tokenization import Tokenization
from surgery.explanation.vocabulary import check_vocabulary
from surgery.export.text_facts import TextFacts, read_vocabulary
from surgery.formats.text_files import read_lines

TOKENS = ["\u2028", "a\x85b", "[PAD]", "[UNK]", "[CLS]", "[SEP]", "\x0c", "the"]
"""Three of these tokens have a character at which Python's `str.splitlines` ends a line."""


@pytest.fixture
def vocabulary(tmp_path):
    file = tmp_path / "vocab.txt"
    file.write_text("".join(f"{token}\n" for token in TOKENS), encoding="utf-8")
    return Tokenization(file=file, pieces=False, lower_case=False, why="")


def architecture(**values: int) -> Architecture:
    return Architecture(family="roberta", generation="test", values=values)


def test_a_line_feed_and_nothing_else_ends_a_line(vocabulary):
    assert read_lines(vocabulary.file) == TOKENS
    vocabulary.file.write_text("a\n\nb")
    assert read_lines(vocabulary.file) == ["a", "", "b"]
    vocabulary.file.write_text("")
    assert read_lines(vocabulary.file) == []


def test_every_reader_of_a_vocabulary_counts_its_tokens_alike(vocabulary, tmp_path):
    facts = TextFacts(seq_length=8, pieces=False, vocabulary="vocab.txt")
    assert read_vocabulary(tmp_path, facts) == tuple(TOKENS)
    assert tokenizer_files(vocabulary, 8).padding == 2
    check_vocabulary(vocabulary, architecture(vocab_size=len(TOKENS), pad_token_id=2))
    with pytest.raises(ModuleError, match="it has 8 tokens, the encoder's word embedding 7 rows"):
        check_vocabulary(vocabulary, architecture(vocab_size=7))


def test_a_pipe_among_the_files_of_a_tokenizer_is_refused_and_not_waited_for(tmp_path):
    (tmp_path / "vocab.json").write_text("{}")
    os.mkfifo(tmp_path / "merges.txt")
    pair = {"file": tmp_path / "vocab.json", "merges": tmp_path / "merges.txt"}
    with pytest.raises(ModuleError, match=r"merges.txt: it is a folder, a pipe or a device"):
        tokenizer_files(Tokenization(**pair, pieces=False, lower_case=False, why=""), 8)
    with limits.raised({"text_bytes": 1}), pytest.raises(LimitError, match="text_bytes"):
        tokenizer_files(Tokenization(**pair, pieces=False, lower_case=False, why=""), 8)
