"""surgery opens TF Hub's BERT modules: inspect, plan, preprocess, convert, verify, and run over a corpus.

Importing this package, inspecting and planning never import TensorFlow.
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
