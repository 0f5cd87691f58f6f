"""A tokenizer's vocabulary, looked at before TensorFlow does: whether it can be the one of an encoder."""

from __future__ import annotations

from pathlib import Path

from surgery.arguments import argument
from surgery.errors import ModuleError
from surgery.explanation.architecture import Architecture
from surgery.explanation.tokenization import FAIRSEQ, SPECIAL, Tokenization
from surgery.formats.text_files import read_lines

SPECIAL_PIECES = ("[CLS]", "[SEP]", "<pad>")
"""What Model Garden's packer looks for in a SentencePiece model."""


def check_vocabulary(tokenization: Tokenization, architecture: Architecture | None) -> None:
    """Looks for reasons why a tokenizer cannot make the tokens of an encoder.

    `architecture` is that of the encoder, if it is known. Raises ModuleError when the file cannot be read, lacks a
    special token, has more tokens than the encoder has rows, or another id of padding than the one from which the
    encoder counts positions.
    """
    file, values = tokenization.file, {} if architecture is None else architecture.values
    vocab_size, padding = values.get("vocab_size"), values.get("pad_token_id")
    if tokenization.pieces or tokenization.merges is not None:
        if not file.is_file():
            raise ModuleError(f"reading {file}: there is no such file", hint="the module is incomplete: fetch it again")
        if tokenization.pieces:
            _check_pieces(tokenization, vocab_size, padding)
        return
    try:
        lines = read_lines(file)
    except (OSError, ValueError) as error:
        raise ModuleError(
            f"reading the vocabulary {file}: {getattr(error, 'strerror', None) or error}",
            hint=f"the file is missing or damaged: fetch the module again, or give {argument('vocab', 'vocab.txt')}",
        ) from error
    if missing := [token for token in SPECIAL if token not in set(lines)]:
        raise ModuleError(
            f"reading the vocabulary {file}: expected the tokens {', '.join(SPECIAL)}, one line each; "
            f"{', '.join(missing)} is not among its {len(lines)} lines",
            hint=f"it is no vocabulary of BERT's; give {argument('vocab', 'vocab.txt')}",
        )
    _check_padding(file, lines.index(SPECIAL[0]), padding)
    _check_size(file, len(lines), vocab_size)


def _check_pieces(tokenization: Tokenization, vocab_size: int | None, padding: int | None) -> None:
    from sentencepiece import SentencePieceProcessor

    file = tokenization.file
    try:
        model = SentencePieceProcessor(model_file=str(file))
    except (OSError, RuntimeError) as error:
        raise ModuleError(
            f"reading the vocabulary {file}: {str(error).strip()}", hint="the file is no such vocabulary"
        ) from error
    missing = [piece for piece in SPECIAL_PIECES if model.piece_to_id(piece) == model.unk_id()]
    if missing and not tokenization.fairseq:
        raise ModuleError(
            f"reading the vocabulary {file}: expected the pieces {', '.join(SPECIAL_PIECES)}; it has no "
            + ", ".join(missing),
            hint="it is no vocabulary of ALBERT's",
        )
    pad = SPECIAL_PIECES[-1]
    _check_padding(file, FAIRSEQ.index(pad) if tokenization.fairseq else model.piece_to_id(pad), padding)
    _check_size(file, model.get_piece_size() + int(tokenization.fairseq), vocab_size)


def _check_size(file: Path, tokens: int, vocab_size: int | None) -> None:
    if vocab_size is not None and tokens > vocab_size:
        raise ModuleError(
            f"reading {file}: it has {tokens} tokens, the encoder's word embedding {vocab_size} rows",
            hint="it is another model's vocabulary",
        )


def _check_padding(file: Path, found: int, expected: int | None) -> None:
    if expected is not None and found != expected:
        raise ModuleError(
            f"reading {file}: padding has the id {found}, and the encoder counts positions from {expected}",
            hint="it is another model's vocabulary",
        )
