"""Plans an extraction: the request is checked against the export and the files before anything slow starts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from surgery import limits
from surgery.arguments import argument
from surgery.batching import MASK, WORD_IDS
from surgery.batching.sharing import without_batch
from surgery.beam import running
from surgery.beam.arrow import column_type
from surgery.beam.corpus import LONGEST, Columns, Corpus
from surgery.beam.pipeline import Extraction
from surgery.beam.shards import Layout
from surgery.errors import UsageError
from surgery.export.text_facts import MOST_TOKENS, read_text_facts, read_vocabulary
from surgery.export.text_signatures import TextSignatures
from surgery.module import InspectedModule, SignatureInfo
from surgery.wording import shape_text


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
    signatures = TextSignatures.of(module)
    chosen = signatures.named(signature or signatures.usual(outputs), exported)
    inputs = tuple(tensor.key for tensor in chosen.inputs)
    columns = Columns(_text_columns(corpus.columns, inputs), corpus.id_column, limits.limit(LONGEST))
    running.check_columns(files, columns, named=bool(corpus.columns or corpus.id_column))
    wanted = _choose_outputs(module, chosen, outputs)
    facts = read_text_facts(folder)
    known = {tensor.key: tensor for tensor in chosen.outputs}
    layout = Layout(
        inputs=inputs if with_text else (),
        with_id=corpus.id_column is not None,
        vocabulary=read_vocabulary(folder, facts) if WORD_IDS in known else (),
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


def _choose_outputs(module: InspectedModule, signature: SignatureInfo, asked: Sequence[str] | None) -> tuple[str, ...]:
    """The requested outputs, else all. Token ids always come; the mask comes only on request, as rows lack padding."""
    known = [tensor.key for tensor in signature.outputs]
    if missing := [name for name in asked or () if name not in known]:
        raise UsageError(
            f"{argument('outputs', missing)}: the signature {signature.name} of {module.name} has no such output",
            hint="it has " + ", ".join(known),
        )
    chosen = [name for name in known if name != MASK] if asked is None else list(asked)
    return tuple(dict.fromkeys([*(name for name in known if name == WORD_IDS), *chosen]))


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
        if named[name]:
            raise UsageError(
                f"{argument('columns', text)}: the input {name} has the column {named[name]} already",
                hint="an input has the texts of one column; for pairs of texts, choose a signature that takes them",
            )
        named[name] = column
    return tuple(column or name for name, column in named.items())


def _check_layout(layout: Layout, signature: SignatureInfo) -> None:
    shapes = {tensor.key: tensor.shape for tensor in layout.outputs}
    unbatched = without_batch(shapes, (tensor.shape for tensor in signature.inputs))
    for tensor in layout.outputs:
        try:
            if tensor.key in unbatched:
                raise ValueError(f"{shape_text(tensor.shape)} has no row for each text")
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
