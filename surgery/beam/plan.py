"""Plans an extraction: the request is checked against the export and the files before anything slow starts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from surgery import limits
from surgery.arguments import argument
from surgery.batching import MASK
from surgery.beam import running
from surgery.beam.arrow import column_type
from surgery.beam.corpus import LONGEST, Columns, Corpus
from surgery.beam.pipeline import Extraction
from surgery.beam.shards import IDS, Layout
from surgery.errors import ModuleError, UsageError
from surgery.export.manifest import read_packed
from surgery.export.text_facts import TextFacts, read_text_facts
from surgery.formats.text_files import read_text
from surgery.module import InspectedModule, SignatureInfo, TensorInfo
from surgery.planning.outputs import DEPTH
from surgery.planning.texts import text_destination
from surgery.sources.files import inside

TEXT = "text"
MOST_TOKENS = 512
"""The most tokens of a row where the SavedModel does not say: BERT's positions. Only batch sizes depend on it."""


def plan_extraction(
    module: InspectedModule,
    exported: str,
    corpus: Corpus,
    *,
    signature: str | None = None,
    outputs: Sequence[str] | None = None,
    with_text: bool = True,
) -> Extraction:
    """Chooses the signature, the columns that are read and written, and how rows are batched.

    Raises UsageError for a signature, output, file or column that does not exist or does not fit.
    """
    files = running.find_files(corpus.inputs)
    folder = Path(module.folder).resolve()
    chosen = _choose_signature(module, exported, signature or _signature_of(module, outputs))
    inputs = tuple(tensor.key for tensor in chosen.inputs)
    columns = Columns(_text_columns(corpus.columns, inputs), corpus.id_column, limits.limit(LONGEST))
    running.check_columns(files, columns, named=bool(corpus.columns or corpus.id_column))
    wanted = _choose_outputs(module, chosen, outputs)
    facts = read_text_facts(folder)
    known = {tensor.key: tensor for tensor in chosen.outputs}
    layout = Layout(
        inputs=inputs if with_text else (),
        with_id=corpus.id_column is not None,
        vocabulary=_vocabulary(folder, facts) if IDS in known else (),
        outputs=tuple(known[name] for name in wanted),
    )
    _check_layout(layout, chosen)
    return Extraction(
        files=tuple(files),
        folder=os.getcwd(),
        size=sum(files.values()),
        columns=columns,
        saved_model=str(folder),
        signature=chosen.name,
        inputs=inputs,
        layout=layout,
        limit=facts.seq_length if facts else MOST_TOKENS,
    )


def _signature_of(module: InspectedModule, outputs: Sequence[str] | None) -> str:
    """The signature to run if none is named: the smallest that has the outputs without computing padding, else `text`.

    Only the manifest of an export says that. Its outputs of one name are the same tensor in every signature but those
    of a depth, whose `sequence_output` is that of a shallower encoder.
    """
    known = _signatures(module)
    usual = TEXT if TEXT in known else "serving_default"
    packed = read_packed(Path(module.folder))
    if not outputs or usual not in known or usual in packed:
        return usual
    inputs = [tensor.key for tensor in known[usual].inputs]
    fitting = [
        found
        for name, found in known.items()
        if name in packed
        and not name.startswith(DEPTH)
        and [tensor.key for tensor in found.inputs] == inputs
        and {tensor.key for tensor in found.outputs} >= set(outputs)
    ]
    return min(fitting, key=lambda found: len(found.outputs)).name if fitting else usual


def _signatures(module: InspectedModule) -> dict[str, SignatureInfo]:
    return {s.name: s for graph in module.meta_graphs if "train" not in graph.tags for s in graph.signatures}


def _choose_signature(module: InspectedModule, exported: str, name: str) -> SignatureInfo:
    known = _signatures(module)
    if name not in known:
        raise UsageError(
            f"{argument('signature', name)}: {module.name} has no such signature",
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
    """The requested outputs, else all. Token ids always come; the mask comes only on request, as rows lack padding."""
    known = [tensor.key for tensor in signature.outputs]
    if missing := [name for name in asked or () if name not in known]:
        raise UsageError(
            f"{argument('outputs', missing)}: the signature {signature.name} of {module.name} has no such output",
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
                f"{argument('columns', text)}: expected INPUT=COLUMN, with INPUT one of {', '.join(inputs)}",
            )
        named[name] = column
    return tuple(column or name for name, column in named.items())


def _vocabulary(folder: Path, facts: TextFacts | None) -> tuple[str, ...]:
    """The tokens by id, where the export names the vocabulary that it tokenizes with."""
    if facts is None:
        return ()
    path = inside(folder, facts.vocabulary)
    try:
        if facts.pieces:
            from sentencepiece import SentencePieceProcessor

            pieces = SentencePieceProcessor(model_file=str(path))
            return tuple(pieces.id_to_piece(i) for i in range(pieces.get_piece_size()))
        return tuple(read_text(path).splitlines())
    except (OSError, ValueError, RuntimeError) as error:
        raise ModuleError(
            f"reading the vocabulary {path}: {error}", hint="the export is damaged: write it again"
        ) from error


def _check_layout(layout: Layout, signature: SignatureInfo) -> None:
    for tensor in layout.outputs:
        try:
            column_type(tensor)
        except ValueError as error:
            raise UsageError(
                f"the output {tensor.key} of the signature {signature.name} fits no column: {error}",
                hint=f"choose others with {argument('outputs')}",
            ) from error
    names = layout.schema().names
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(
            f"two columns would be named {', '.join(twice)}",
            hint=f"choose other {argument('outputs')}, or {argument('with_text', False)}",
        )
