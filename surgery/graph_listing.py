"""The tensors of a signature's graph, by the names under which they can be tapped. No TensorFlow here.

A tensor is called as its operation is, `layer/Relu`; a further output has its number, `layer/Split:1`. What stands in
the body of a loop or a branch has no single value: it is known by name, so that a request for it can be answered.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from surgery.errors import ModuleError, UsageError
from surgery.formats import object_graph
from surgery.formats.call_tree import Body, called_functions, functions_of, tree_of_function, tree_of_graph, unique_names
from surgery.formats.flatten import Output
from surgery.formats.frames import enclosing_frames
from surgery.formats.op_types import definitions_of, output_shapes, output_types
from surgery.module import InspectedModule, Shape, SignatureInfo
from surgery.sources import inspect_folder, tf1, tf2, well_formed
from surgery.sources.location import locate

DEFAULTS = ("serving_default", "default")
"""Signatures that are meant when none is named."""
HANDLES = frozenset({"resource", "variant"})
"""Dtypes whose tensors are no values: variables, tables, lists of tensors."""
VALID_OUTPUT = re.compile(r"[A-Za-z0-9_]+")
NEAREST = 5
