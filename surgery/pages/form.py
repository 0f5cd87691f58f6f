"""The form of the JSON that a page is drawn from, where it comes from a file that anybody may have changed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TEXT, FLAG, COUNT = "a text", "true or false", "a whole number from 0 below 2**63"
NUMBER, NUMBER_OR_NULL = "a number", "a number or null"
ANY = "anything"
"""The leaves of a form."""
MISSING = object()
"""The value of a key that is not there."""


@dataclass(frozen=True, kw_only=True)
class Optional:
    """A key that may be missing, or null.

    Attributes:
        form: The form of its value.
    """

    form: Any


def misfit(value: Any, form: Any, at: str = "") -> str | None:
    """The first spot at which a value has another form, and what was expected; None if it fits.

    A form is a leaf, a dict of forms by key (further keys may be there, and `...` stands for any key), or a list with
    the form of every item.
    """
    if isinstance(form, Optional):
        return None if value is None or value is MISSING else misfit(value, form.form, at)
    if value is MISSING:
        return f"{at}: it is missing"
    if isinstance(form, list):
        if not isinstance(value, list):
            return _expected(at, "a list", value)
        found = (misfit(item, form[0], f"{at}[{number}]") for number, item in enumerate(value))
    elif isinstance(form, dict):
        if not isinstance(value, dict):
            return _expected(at, "an object", value)
        found = (misfit(item, below, f"{at}.{key}".lstrip(".")) for key, item, below in _keys(value, form))
    else:
        return None if _is(value, form) else _expected(at, form, value)
    return next((problem for problem in found if problem is not None), None)


def _keys(value: Mapping[str, Any], form: Mapping[Any, Any]) -> list[tuple[str, Any, Any]]:
    if ... in form:
        return [(key, item, form[...]) for key, item in value.items()]
    return [(key, value.get(key, MISSING), below) for key, below in form.items()]


def _is(value: Any, leaf: str) -> bool:
    if leaf in (NUMBER, NUMBER_OR_NULL):
        return (value is None and leaf == NUMBER_OR_NULL) or _is_number(value)
    if leaf == COUNT:
        return isinstance(value, int) and _is_number(value) and 0 <= value < 2**63
    return leaf == ANY or isinstance(value, str if leaf == TEXT else bool)


def _is_number(value: Any) -> bool:
    """Whether a value is a finite number. JSON can have whole numbers for which a float has no room."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _expected(at: str, form: str, value: Any) -> str:
    found = "nothing" if value is None else f"{type(value).__name__} {value!r}"
    return f"{at or 'the document'}: expected {form}, found {found if len(found) <= 80 else f'{found[:79]}…'}"


OUTPUT = {
    "name": TEXT,
    "in_double": FLAG,
    "difference": NUMBER_OR_NULL,
    "module_error": NUMBER_OR_NULL,
    "export_error": NUMBER_OR_NULL,
    "rms": NUMBER_OR_NULL,
    "bit_equal": Optional(form=FLAG),
    "nonfinite": Optional(form=[COUNT]),
    "padding_rows": Optional(form=NUMBER),
    "passed": FLAG,
    "problem": TEXT,
}
PARITY = {
    "passed": FLAG,
    "reference": TEXT,
    "batches": COUNT,
    "float32_batches": COUNT,
    "outputs": [OUTPUT],
    "weights": {"compared": COUNT, "mismatches": [TEXT]},
    "contract": [TEXT],
    "inner": [TEXT],
    "unmatched": [TEXT],
    "lacking": {...: [TEXT]},
    "nonfinite_weights": Optional(form={...: COUNT}),
    "formulas": Optional(form=[TEXT]),
    "blocks": Optional(form={...: COUNT}),
    "bounds": Optional(form={"difference": NUMBER, "error_factor": NUMBER, "error_of_rms": NUMBER}),
}
MANIFEST = {
    "source": {"name": TEXT, "format": TEXT, "tensorflow_version": Optional(form=TEXT), "sha256": {...: TEXT}},
    "architecture": {"family": TEXT, "generation": TEXT},
    "evidence": [{"field": TEXT, "value": ANY, "source": TEXT, "place": TEXT, "count": COUNT}],
    "assignments": [
        {
            "variable": TEXT,
            "target": TEXT,
            "layout": TEXT,
            "shape": [COUNT],
            "sha256": TEXT,
            "group": Optional(form=TEXT),
            "block": Optional(form=COUNT),
        }
    ],
    "dropped": [{"variable": TEXT, "because": TEXT}],
    "kept": [TEXT],
    "outputs": {...: [TEXT]},
    "edits": Optional(form={"applied": [{"edit": ANY, "places": COUNT}]}),
    "parity": PARITY,
    "packages": {...: TEXT},
}
"""What a page reads of the manifest of an export. Manifests of earlier versions lack what is optional."""
TEXT_MANIFEST = {
    "text": {"seq_length": COUNT, "pieces": FLAG, "vocabulary": TEXT, "lower_case": Optional(form=FLAG)},
}
"""The same of a text export."""
