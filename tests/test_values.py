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

COMMANDS = ("surgery.__main__", "surgery.triton.__main__")
"""Modules that run when they are imported."""
NAMES = [found.name for found in pkgutil.walk_packages(surgery.__path__, "surgery.") if found.name not in COMMANDS]
WITH_TENSORFLOW = ("surgery.tf.", "surgery.triton.model")
"""Importing these loads TensorFlow, which takes seconds: not while tests are collected."""
MODULES = [importlib.import_module(name) for name in NAMES if not name.startswith(WITH_TENSORFLOW)]
BY_POSITION = {
    "surgery.planning.requests.Feature": 1,
    "surgery.planning.requests.Tap": 1,
    "surgery.edits.KeepBlocks": 1,
    "surgery.edits.DropBlocks": 1,
    "surgery.edits.PruneHeads": 2,
    "surgery.edits.InsertLayer": 2,
    "surgery.edits.ReplaceBlock": 2,
}
"""What people write by hand, `Tap("query", layers=-1)`, and how many of its fields need no keyword."""


def found(wanted, modules=MODULES) -> dict[str, type]:
    return {
        f"{module.__name__}.{name}": value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and wanted(value)
    }


VALUES = found(dataclasses.is_dataclass)
TUPLES = found(lambda value: issubclass(value, tuple) and not value.__name__.startswith("_"))


def explained(value: type) -> list[str]:
    """The fields of which the docstring has a line, in its order."""
    section = inspect.getdoc(value).partition("\nAttributes:\n")[2]
    return re.findall(r"^ {4}(\w+): \S", section, re.MULTILINE)


def check(name: str, value: type) -> None:
    fields = dataclasses.fields(value)
    assert value.__dataclass_params__.frozen, name
    assert all(field.kw_only for field in fields[BY_POSITION.get(name, 0) :]), name
    assert explained(value) == [field.name for field in fields], name


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_frozen_built_with_keywords_and_explains_each_field(name):
    check(name, VALUES[name])


def test_so_is_a_value_of_the_folder_that_imports_tensorflow():
    modules = [importlib.import_module(name) for name in NAMES if name.startswith(WITH_TENSORFLOW)]
    values = found(dataclasses.is_dataclass, modules)
    del values["surgery.tf.layers.Watched"]  # no value: it collects tensors while a network is called
    assert values
    for name, value in values.items():
        check(name, value)


@pytest.mark.parametrize("name", TUPLES)
def test_a_tuple_explains_each_field(name):
    assert explained(TUPLES[name]) == list(TUPLES[name]._fields)


def test_the_values_are_found():
    assert len(VALUES) > 60
    assert len(TUPLES) > 5
    assert VALUES["surgery.module.inspected.Config"] is Config
