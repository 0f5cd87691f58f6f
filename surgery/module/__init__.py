"""A module as plain frozen data, the same for every format: no later stage asks which format a module had.

Import the names from here: `from surgery.module import InspectedModule`.
"""

from surgery.module.inspected import Config, InspectedModule
from surgery.module.signatures import (
    DEFAULT_SIGNATURE,
    SERVE,
    MetaGraphInfo,
    OutputName,
    SignatureInfo,
    TensorInfo,
    for_inference,
)
from surgery.module.traces import Structure, Trace, describe, leaves
from surgery.module.variables import Tensors, VariableInfo, is_attribute, no_tensors

__all__ = [
    "DEFAULT_SIGNATURE",
    "SERVE",
    "Config",
    "InspectedModule",
    "MetaGraphInfo",
    "OutputName",
    "SignatureInfo",
    "Structure",
    "TensorInfo",
    "Tensors",
    "Trace",
    "VariableInfo",
    "describe",
    "for_inference",
    "is_attribute",
    "leaves",
    "no_tensors",
]
