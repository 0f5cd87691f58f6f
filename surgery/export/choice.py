"""The outputs that a layer around an export returns: chosen by name from what the export's call returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from surgery.arguments import OneOrMore, argument
from surgery.errors import UsageError
from surgery.explanation.outputs import entry_name
from surgery.export.description import Description
from surgery.planning.features import READY_MADE, ResolvedFeature, resolve_features
from surgery.planning.requests import Feature
from surgery.wording import did_you_mean


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One output of a layer.

    Attributes:
        key: Its key where the layer returns a dict.
        names: The tensors that it consists of, by the names that they have in signatures.
        listed: True for a list of tensors, also if it has a single one.
        feature: The feature that has to be computed for it; None for tensors that the call returns.
    """

    key: str
    names: tuple[str, ...]
    listed: bool = False
    feature: ResolvedFeature | None = None


def choose(description: Description, asked: Sequence[str]) -> tuple[Choice, ...]:
    """The outputs by what a caller asks for: a name, or a feature in its short form.

    Raises UsageError for an output that the export does not have, and one that is asked for twice.
    """
    found = tuple(_choose(description, str(name)) for name in asked)
    keys = [choice.key for choice in found]
    if double := next((key for key in keys if keys.count(key) > 1), None):
        raise UsageError(f"{argument('outputs', list(asked))}: {double} is there twice")
    return found


def _choose(description: Description, name: str) -> Choice:
    lists = {key: tuple(entry_name(key, number) for number in numbers) for key, numbers in description.lists.items()}
    if name in lists:
        return Choice(key=name, names=lists[name], listed=True)
    if name in description.outputs or any(name in entries for entries in lists.values()):
        return Choice(key=name, names=(name,))
    asked = [name] if "=" in name else [*description.features]
    taken = {read.name for short in asked if (read := Feature.read(short)) is not None}
    features = resolve_features(asked, [ready for ready in READY_MADE if ready not in taken], description.names)
    for feature in features.values():
        if name == feature.name or ("=" in name and feature.name in taken):
            return Choice(key=feature.name, names=feature.outputs, listed=feature.mix == "none", feature=feature)
        if name in feature.outputs:
            return Choice(key=name, names=(name,), feature=feature)
    known = [*description.outputs, *features]
    near = get_close_matches(name, [*known, *(entry for entries in lists.values() for entry in entries)], n=2)
    raise UsageError(
        f"{argument('outputs', name)}: the export has no such output",
        hint=did_you_mean(near) or "it has " + ", ".join(known),
    )


def short_forms(outputs: OneOrMore[str | Feature] | None) -> str | list[str] | None:
    """What a caller asks for as texts, which a configuration can keep: one, or several."""
    if outputs is None or isinstance(outputs, str | Feature):
        return outputs.short if isinstance(outputs, Feature) else outputs
    return [output.short if isinstance(output, Feature) else str(output) for output in outputs]
