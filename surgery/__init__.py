"""surgery opens TF Hub's BERT modules: inspect, plan, convert, verify, edit, tap, serve, and run over a corpus.

Importing this package, inspecting and planning never import TensorFlow. The folders are the stages of one pipeline, and
imports point downward only, from the last line of this map to the first:

    formats → graphs → module → sources        what is in the folder
    tables → families → explanation            what it means, and why
    planning                                   what was asked for
    proof                                      is it the same function?
    export                                     weights, manifest, one rename
    tf                                         build it, run it           (the only TensorFlow)
    tfserving · graph_taps · beam · triton     what is done with it; beam and triton share `batching`
    jobs → reports, api → cli                  the commands

Public are this module, `surgery.edits`, `surgery.errors`, `surgery.module` and `surgery.beam`; all else may move.
"""

from __future__ import annotations

from surgery.api import convert, edit, extract, graph, inspect, plan, preprocess, serving, tap, verify
from surgery.errors import (
    ContradictionError,
    ModuleError,
    ParityError,
    SurgeryError,
    UnexplainedError,
    UsageError,
    WriteError,
)

__version__ = "0.1.0"

__all__ = [
    "ContradictionError",
    "ModuleError",
    "ParityError",
    "SurgeryError",
    "UnexplainedError",
    "UsageError",
    "WriteError",
    "__version__",
    "convert",
    "edit",
    "extract",
    "graph",
    "inspect",
    "plan",
    "preprocess",
    "serving",
    "tap",
    "verify",
]
