"""Loads an export into this process. All its signatures share one session, and so its weights."""

from __future__ import annotations

import os
from pathlib import Path

from surgery.arguments import argument
from surgery.errors import UsageError
from surgery.export.padding_id import padding_id
from surgery.export.text_facts import MOST_TOKENS, read_text_facts, read_vocabulary
from surgery.export.text_signatures import TOKENS, TextSignatures
from surgery.jobs.loaded_export import LoadedExport
from surgery.jobs.text_runner import TextRunner
from surgery.module import SERVE
from surgery.scanning.gate import cleared, open_to_run


def load_export(exported: str, *, trust: bool = False) -> LoadedExport:
    """The export, open. Raises UsageError for a SavedModel that takes neither texts nor the tokens of a BERT."""
    # The folder is opened again later, maybe from another current folder.
    with open_to_run(os.path.abspath(exported) if os.path.exists(exported) else exported, trust=trust) as module:
        signatures = TextSignatures.of(module)
        no_texts = None if signatures.taking(1) else _no_texts(signatures, exported)
        folder = Path(module.folder)
        facts = read_text_facts(folder)
        vocabulary = read_vocabulary(folder, facts)
        from surgery.tf.memory import importing

        with importing():
            import surgery.tf.signature_runner  # noqa: F401 (which registers the operations of tokenizers)
            from surgery.tf.session import SavedModelSession

        limit, permission = facts.seq_length if facts else MOST_TOKENS, cleared(module)

        def open_session(few_runs: bool) -> SavedModelSession:
            return SavedModelSession(permission, SERVE, few_runs=few_runs)

        stays = os.path.isdir(exported)  # an unpacked archive is gone when this block ends
        return LoadedExport(
            exported,
            signatures,
            TextRunner(module.folder, open_session, limit, few_runs=stays),
            seq_length=limit,
            vocabulary=vocabulary,
            no_texts=no_texts,
            pad=padding_id(module),
        )


def _no_texts(signatures: TextSignatures, exported: str) -> UsageError:
    """The error that says where texts are taken. Raises UsageError for an export that takes no tokens either."""
    module, tokens = signatures.module, signatures.taking(TOKENS)
    if not tokens:
        raise UsageError(
            f"loading {module.name}: none of its signatures takes texts, or the tokens of a BERT as its exports do",
            hint=f"convert the module with {argument('text', True)}, and load the export that takes texts",
        )
    try:
        signatures.named(tokens[0].name, exported)
    except UsageError as error:
        return error
    raise AssertionError("a signature takes either texts or tokens")
