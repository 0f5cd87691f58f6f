"""Report of a finished extraction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from surgery.reports.page import Data, facts, title

if TYPE_CHECKING:
    from surgery.jobs.extract import Extracted

SCHEMA = 1


def data(done: Extracted) -> Data:
    """Folder, columns and shards of the features, the numbers of texts and tokens, and the speed."""
    return {
        "destination": done.destination,
        "signature": done.signature,
        "outputs": list(done.outputs),
        "columns": list(done.columns),
        "shards": [{"file": file, "rows": rows} for file, rows in done.shards],
        "texts": done.texts,
        "tokens": done.tokens,
        "rejected": done.rejected,
        "seconds": round(done.seconds, 2),
        "texts_per_second": round(done.texts / done.seconds, 1),
        "tokens_per_second": round(done.tokens / done.seconds, 1),
        "processes": done.processes,
    }


def text(console: Console, data: Data) -> None:
    """The same facts in a few lines; the shards as their number only."""
    title(console, data["destination"])
    workers = "" if data["processes"] is None else f" in {_count(data['processes'], 'process', 'processes')}"
    rows = [
        ("signature", data["signature"]),
        ("columns", ", ".join(data["columns"])),
        ("files", _count(len(data["shards"]) or 1, "Parquet file", "Parquet files")),
        ("texts", f"{data['texts']:,}"),
        ("tokens", f"{data['tokens']:,}"),
        (
            "took",
            f"{data['seconds']:.1f} s{workers}: {data['texts_per_second']:,.0f} texts/s, "
            f"{data['tokens_per_second']:,.0f} tokens/s",
        ),
    ]
    if data["rejected"]:
        rows.insert(5, ("set aside", f"{_count(data['rejected'], 'line', 'lines')}, with the reason: _rejected.jsonl"))
    facts(console, rows)


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
