"""From a corpus to Parquet: what a run of `surgery extract` does, checked before it starts, and its result.

The work itself is a Beam pipeline (surgery.beam.pipeline); this is all that happens around it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surgery.errors import ModuleError, UsageError, WriteError
from surgery.manifest import PACKAGES, package_versions
from surgery.module import InspectedModule, SignatureInfo, TensorInfo
from surgery.planning import open_module
from surgery.publish import choose_destination, publish, staging
from surgery.texts import TextFacts, read_text_facts, text_destination

RECORD = "_extraction.json"
"""What was run, and what came of it; readers of Parquet folders pass over names that start with "_"."""
TEXT = "text"
IDS, MASK = "input_word_ids", "input_mask"
MOST_TOKENS = 512
"""A row's most tokens where the SavedModel does not say: BERT's positions. Only the size of batches hangs on it."""
BATCH_TOKENS = 2048

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Extracted:
    """A finished run: its folder, the signature and outputs, and counts. `tokens` are real ones, `seconds` the run's.

    `shards` are Parquet files with their rows; `rejected` counts the lines that were no text.
    """

    destination: str
    signature: str
    outputs: tuple[str, ...]
    columns: tuple[str, ...]
    shards: tuple[tuple[str, int], ...]
    texts: int
    tokens: int
    rejected: int
    seconds: float
    processes: int | None


@dataclass(frozen=True)
class Corpus:
    """What is read: files or globs, and for Parquet which column is which input, and which holds ids."""

    inputs: tuple[str, ...]
    columns: tuple[str, ...] = ()
    id_column: str | None = None


def extract_features(
    exported: str,
    corpus: Corpus,
    destination: str,
    *,
    signature: str | None = None,
    outputs: Sequence[str] | None = None,
    with_text: bool = True,
    batch_tokens: int = BATCH_TOKENS,
    processes: int | None = None,
    beam_options: Sequence[str] = (),
    overwrite: bool = False,
    progress: Progress = lambda step, done, total: None,
) -> Extracted:
    """Runs a signature that takes strings over a corpus, and writes sharded Parquet to `destination`.

    Raises UsageError for what cannot be run as asked, ModuleError when the model or a worker fails, WriteError; the
    destination is then as it was before.
    """
    progress("inspect", 0, 0)
    _needs_beam()
    from surgery.beam import running
    from surgery.beam.corpus import Columns
    from surgery.beam.pipeline import Extraction
    from surgery.beam.shards import Layout

    runner = running.choose_runner(beam_options, processes)
    files = running.find_files(corpus.inputs)
    with open_module(exported, with_weights=True) as module:
        folder = str(Path(module.folder).resolve())
        chosen = _choose_signature(module, exported, signature)
        inputs = tuple(tensor.key for tensor in chosen.inputs)
        columns = Columns(_text_columns(corpus.columns, inputs), corpus.id_column)
        running.check_columns(files, columns, named=bool(corpus.columns or corpus.id_column))
        wanted = _choose_outputs(module, chosen, outputs)
        facts = read_text_facts(Path(folder))
        known = {tensor.key: tensor for tensor in chosen.outputs}
        layout = Layout(
            inputs=inputs if with_text else (),
            with_id=corpus.id_column is not None,
            vocabulary=_vocabulary(Path(folder), facts) if IDS in known else (),
            outputs=tuple(known[name] for name in wanted),
        )
        _check_layout(layout, chosen)

        def run(place: str, reports: str | None) -> dict[str, Any]:
            return running.run(
                Extraction(
                    files=files,
                    columns=columns,
                    saved_model=folder,
                    signature=chosen.name,
                    inputs=inputs,
                    fetched=tuple(dict.fromkeys([*wanted, *({IDS} & set(known))])),
                    layout=layout,
                    folder=place,
                    limit=facts.seq_length if facts else MOST_TOKENS,
                    batch_tokens=batch_tokens,
                    threads=runner.threads,
                    progress=reports,
                ),
                runner,
                progress,
            )

        record = {
            "exported": exported,
            "sha256": dict(module.fingerprint),
            "signature": chosen.name,
            "outputs": list(wanted),
            "inputs": list(files),
            "columns": layout.schema().names,
            "packages": package_versions((*PACKAGES, "apache-beam", "pyarrow")),
        }
        summary = _into(destination, record, run, overwrite=overwrite)
    return Extracted(
        destination=destination,
        signature=chosen.name,
        outputs=wanted,
        columns=tuple(record["columns"]),
        shards=tuple((shard["file"], shard["rows"]) for shard in summary["shards"]),
        texts=summary["texts"],
        tokens=summary["tokens"],
        rejected=summary["rejected"],
        seconds=summary["seconds"],
        processes=runner.processes,
    )


def _into(
    destination: str, record: dict[str, Any], run: Callable[[str, str | None], dict[str, Any]], *, overwrite: bool
) -> dict[str, Any]:
    """Runs into a staging folder that is published whole; where there is none, the record comes last."""
    from surgery.beam import running

    if "://" in destination:
        running.check_vacant(destination, RECORD)
        summary = run(destination, None)
        running.write_record(destination, RECORD, {**record, **_lasting(summary)})
        return summary
    place = choose_destination(Path(destination), "", overwrite=overwrite, known_by=RECORD)
    with staging(place) as staged, tempfile.TemporaryDirectory(prefix="surgery-") as reports:
        summary = run(str(staged.resolve()), reports)
        try:
            (staged / RECORD).write_text(json.dumps({**record, **_lasting(summary)}, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise WriteError(f"writing {destination}: {error.strerror}") from error
        publish(staged, place, overwrite=overwrite)
    return summary


def _lasting(summary: dict[str, Any]) -> dict[str, Any]:
    """What is the same whenever the run is repeated: all but how long it took."""
    return {name: value for name, value in summary.items() if name != "seconds"}


def _needs_beam() -> None:
    try:
        import apache_beam  # noqa: F401
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"extract runs on Apache Beam: {error.name} is not installed",
            hint="pip install 'hub-surgery[beam]'",
        ) from error


def _choose_signature(module: InspectedModule, exported: str, asked: str | None) -> SignatureInfo:
    known = {s.name: s for graph in module.meta_graphs if "train" not in graph.tags for s in graph.signatures}
    name = asked or (TEXT if TEXT in known else "serving_default")
    if name not in known:
        raise UsageError(
            f"--signature {name}: {module.name} has no such signature",
            hint="it has " + (", ".join(sorted(known)) or "none"),
        )
    found = known[name]
    if not found.inputs or any(tensor.dtype != "string" or tensor.shape != (None,) for tensor in found.inputs):
        beside = text_destination(Path(exported))
        raise UsageError(
            f"the signature {name} of {module.name} takes {', '.join(map(_described, found.inputs)) or 'nothing'}: "
            "expected texts, string [batch]",
            hint=f"its text export takes them: {beside}"
            if (beside / "saved_model.pb").is_file()
            else "surgery convert MODULE --text writes a SavedModel that does",
        )
    return found


def _described(tensor: TensorInfo) -> str:
    return f"{tensor.key} ({tensor.dtype})"


def _choose_outputs(module: InspectedModule, signature: SignatureInfo, asked: Sequence[str] | None) -> tuple[str, ...]:
    """The outputs asked for, else all; token ids always, the mask only when asked for: rows have no padding."""
    known = [tensor.key for tensor in signature.outputs]
    if missing := [name for name in asked or () if name not in known]:
        raise UsageError(
            f"--outputs {','.join(missing)}: the signature {signature.name} of {module.name} has no such output",
            hint="it has " + ", ".join(known),
        )
    chosen = [name for name in known if name != MASK] if asked is None else list(asked)
    return tuple(dict.fromkeys([*(name for name in known if name == IDS), *chosen]))


def _text_columns(asked: Sequence[str], inputs: Sequence[str]) -> tuple[str, ...]:
    """The Parquet column of each input: INPUT=COLUMN, or the column alone where there is one input."""
    named = dict.fromkeys(inputs, "")
    for text in asked:
        name, equals, column = text.partition("=")
        if not equals and len(inputs) == 1:
            name, column = inputs[0], text
        if name not in named or not column:
            raise UsageError(
                f"--column {text}: expected INPUT=COLUMN, with INPUT one of {', '.join(inputs)}",
            )
        named[name] = column
    return tuple(column or name for name, column in named.items())


def _vocabulary(folder: Path, facts: TextFacts | None) -> tuple[str, ...]:
    """The tokens by id, where the export says which vocabulary it tokenizes with."""
    if facts is None:
        return ()
    path = folder / facts.vocabulary
    try:
        if facts.pieces:
            from sentencepiece import SentencePieceProcessor

            pieces = SentencePieceProcessor(model_file=str(path))
            return tuple(pieces.id_to_piece(i) for i in range(pieces.get_piece_size()))
        return tuple(path.read_text(encoding="utf-8").splitlines())
    except (OSError, ValueError, RuntimeError) as error:
        raise ModuleError(
            f"reading the vocabulary {path}: {error}", hint="the export is damaged: write it again"
        ) from error


def _check_layout(layout: Any, signature: SignatureInfo) -> None:
    from surgery.beam.arrow import column_type

    for tensor in layout.outputs:
        try:
            column_type(tensor)
        except ValueError as error:
            raise UsageError(
                f"the output {tensor.key} of the signature {signature.name} fits no column: {error}",
                hint="choose others with --outputs",
            ) from error
    names = layout.schema().names
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"two columns would be named {', '.join(twice)}", hint="choose other --outputs, or --no-text")
