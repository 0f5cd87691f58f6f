"""Report of a published preprocessor: its tokenizer, and its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from surgery.reports.page import Data, Whole, facts

if TYPE_CHECKING:
    from surgery.jobs.texts import Preprocessor

SCHEMA = 1


def data(preprocessor: Preprocessor) -> Data:
    """The tokenizer of a published preprocessor, with the evidence for its casing, and its folder."""
    tokenization = preprocessor.tokenization
    return {
        "destination": str(preprocessor.destination),
        "tokenizer": tokenization.kind,
        "vocabulary": tokenization.file.name,
        "lower_case": tokenization.lower_case,
        "lower_case_from": tokenization.why,
        "seq_length": preprocessor.length,
    }


def text(console: Console, data: Data) -> None:
    """The tokenizer, the length of its rows, and the folder."""
    casing = "lower-cased" if data["lower_case"] else "as it is"
    rows = [
        ("tokenizer", f"{data['tokenizer']} ({data['vocabulary']}), text {casing} (from {data['lower_case_from']})"),
        ("packs to", f"{data['seq_length']} tokens, unless a caller says seq_length="),
        ("wrote", Whole(data["destination"])),
    ]
    facts(console, rows)
