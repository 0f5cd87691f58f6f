"""Exports that take strings: the text export beside a tensor export, and a module's preprocessor on its own."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from surgery.arguments import argument
from surgery.batching import TOKEN_INPUTS
from surgery.errors import ParityError, UsageError
from surgery.explanation.architecture import Inference
from surgery.explanation.embedded import locate_encoder
from surgery.explanation.inspection import explain_module
from surgery.explanation.tokenization import Tokenization, read_constants, refuse_byte_pairs
from surgery.explanation.vocabulary import check_vocabulary
from surgery.export.manifest import MANIFEST, SCHEMA, write_manifest
from surgery.export.publish import check_apart, choose_destination, publish, staging
from surgery.export.text_facts import TextFacts
from surgery.jobs.steps import open_export
from surgery.module import InspectedModule
from surgery.planning.texts import SHORTEST, Texts
from surgery.progress import Progress, silent
from surgery.results import Result
from surgery.scanning.gate import clear_folder, cleared, open_to_run
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
"""Texts on which exports are compared with Model Garden's layers: accents, CJK, punctuation, a very long text."""
"""What a preprocessor in TF Hub's form returns."""
DEFAULT_LENGTH = 128
"""The number of tokens that a preprocessor packs to by default, as TF Hub's preprocessors do."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Preprocessor(Result, report="preprocess"):
    """A published preprocessor.

    Attributes:
        destination: Its folder.
        tokenization: Its tokenizer: vocabulary and casing.
        length: The number of tokens that it packs to by default.
    """

    destination: Path
    tokenization: Tokenization
    length: int


def write_texts(
    export: InspectedModule,
    tokenization: Tokenization,
    length: int,
    right_context: int,
    folder: Path,
    destination: Path,
    *,
    packed: Mapping[str, tuple[str, ...]],
    trust: bool,
) -> InspectedModule:
    """Writes the text export of the staged tensor export `export` into `folder`, which is staged for `destination`.

    `length` is the most tokens of a row. `right_context` is the family's (see surgery.tables.family). `packed` are the
    signatures of `export` that leave padding out (Plan.packed); the manifest names those that run them. It also names
    the tokenizer and its vocabulary. Returns the text export. Raises ParityError when the two exports differ.
    """
    from surgery.tf.loading import loaded_objects
    from surgery.tf.text_export import text_differences, write_text_model

    with loaded_objects(cleared(export)) as encoder:
        runs = write_text_model(encoder, tokenization, length, right_context, folder)
        written = open_export(folder, trust=trust)
        differences = text_differences(cleared(written), encoder, tokenization, length, right_context, TRIED)
    if differences:
        raise ParityError("comparing the text export with the tensor export: " + "\n  ".join(differences))
    facts = TextFacts(
        seq_length=length,
        pieces=tokenization.pieces,
        fairseq=tokenization.fairseq,
        vocabulary=str(_vocabulary_within(tokenization.file, folder)),
    )
    manifest = {
        "schema": SCHEMA,
        "text": {**asdict(facts), "lower_case": tokenization.lower_case},
        "packed": {name: list(packed[of]) for name, of in runs.items() if of in packed},
    }
    write_manifest(manifest, folder, destination)
    return written


def _refuse_other_inputs(name: str, tokenization: Tokenization, inference: Inference | None) -> None:
    """Raises UsageError where what Model Garden's preprocessor returns is not what the encoder takes."""
    lacking = [] if inference is None else sorted(set(TOKEN_INPUTS) - {anchor.name for anchor in inference.inputs})
    why = f"returns {lacking[0]} too, which this encoder does not take" if lacking else "has no XLM-R tokenizer"
    if lacking or tokenization.fairseq:
        raise UsageError(
            f"writing a preprocessor of {name}: TF Hub's form of one {why}",
            hint=f"convert the module with {argument('text', True)}: that export takes texts",
        )


def _vocabulary_within(vocabulary: Path, export: Path) -> Path:
    """The path of a vocabulary within an export, relative to the export's folder.

    A SentencePiece model is part of the graph and no asset; it is copied beside the manifest.
    """
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
    trust: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Preprocessor:
    """Writes a module's preprocessor as a SavedModel of its own.

    Raises UsageError when neither the module nor an option gives the vocabulary, or its casing.
    """
    destination = choose_destination(destination, f"{module_name(module)}_preprocess", overwrite=overwrite)
    progress("inspect", 0, 0)
    with open_to_run(module, trust=trust) as source, ExitStack() as staged:
        check_apart([destination], [module, source.folder, texts.vocab])
        folder = staged.enter_context(staging(destination))
        inference = explain_module(source).inference
        encoder = source if inference is None else locate_encoder(source)
        texts.tokenization(encoder, {"do_lower_case": True})  # raises for a missing vocabulary before TensorFlow starts
        tokenization = texts.tokenization(encoder, read_constants(source))
        length = DEFAULT_LENGTH if texts.length is None else texts.length
        if length < SHORTEST:
            raise UsageError(f"{argument('seq_length', length)}: expected {SHORTEST} or more")
        refuse_byte_pairs(f"writing a preprocessor of {source.name}", tokenization)
        _refuse_other_inputs(source.name, tokenization, inference)
        check_vocabulary(tokenization, None if inference is None else inference.architecture)
        if inference is not None:
            positions = inference.architecture.longest
            length = texts.resolved(inference) if texts.length is not None else min(length, positions)
        progress("start TensorFlow", 0, 0)
        from surgery.tf import text_export as text

        progress("write the preprocessor", 0, 0)
        text.write_preprocessor(tokenization, length, folder)
        written = clear_folder(folder, trust=trust)
        if differences := text.preprocessor_differences(written, tokenization, length, TRIED):
            raise ParityError("comparing the preprocessor with Model Garden's layers: " + "; ".join(differences))
        publish(folder, destination, overwrite=overwrite)
    return Preprocessor(destination=destination, tokenization=_closed(tokenization, destination), length=length)


def _closed(tokenization: Tokenization, destination: Path) -> Tokenization:
    """The tokenizer as a result keeps it. The vocabulary of an unpacked archive is gone; the published one is there."""
    if tokenization.file.exists():
        return tokenization
    kept = destination / "assets" / tokenization.file.name
    return replace(tokenization, file=kept if kept.exists() else Path(tokenization.file.name))
