"""Text in: an export that takes strings, beside the one that takes tensors, and a preprocessor of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from surgery.errors import ParityError, UsageError
from surgery.explanation.architecture import Inference
from surgery.explanation.tokenization import Tokenization, check_vocabulary, find_tokenization, read_constants
from surgery.export.manifest import MANIFEST, SCHEMA, read_manifest, write_manifest
from surgery.export.publish import choose_destination, publish, staging
from surgery.module import InspectedModule
from surgery.planning.plan import explain_module, open_module
from surgery.sources.location import module_name

TRIED = (
    "The quick brown fox jumps over the lazy dog.",
    "",
    "naïve café, Ünïcödé and \uff26\uff35\uff2c\uff2c width",
    "深度学习 and 日本語",
    "don't stop-believing (it's 100% #1)!?",
    "tab\tand\x00control\u200bcharacters\n",
    "pneumonoultramicroscopicsilicovolcanoconiosis",
    "word " * 700,
)
"""Texts on which what was written is compared with Model Garden's layers: accents, CJK, punctuation, very long ones."""
DEFAULT_LENGTH = 128
"""Tokens of a row that a preprocessor packs to unless it is told otherwise, as TF Hub's do."""


@dataclass(frozen=True)
class Texts:
    """What `--text` asks for: how many tokens a row may have (None: all that the encoder takes), and the tokenizer."""

    length: int | None = None
    vocab: Path | None = None
    lower_case: bool | None = None

    def resolved(self, inference: Inference) -> int:
        """The length limit for an encoder. Raises UsageError beyond its positions."""
        positions: int = inference.architecture["max_position_embeddings"]
        if self.length is not None and not 3 <= self.length <= positions:
            raise UsageError(f"--seq-length {self.length}: expected 3 to {positions}, the encoder's positions")
        return self.length or positions

    def tokenization(self, module: InspectedModule, constants: Mapping[str, Any]) -> Tokenization:
        """The tokenizer, of the module or as supplied. Raises UsageError when either leaves it open."""
        return find_tokenization(module, constants, vocab=self.vocab, lower_case=self.lower_case)

    def check(self, module: InspectedModule, inference: Inference) -> None:
        """Raises what can be known before TensorFlow starts: no vocabulary, too many tokens, too long a row."""
        self.resolved(inference)
        # What casing a module's variable says is read later; that it has one is known now.
        said = {v.attribute: True for v in module.variables if v.attribute}
        check_vocabulary(self.tokenization(module, {**said, **module.constants}), inference.architecture["vocab_size"])


@dataclass(frozen=True)
class Preprocessor:
    """A published preprocessor: where it is, its tokenizer, and to how many tokens it packs."""

    destination: Path
    tokenization: Tokenization
    length: int


@dataclass(frozen=True)
class TextFacts:
    """What a text export's manifest says: its most tokens in a row, whether they are SentencePiece's, and which."""

    seq_length: int
    pieces: bool
    vocabulary: str


def text_destination(destination: Path) -> Path:
    """Where the text export goes: `bert_text/7` beside `bert/7`, `out_text` beside `out`."""
    if destination.name.isdigit():
        return destination.parent.with_name(f"{destination.parent.name}_text") / destination.name
    return destination.with_name(f"{destination.name}_text")


def write_texts(
    export: Path, tokenization: Tokenization, length: int, right_context: int, folder: Path, destination: Path
) -> None:
    """Writes the text export of a staged tensor export into the staged `folder` of a destination.

    `right_context` is the family's, see surgery.tables.family. The manifest says what tokenizes its texts. Raises
    ParityError when the two exports differ.
    """
    from surgery.tf.text_export import text_differences, write_text_model

    write_text_model(export, tokenization, length, right_context, folder)
    if differences := text_differences(folder, export, tokenization, length, right_context, TRIED):
        raise ParityError("comparing the text export with the tensor export: " + "\n  ".join(differences))
    said = TextFacts(length, tokenization.pieces, str(_vocabulary_within(tokenization.file, folder)))
    write_manifest(
        {"schema": SCHEMA, "text": {**asdict(said), "lower_case": tokenization.lower_case}}, folder, destination
    )


def read_text_facts(export: Path) -> TextFacts | None:
    """What a text export says of itself; None of any other SavedModel, or where it is damaged."""
    try:
        said = read_manifest(export)["text"]
        return TextFacts(int(said["seq_length"]), bool(said["pieces"]), str(said["vocabulary"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _vocabulary_within(vocabulary: Path, export: Path) -> Path:
    """Where an export has this vocabulary, relative to it; a SentencePiece model stands in the graph, and is copied."""
    content = vocabulary.read_bytes()
    for asset in sorted((export / "assets").glob("*")):
        if asset.read_bytes() == content:
            return asset.relative_to(export)
    place = MANIFEST.parent / vocabulary.name
    (export / place).parent.mkdir(exist_ok=True)
    (export / place).write_bytes(content)
    return place


def write_preprocessor(
    module: str,
    destination: Path | None,
    texts: Texts,
    *,
    overwrite: bool = False,
    progress: Callable[[str, int, int], None] = lambda step, done, total: None,
) -> Preprocessor:
    """Writes a module's preprocessor as a SavedModel of its own.

    Raises UsageError when the module has no vocabulary or does not say its casing, and no option does.
    """
    destination = choose_destination(destination, f"{module_name(module)}_preprocess", overwrite=overwrite)
    progress("inspect", 0, 0)
    with open_module(module, with_weights=True) as source, staging(destination) as folder:
        texts.tokenization(source, {"do_lower_case": True})  # no vocabulary: known before TensorFlow starts
        tokenization = texts.tokenization(source, read_constants(source))
        inference = explain_module(source).inference
        length = texts.length or DEFAULT_LENGTH
        if inference is not None:
            check_vocabulary(tokenization, inference.architecture["vocab_size"])
            positions = inference.architecture["max_position_embeddings"]
            length = texts.resolved(inference) if texts.length is not None else min(length, positions)
        progress("start TensorFlow", 0, 0)
        from surgery.tf import text_export as text

        progress("write the preprocessor", 0, 0)
        text.write_preprocessor(tokenization, length, folder)
        if differences := text.preprocessor_differences(folder, tokenization, length, TRIED):
            raise ParityError("comparing the preprocessor with Model Garden's layers: " + "; ".join(differences))
        publish(folder, destination, overwrite=overwrite)
    return Preprocessor(destination, tokenization, length)
