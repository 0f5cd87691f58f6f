"""The tokenizer that makes a module's word ids: a vocabulary or SentencePiece model, and its casing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surgery.arguments import argument
from surgery.errors import ModuleError, UsageError
from surgery.formats.text_files import read_text
from surgery.module import InspectedModule, is_attribute

SPECIAL = ("[PAD]", "[CLS]", "[SEP]")
"""The tokens of a WordPiece vocabulary that Model Garden's packer puts around and after texts."""
VOCABULARY, PIECES, CASING = "vocab_file", "sp_model_file", "do_lower_case"


@dataclass(frozen=True, kw_only=True)
class Tokenization:
    """A tokenizer.

    Attributes:
        file: A WordPiece vocabulary with one token per line, or a SentencePiece model.
        pieces: True for a SentencePiece model.
        lower_case: Whether texts are lower-cased first.
        why: The evidence for `lower_case`.
    """

    file: Path
    pieces: bool
    lower_case: bool
    why: str


def find_tokenization(
    module: InspectedModule,
    constants: Mapping[str, Any],
    *,
    vocab: Path | None = None,
    lower_case: bool | None = None,
) -> Tokenization:
    """Finds the module's own tokenizer, or uses the caller's vocabulary and casing.

    Args:
        module: The module.
        constants: Its constants, such as `do_lower_case`, see read_constants.
        vocab: A vocabulary or `.model` file instead of the module's.
        lower_case: The casing instead of the module's.

    Raises:
        UsageError: No vocabulary or no casing is known; the hint names the option that supplies it.
    """
    doing = f"looking for the tokenizer of {module.name}"
    if vocab is not None:
        file, pieces = vocab, vocab.suffix == ".model"
        if not file.is_file():
            raise UsageError(f"{argument('vocab', vocab)}: there is no such file")
    else:
        named = next((name for name in (VOCABULARY, PIECES) if name in module.assets), None)
        if named is None:
            raise UsageError(
                f"{doing}: expected the asset {VOCABULARY} or {PIECES}, found {', '.join(module.assets) or 'none'}",
                hint=f"supply it: {argument('vocab', 'vocab.txt')}, or {argument('vocab', 'spm.model')} for "
                "SentencePiece",
            )
        file, pieces = Path(module.folder) / module.assets[named], named == PIECES
    if lower_case is not None:
        return Tokenization(file=file, pieces=pieces, lower_case=lower_case, why="option")
    if CASING in constants:
        return Tokenization(file=file, pieces=pieces, lower_case=bool(constants[CASING]), why=f"the module's {CASING}")
    if pieces and module.config is None:  # not a checkpoint, which another exporter wrote
        # official/nlp/tools/export_tfhub_lib.py, get_do_lower_case: always, with a SentencePiece model.
        return Tokenization(
            file=file, pieces=pieces, lower_case=True, why="Model Garden's exporter, for every SentencePiece model"
        )
    raise UsageError(
        f"{doing}: nothing says whether its texts are lower-cased",
        hint=f"supply it: {argument('lower_case', True)} (an uncased model) or {argument('lower_case', False)}",
    )


def read_constants(module: InspectedModule) -> dict[str, Any]:
    """The module's constants by attribute. Reading them from variables imports TensorFlow."""
    kept = [v for v in module.variables if v.outside is None and is_attribute(v) and v.attribute == CASING]
    tensors = module.open_tensors() if kept else None
    found = {str(v.attribute): tensors.read(v) for v in kept} if tensors is not None else {}
    return {**module.constants, **found}


def check_vocabulary(tokenization: Tokenization, vocab_size: int | None) -> None:
    """Looks at a vocabulary before TensorFlow does; `vocab_size` is the encoder's number of rows, if it is known.

    Raises ModuleError when the file cannot be read, lacks a special token, or has more tokens than the encoder has
    rows.
    """
    file = tokenization.file
    if tokenization.pieces:
        if not file.is_file():
            raise ModuleError(f"reading {file}: there is no such file", hint="the module is incomplete: fetch it again")
        return
    try:
        lines = read_text(file).splitlines()
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
    tokens = len(lines)
    if vocab_size is not None and tokens > vocab_size:
        raise ModuleError(
            f"reading {file}: it has {tokens} tokens, the encoder's word embedding {vocab_size} rows",
            hint="it is another model's vocabulary",
        )
