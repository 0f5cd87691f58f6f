"""Exports written without any proof: for tests that compare them themselves, or look at their graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from surgery.jobs.opened import open_weights
from surgery.planning.plan import make_plan
from surgery.planning.requests import Request
from surgery.scanning.gate import open_to_run


def write(source: Path, folder: Path, **request: Any) -> Path:
    """Writes a module's export for the request of these arguments, and returns its folder."""
    from surgery.tf.building import build_encoder
    from surgery.tf.export import Export, Traces, write_saved_model

    with open_to_run(str(source), trust=False) as module:
        opened = open_weights(make_plan(module, folder, None, Request.of(**request)), lambda _: ())
        traces = Traces(build_encoder(opened.plan.inference, opened.weights), opened.plan.outputs)
        write_saved_model(Export(module=module, traces=traces, constants=opened.weights.constants()), folder)
    return folder
