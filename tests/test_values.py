"""Values of the pipeline's stages are frozen, built with keywords, and explain each field."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re

import pytest

import surgery
from surgery.module import Config

WHERE = (
    "surgery.formats.",
    "surgery.graphs.",
    "surgery.tables.",
    "surgery.families.",
    "surgery.explanation.",
    "surgery.planning.",
    "surgery.proof.",
    "surgery.export.",
    "surgery.batching.",
    "surgery.triton.exported",
    "surgery.triton.repository",
    "surgery.triton.endpoints",
    "surgery.tfserving.",
    "surgery.graph_taps.",
    "surgery.jobs.",
    "surgery.sources.",
    "surgery.module",
)
MODULES = [
    importlib.import_module(found.name)
    for found in pkgutil.walk_packages(surgery.__path__, "surgery.")
    if found.name.startswith(WHERE)
]
NAME_FIRST = ("surgery.planning.requests.Feature", "surgery.planning.requests.Tap")
"""What people write by hand: `Tap("query", layers=-1)`. The name comes first, the rest by keyword."""
VALUES = {
    f"{module.__name__}.{name}": value
    for module in MODULES
    for name, value in vars(module).items()
    if dataclasses.is_dataclass(value) and isinstance(value, type) and value.__module__ == module.__name__
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_frozen_built_with_keywords_and_explains_each_field(name):
    value = VALUES[name]
    fields = dataclasses.fields(value)
    assert value.__dataclass_params__.frozen
    assert all(field.kw_only for field in fields[name in NAME_FIRST :])
    section = inspect.getdoc(value).partition("\nAttributes:\n")[2]
    assert re.findall(r"^ {4}(\w+): \S", section, re.MULTILINE) == [field.name for field in fields]


def test_the_values_are_found():
    assert len(VALUES) > 40
    assert VALUES["surgery.module.inspected.Config"] is Config
