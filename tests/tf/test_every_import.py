"""Importing any part of the package leaves the public functions what they are."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import surgery
from surgery.edits import KeepBlocks

PUBLIC = ("convert", "edit", "extract", "graph", "inspect", "plan", "preprocess", "serving", "tap", "verify")


def test_no_module_bears_the_name_of_a_public_function():
    assert not {module.name for module in pkgutil.iter_modules(surgery.__path__)} & set(PUBLIC)


def test_after_every_import_the_public_functions_can_be_called(modules):
    names = [
        module.name
        for module in pkgutil.walk_packages(surgery.__path__, "surgery.")
        if module.name != "surgery.__main__"  # it runs the command line
    ]
    assert {"surgery.tf.session", "surgery.beam.pipeline", "surgery.planning.plan", "surgery.reports.edit"} <= {*names}
    for name in names:
        importlib.import_module(name)
    for function in PUBLIC:
        assert inspect.isfunction(getattr(surgery, function)), function
    assert surgery.inspect(modules("g3_small")).architecture is not None
    assert surgery.plan(modules("g3_small")).signatures
    assert surgery.graph(modules("g3_small")).tensors
    assert surgery.edit(modules("g3_small"), KeepBlocks("0:2")).hits
    assert surgery.serving(modules("g3_small")).fits
