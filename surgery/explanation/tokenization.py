"""The tokenizer that makes a module's word ids: a vocabulary or SentencePiece model, and its casing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surgery.arguments import argument
from surgery.errors import ModuleError, UsageError
from surgery.formats.text_files import read_json
from surgery.module import InspectedModule, is_attribute

SPECIAL = ("[PAD]", "[CLS]", "[SEP]")
"""The tokens of a WordPiece vocabulary that Model Garden's packer puts around and after texts."""
VOCABULARY, PIECES, CASING = "vocab_file", "sp_model_file", "do_lower_case"
XLM_R_PIECES = "xlm_roberta_sp_model_file"
"""The attribute of XLM-R's SentencePiece model, whose ids are not the encoder's (see FAIRSEQ)."""
OTHER_PIECES = "fairseq_sp_model_file"
"""The attribute of a SentencePiece model of which no more is known than that its ids are not the encoder's."""
BYTE_PAIRS, MERGES = "bpe_vocab_file", "bpe_merges_file"
"""The attributes of a byte-level BPE's vocabulary (JSON) and merges."""
TOKENIZER_CONFIG = "tokenizer_config_file"
"""The attribute of a byte-level BPE's configuration, which says whether a space is put before a text."""
FAIRSEQ = ("<s>", "<pad>", "</s>", "<unk>")
"""XLM-R's first ids. fairseq has them in this order; SentencePiece has <unk>, <s> and </s>, and then the pieces, to
whose ids fairseq adds 1."""


@dataclass(frozen=True, kw_only=True)
class Tokenization:
    """A tokenizer.

    Attributes:
        file: A WordPiece vocabulary with one token per line, a SentencePiece model, or the JSON of a byte-level BPE.
        pieces: True for a SentencePiece model.
        fairseq: True for a SentencePiece model whose ids are moved as in XLM-R, see FAIRSEQ.
        merges: The merges of a byte-level BPE; None for other tokenizers.
        prefix_space: Whether a byte-level BPE puts a space before the text.
        lower_case: Whether texts are lower-cased first.
        why: The evidence for `lower_case`.
    """

    file: Path
    pieces: bool
    fairseq: bool = False
    merges: Path | None = None
    prefix_space: bool = False
    lower_case: bool
    why: str

    @property
    def kind(self) -> str:
        """The name of the tokenizer's kind, for people."""
        if self.merges is not None:
            return "byte-level BPE"
        return "WordPiece" if not self.pieces else "SentencePiece (XLM-R)" if self.fairseq else "SentencePiece"


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
        UsageError: No vocabulary or no casing is known; the hint names the option that supplies it. The module makes
            tokens in its own graph, and no `vocab` is given. Or the tokenizer has no casing, and `lower_case` is True.
    """
    doing = f"looking for the tokenizer of {module.name}"
    uncased = _uncased(module, vocab, doing)
    if uncased is not None:
        if lower_case:
            raise UsageError(
                f"{doing}: {argument('lower_case', lower_case)}, but {uncased.why}",
                hint=f"leave out {argument('lower_case', lower_case)}",
            )
        return uncased
    if vocab is not None:
        file, pieces = _given(vocab), vocab.suffix == ".model"
    elif module.makes_tokens:
        raise UsageError(
            f"{doing}: it makes the tokens of its texts in its own graph, and whether BERT's tokenizer makes the same "
            "tokens is not known",
            hint=f"give the export tokens, or write the checkpoint with {argument('tokenizer', False)}; or say that "
            f"the tokens are the same, with {argument('vocab', 'vocab.txt')} and {argument('lower_case', True)} or "
            f"{argument('lower_case', False)}",
        )
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
    if pieces and module.config is module.training_config is None:  # no checkpoint, and no model of another exporter's
        # official/nlp/tools/export_tfhub_lib.py, get_do_lower_case: always, with a SentencePiece model.
        return Tokenization(
            file=file, pieces=pieces, lower_case=True, why="Model Garden's exporter, for every SentencePiece model"
        )
    raise UsageError(
        f"{doing}: nothing says whether its texts are lower-cased",
        hint=f"supply it: {argument('lower_case', True)} (an uncased model) or {argument('lower_case', False)}",
    )


def _uncased(module: InspectedModule, vocab: Path | None, doing: str) -> Tokenization | None:
    """The tokenizer of a module whose tokenizer has no casing; None for another. `vocab` is the caller's file."""
    own = {name: Path(module.folder) / file for name, file in module.assets.items()}
    if XLM_R_PIECES in own and (vocab is None or vocab.suffix == ".model"):
        return Tokenization(
            file=own[XLM_R_PIECES] if vocab is None else _given(vocab),
            pieces=True,
            fairseq=True,
            lower_case=False,
            why="XLM-R's tokenizer takes texts as they are",
        )
    if vocab is not None:
        return None
    if BYTE_PAIRS in own and MERGES in own:
        return Tokenization(
            file=own[BYTE_PAIRS],
            pieces=False,
            merges=own[MERGES],
            prefix_space=_prefix_space(own.get(TOKENIZER_CONFIG)),
            lower_case=False,
            why="a byte-level BPE takes texts as they are",
        )
    if OTHER_PIECES in own:
        raise UsageError(
            f"{doing}: {own[OTHER_PIECES].name} is a SentencePiece model whose ids are not the encoder's, and nothing "
            "says how they are moved",
            hint='if it is XLM-R\'s, say so in tokenizer_config.json: "tokenizer_class": "XLMRobertaTokenizer"',
        )
    return None


def _given(vocab: Path) -> Path:
    if not vocab.is_file():
        raise UsageError(f"{argument('vocab', vocab)}: there is no such file")
    return vocab


def _prefix_space(config: Path | None) -> bool:
    """`add_prefix_space` of a tokenizer's configuration; without one, transformers' default."""
    if config is None:
        return False
    try:
        return read_json(config).get("add_prefix_space", False) is True
    except (OSError, ValueError, AttributeError) as error:
        raise ModuleError(f"reading {config}: {error}", hint="the file is damaged: fetch the module again") from error


def refuse_byte_pairs(doing: str, tokenization: Tokenization) -> None:
    """Raises UsageError for a tokenizer that cannot be a part of a graph."""
    if tokenization.merges is not None:
        raise UsageError(
            f"{doing}: its tokenizer is a byte-level BPE ({tokenization.file.name}, {tokenization.merges.name}), and "
            "tensorflow_text has no operation that computes it",
            hint="make the tokens outside of the graph, such as with transformers' AutoTokenizer, and give them to the "
            "export that takes tokens",
        )


def read_constants(module: InspectedModule) -> dict[str, Any]:
    """The module's constants by attribute. Reading them from variables imports TensorFlow."""
    kept = [v for v in module.variables if v.outside is None and is_attribute(v) and v.attribute == CASING]
    tensors = module.open_tensors() if kept else None
    found = {str(v.attribute): tensors.read(v) for v in kept} if tensors is not None else {}
    return {**module.constants, **found}
