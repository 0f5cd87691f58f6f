"""The Python interface to what is done with an export: serve it, and run it over a corpus."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from surgery.batching import BATCH_TOKENS

if TYPE_CHECKING:
    from surgery.api import Source
    from surgery.jobs.extract import Extracted
    from surgery.jobs.serve import Serving
    from surgery.progress import Progress


def extract(
    exported: Source,
    inputs: Sequence[Source],
    destination: Source,
    *,
    signature: str | None = None,
    outputs: Sequence[str] | None = None,
    columns: Sequence[str] = (),
    id_column: str | None = None,
    with_text: bool = True,
    processes: int | None = None,
    batch_tokens: int = BATCH_TOKENS,
    beam_options: Sequence[str] = (),
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Extracted:
    """Runs a signature of texts over files, and writes its `outputs` as sharded Parquet, a row a text, unpadded.

    `inputs` are text files, one text a line, or Parquet files with `columns`, or globs. `beam_options` choose the
    runner; without one it runs on this machine in `processes`. Raises SurgeryError; the folder appears when complete.
    """
    from surgery.beam.plan import Corpus
    from surgery.jobs.extract import extract_features

    return extract_features(
        str(exported),
        Corpus(tuple(map(str, inputs)), tuple(columns), id_column),
        str(destination),
        signature=signature,
        outputs=outputs,
        with_text=with_text,
        batch_tokens=batch_tokens,
        processes=processes,
        beam_options=beam_options,
        overwrite=overwrite,
        progress=progress or (lambda step, done, total: None),
    )


def serving(
    exported: Source,
    *,
    signatures: Sequence[str] = (),
    batch: int = 1,
    length: int | None = None,
    output: Source | None = None,
    warmup: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Serving:
    """How to serve an export: replies of so many rows and tokens, commands, and files by name. Needs no TensorFlow.

    `output` writes the files there; `warmup` writes the requests that TensorFlow Serving runs first, after they have
    been read back and replayed, which needs TensorFlow. Raises SurgeryError; nothing is left half written.
    """
    from surgery.jobs.serve import serve_export

    return serve_export(
        Path(exported),
        signatures,
        batch=batch,
        length=length,
        output=None if output is None else Path(output),
        warmup=warmup,
        overwrite=overwrite,
        progress=progress or (lambda step, done, total: None),
    )
