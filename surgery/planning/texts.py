"""A text export, resolved for an encoder: the length of its rows, its tokenizer, its destination."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surgery.arguments import argument
from surgery.batching import MASK, WORD_IDS
from surgery.errors import UsageError
from surgery.explanation.architecture import Inference
from surgery.explanation.tokenization import Tokenization, find_tokenization, refuse_byte_pairs
from surgery.explanation.vocabulary import check_vocabulary
from surgery.module import InspectedModule
from surgery.planning.outputs import ExportOutputs
from surgery.sources.files import SAVED_MODEL
from surgery.wording import is_number

SHORTEST, SHORTEST_FAIRSEQ = 3, 4
"""The fewest tokens of a row: a text stands between [CLS] and [SEP], and XLM-R has four special tokens in a pair."""
TEXT_SIGNATURES = ("text", "text_pair")
"""The signatures of a text export that encode texts, and pairs of them, as `serving_default` does their tokens."""
RETURNED = (WORD_IDS, MASK)
"""The tokens that a signature of a text export returns beside the encoder's outputs."""


@dataclass(frozen=True, kw_only=True)
class Texts:
    """The caller's wishes for a text export.

    Attributes:
        length: The most tokens of a row; None for all positions of the encoder.
        vocab: The vocabulary file; None for the module's own.
        lower_case: Whether texts are lower-cased; None for the module's own casing.
    """

    length: int | None = None
    vocab: Path | None = None
    lower_case: bool | None = None

    def resolved(self, inference: Inference) -> int:
        """The most tokens of a row. Raises UsageError if the encoder has fewer positions."""
        positions: int = inference.architecture.longest
        if self.length is not None and not SHORTEST <= self.length <= positions:
            raise UsageError(
                f"{argument('seq_length', self.length)}: expected {SHORTEST} to {positions}, the encoder's positions"
            )
        return self.length or positions

    def tokenization(self, module: InspectedModule, constants: Mapping[str, Any]) -> Tokenization:
        """The tokenizer, with the caller's vocabulary and casing first, then the module's.

        Raises UsageError if neither has a vocabulary or a casing.
        """
        return find_tokenization(module, constants, vocab=self.vocab, lower_case=self.lower_case)

    def check(self, module: InspectedModule, inference: Inference, outputs: ExportOutputs) -> None:
        """Finds mistakes before TensorFlow starts.

        Raises UsageError for a missing vocabulary, too long a row, and a name that the text export gives to something
        else.
        """
        self.resolved(inference)
        _check_names(outputs)
        # The value of a module's casing variable is read later. Here any value will do: only its presence counts.
        constants = {v.attribute: True for v in module.variables if v.attribute} | dict(module.constants)
        tokenization = self.tokenization(module, constants)
        refuse_byte_pairs(f"making a text export of {module.name}", tokenization)
        if tokenization.fairseq and self.length is not None and self.length < SHORTEST_FAIRSEQ:
            raise UsageError(
                f"{argument('seq_length', self.length)}: a pair of texts has {SHORTEST_FAIRSEQ} special tokens in XLM-R"
            )
        check_vocabulary(tokenization, inference.architecture)


def _check_names(outputs: ExportOutputs) -> None:
    """Raises UsageError for a signature or output that has another meaning in the text export.

    There, `text` encodes texts and returns what `serving_default` does. A feature of that name would be one thing in
    the tensor export and another in the text export beside it.
    """
    kinds = {feature.name: "features" for feature in outputs.features.values()}
    for name, signature in outputs.extra.items():
        taken = [name] if name in TEXT_SIGNATURES else [output for output in signature.outputs if output in RETURNED]
        if taken:
            meaning = "signature" if name in TEXT_SIGNATURES else "output"
            raise UsageError(
                f"{argument(kinds.get(name, 'signatures'), f'{name}=…')} with {argument('text', True)}: the text "
                f"export has {'a' if meaning == 'signature' else 'an'} {meaning} {taken[0]} of its own",
                hint="give it another name, such as vector=…",
            )


def text_destination(destination: Path) -> Path:
    """The folder of the text export: `bert_text/7` beside `bert/7`, `out_text` beside `out`."""
    if is_number(destination.name):
        return destination.parent.with_name(f"{destination.parent.name}_text") / destination.name
    return destination.with_name(f"{destination.name}_text")


def encoder_beside(text_export: Path) -> Path | None:
    """The export of token ids whose text export this is; None where it does not lie beside it."""
    folder = text_export.absolute()
    named = folder.parent if is_number(folder.name) else folder
    encoder = named.with_name(named.name.removesuffix("_text")) / folder.relative_to(named)
    return encoder if text_destination(encoder) == folder and (encoder / SAVED_MODEL).is_file() else None
