"""The family of a module: the one whose weight table explains every variable, by name alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from surgery.errors import UnexplainedError
from surgery.explanation.claims import Explanation, explain
from surgery.explanation.config import model_type
from surgery.families import FAMILIES
from surgery.module import InspectedModule, is_attribute
from surgery.tables.family import Family
from surgery.tables.rules import Dialect, WeightRule


def find_embedded(module: InspectedModule) -> dict[str, tuple[Family, Explanation]]:
    """The families whose weights are among the variables of a larger model, by the scope under which they stand.

    Variables that no row claims may be left over: they belong to the larger model.
    """
    names = [variable.name for variable in module.variables]
    found: dict[str, tuple[Family, Explanation]] = {}
    for family, dialect in candidates(module):
        scopes = (scope for name in names for scope in _scopes(name, dialect.rules[0]))
        for scope in dict.fromkeys(("", *scopes)):
            explanation = explain(dialect, module.variables, scope)
            if replace(explanation, unclaimed=()).complete:
                _, other = found.get(scope, (family, explanation))
                if len(explanation.unclaimed) <= len(other.unclaimed):
                    found[scope] = family, explanation
    return found


def _scopes(name: str, rule: WeightRule) -> Iterator[str]:
    """The scopes under which a row claims a variable of this name: "" if the row's pattern is the whole name.

    Google-research's BertModel takes the name of its own scope as an argument: in LEALLA, "student_" stands before it.
    """
    begun = (match.start() for match in re.finditer(re.escape(rule.beginning), name))
    return (name[:start] for start in begun if rule.match(name[start:]) is not None)


NEAR = 0.5
"""The share of a module's weights that a table claims at least, if the module is an encoder with a fault."""


def find_family(module: InspectedModule) -> tuple[Family, Explanation]:
    """The family and dialect whose table explains every variable.

    Raises:
        UnexplainedError: None does; the details list the variables that the nearest table could not explain.
    """
    weights = [variable for variable in module.variables if variable.outside is None and not is_attribute(variable)]
    tried = []
    for family, dialect in candidates(module):
        explanation = explain(dialect, weights, module.scope)
        if explanation.complete:
            return family, explanation
        tried.append((family, explanation))
    family, nearest = max(tried, key=lambda pair: (len(pair[1].claims), -len(pair[1].idle)))
    if len(nearest.claims) < NEAR * len(weights) and module.saved_model is not None:
        raise UnexplainedError(
            f"looking for a weight table that explains {module.name} ({module.format}, {len(weights)} weights): "
            f"none does, and none is near, so it is no encoder that surgery knows. The nearest, {family.name}, claims "
            f"{len(nearest.claims)} of {len(weights)}",
            hint="surgery graph lists the tensors of any SavedModel, surgery tap makes outputs of them",
        )
    label = f"{family.name}, {' or '.join(nearest.dialect.generation.values())}"
    raise UnexplainedError(
        f"looking for a weight table that explains {module.name} ({module.format}, {len(weights)} weights): none does. "
        f"The nearest, {label}, claims {len(nearest.claims)} of {len(weights)}",
        hint=_hint(module),
        details=nearest.complaints(),
    )


def _hint(module: InspectedModule) -> str:
    if module.config is not None and model_type(module.config) is None and "." in module.variables[0].name:
        return f'{module.config.file} has no "model_type": add it, such as "bert", if you know what the checkpoint is'
    return "surgery converts BERT encoders; `surgery inspect` shows what this module is"


def candidates(module: InspectedModule) -> list[tuple[Family, Dialect]]:
    """The tables to try: all, or for a checkpoint those whose publisher writes such a config.

    Raises UnexplainedError for a config of another architecture, because equal names need not mean the same function.
    """
    dialects = [(family, dialect) for family in FAMILIES for dialect in family.dialects]
    if module.config is None:
        return dialects
    publishers = [(family, dialect, dialect.publisher) for family, dialect in dialects if dialect.publisher is not None]
    named = model_type(module.config)
    found = [(family, dialect) for family, dialect, kind in publishers if named in kind.model_types]
    if not found:
        known = sorted({name for _, _, kind in publishers for name in kind.model_types if name is not None})
        raise UnexplainedError(
            f"looking for a weight table that explains {module.name} ({module.format}): {module.config.file} names the "
            f"architecture {named}; known are {', '.join(known)}",
            hint="surgery converts BERT encoders; `surgery inspect` shows what this module is",
        )
    return found
