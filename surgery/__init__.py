"""surgery opens TF Hub's BERT modules: inspect, compare, convert, verify, edit, tap, load, serve, run over a corpus.

Importing this package, inspecting and planning never import TensorFlow. The folders are the stages of one pipeline, and
each imports only what stands before it in this map:

    wording · arguments                        names and numbers for people; how an error names an argument
    errors · edits · results · plain           what a caller catches, writes and gets, and its JSON
    progress · processes · paths               how far a job is; children, signals and scratch folders; what ~ is
    batching · plots                           requests that share a run; drawings of attention maps
    limits → boundary                          how much is read, and how every failure comes out
    formats → graphs → module → sources        what is in the folder
    scanning                                   what it could do besides computing, and the gate before every run
    tables → families → explanation            what it means, and why
    planning                                   what was asked for: signatures, taps, edits
    proof                                      is it the same function?
    export                                     weights, manifest, one rename
    comparing · feeding · pages                two modules side by side; a signature's inputs; HTML from JSON
    checkpoints · tfserving · graph_taps       Hugging Face folders; behind a server; taps of any SavedModel
    tf                                         build it, run it           (the only TensorFlow)
    keras · beam · triton                      as a layer of Keras 3; over a corpus; behind Triton
    jobs → reports → api → cli                 the commands

Public are this module, `surgery.edits`, `surgery.errors`, `surgery.limits`, `surgery.module`, `surgery.keras` and
`surgery.beam`. All else may move.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from surgery.api.checkpoints import checkpoint
from surgery.api.exporting import convert, edit, preprocess, tap
from surgery.api.pages import report
from surgery.api.reading import diff, graph, inspect, plan, scan, taps
from surgery.api.using import extract, load, run, serving, verify
from surgery.errors import (
    ContradictionError,
    ModuleError,
    ParityError,
    SurgeryError,
    UnexplainedError,
    UntrustedError,
    UsageError,
    WriteError,
)

if TYPE_CHECKING:
    from surgery.comparing.difference import Difference
    from surgery.explanation.architecture import Architecture
    from surgery.explanation.inspection import Inspection
    from surgery.graph_taps.listing import GraphListing
    from surgery.jobs.checkpoint import Checkpoint
    from surgery.jobs.convert import Conversion
    from surgery.jobs.edit import EditedExport, EditedModel
    from surgery.jobs.extract import Extracted
    from surgery.jobs.loaded_export import LoadedExport
    from surgery.jobs.report import HtmlReport
    from surgery.jobs.run import Ran
    from surgery.jobs.serve import Serving
    from surgery.jobs.tap import Tapping
    from surgery.jobs.texts import Preprocessor
    from surgery.jobs.verify import Verification
    from surgery.planning.plan import Plan
    from surgery.planning.requests import Feature, Tap
    from surgery.planning.tap_listing import TapListing
    from surgery.plots import Attention, Similarity
    from surgery.proof.parity import ParityReport
    from surgery.scanning.findings import Finding, Scan

__version__ = "0.1.0"

__all__ = [
    "Architecture",
    "Attention",
    "Checkpoint",
    "ContradictionError",
    "Conversion",
    "Difference",
    "EditedExport",
    "EditedModel",
    "Extracted",
    "Feature",
    "Finding",
    "GraphListing",
    "HtmlReport",
    "Inspection",
    "LoadedExport",
    "ModuleError",
    "ParityError",
    "ParityReport",
    "Plan",
    "Preprocessor",
    "Ran",
    "Scan",
    "Serving",
    "Similarity",
    "SurgeryError",
    "Tap",
    "TapListing",
    "Tapping",
    "UnexplainedError",
    "UntrustedError",
    "UsageError",
    "Verification",
    "WriteError",
    "__version__",
    "checkpoint",
    "convert",
    "diff",
    "edit",
    "extract",
    "graph",
    "inspect",
    "load",
    "plan",
    "preprocess",
    "report",
    "run",
    "scan",
    "serving",
    "tap",
    "taps",
    "verify",
]

_IMPORTED_WHEN_ASKED_FOR = {
    "Architecture": "surgery.explanation.architecture",
    "Attention": "surgery.plots",
    "Checkpoint": "surgery.jobs.checkpoint",
    "Conversion": "surgery.jobs.convert",
    "Difference": "surgery.comparing.difference",
    "EditedExport": "surgery.jobs.edit",
    "EditedModel": "surgery.jobs.edit",
    "Extracted": "surgery.jobs.extract",
    "Feature": "surgery.planning.requests",
    "Finding": "surgery.scanning.findings",
    "GraphListing": "surgery.graph_taps.listing",
    "HtmlReport": "surgery.jobs.report",
    "Inspection": "surgery.explanation.inspection",
    "LoadedExport": "surgery.jobs.loaded_export",
    "ParityReport": "surgery.proof.parity",
    "Plan": "surgery.planning.plan",
    "Preprocessor": "surgery.jobs.texts",
    "Ran": "surgery.jobs.run",
    "Scan": "surgery.scanning.findings",
    "Serving": "surgery.jobs.serve",
    "Similarity": "surgery.plots",
    "Tap": "surgery.planning.requests",
    "TapListing": "surgery.planning.tap_listing",
    "Tapping": "surgery.jobs.tap",
    "Verification": "surgery.jobs.verify",
}
"""Types of arguments and results by the module that has them, which may import numpy or protobuf."""


_MODULES = frozenset({"beam", "edits", "errors", "keras", "limits", "module"})
"""The public modules. `beam` and `keras` are imported when they are asked for: `keras` imports TensorFlow."""


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _IMPORTED_WHEN_ASKED_FOR:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    return getattr(import_module(_IMPORTED_WHEN_ASKED_FOR[name]), name)


def __dir__() -> list[str]:
    """What completion offers. It may look at each name: `keras`, which imports TensorFlow, is left out until then."""
    loaded = {name for name in _MODULES if name in globals()}
    return sorted({*__all__, *loaded, *(name for name in globals() if name.startswith("__"))})
