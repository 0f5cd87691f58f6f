"""Which versions of a model the server shall serve, and under which labels: a canary beside the stable one.

By default the server serves the newest version of a base path. A version that is not the newest has to be named. Labels
(`stable`, `canary`) name versions for clients, and can be moved from one to another while the server runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from surgery.arguments import argument
from surgery.errors import UsageError
from surgery.sources.files import SAVED_MODEL
from surgery.wording import is_number

if TYPE_CHECKING:
    from surgery.module import SignatureInfo

LABEL = re.compile(r"[A-Za-z0-9_]+")
"""A label, as TensorFlow Serving's documents restrict it."""


@dataclass(frozen=True, kw_only=True)
class Versions:
    """The versions of a model.

    Attributes:
        version: The version that is described; None where the folder's name is no number.
        there: All versions in the base path.
        labels: The version that each label names.
    """

    version: int | None
    there: tuple[int, ...] = ()
    labels: Mapping[str, int] = field(default_factory=dict)

    @property
    def newer(self) -> tuple[int, ...]:
        """The higher versions, which the server would serve instead."""
        return tuple(number for number in self.there if self.version is not None and number > self.version)

    @property
    def named(self) -> tuple[int, ...]:
        """The versions that the configuration names; none where the server shall serve the newest."""
        if self.version is None or not (self.labels or self.newer):
            return ()
        return tuple(sorted({self.version, *self.labels.values()}))

    @property
    def own_label(self) -> str | None:
        """The first label of the described version; None where it has none."""
        return next((label for label, version in self.labels.items() if version == self.version), None)

    @property
    def next(self) -> int:
        """The number that a further version gets."""
        return max(self.there, default=0) + 1


def versions_in(base_path: Path) -> tuple[int, ...]:
    """The numbers of the versions in a base path, in order: of the folders that the server would look at."""
    if not base_path.is_dir():
        return ()
    return tuple(sorted(int(path.name) for path in base_path.iterdir() if is_number(path.name) and path.is_dir()))


def labelled(versions: Versions, labels: Mapping[str, int], base_path: Path) -> Mapping[str, int]:
    """The labels, each of a version that is there.

    Raises UsageError for a name that is no label, for a version that is not there, and for a folder without versions.
    """
    for label, number in labels.items():
        doing = argument("labels", {label: number})
        if not LABEL.fullmatch(label):
            raise UsageError(f"{doing}: expected a label of letters, digits and _, found {label!r}")
        if versions.version is None:
            raise UsageError(
                f"{doing}: expected an export in a folder named by a version number, such as bert/1",
                hint="move it there first: without labels, surgery serving prints the command",
            )
        if not (base_path / str(number) / SAVED_MODEL).is_file():
            there = ", ".join(map(str, versions.there))
            raise UsageError(
                f"{doing}: expected a SavedModel in {base_path / str(number)}, found none",
                hint=f"{base_path} has {'version' if len(versions.there) == 1 else 'versions'} {there}",
            )
    return dict(labels)


def read_labels(given: Mapping[str, int] | Iterable[str]) -> dict[str, int]:
    """Labels by name, from a mapping or from texts such as "canary=2".

    Raises UsageError for a text of another form, and for a label that is given two versions.
    """
    pairs = given.items() if isinstance(given, Mapping) else map(_pair, given)
    found: dict[str, int] = {}
    for label, number in pairs:
        if found.setdefault(label, number) != number:
            raise UsageError(
                f"{argument('labels', {label: number})}: the label names version {found[label]} already",
                hint="a label names one version; a version may have several labels",
            )
    return found


def differences(described: Iterable[SignatureInfo], others: Mapping[str, SignatureInfo], number: int) -> Iterator[str]:
    """How another version's signatures differ from the described ones for a client, a sentence each."""
    for signature in described:
        other = others.get(signature.name)
        if other is None:
            yield f"version {number} has no signature {signature.name}: a client of its label gets an error"
            continue
        inputs = {tensor.key: tensor.dtype for tensor in signature.inputs}
        if inputs != {tensor.key: tensor.dtype for tensor in other.inputs}:
            yield f"version {number} takes other inputs in its signature {signature.name}: one client cannot ask both"
        missing = sorted({t.key for t in signature.outputs} - {t.key for t in other.outputs})
        if missing:
            yield f"version {number} lacks outputs of its signature {signature.name}: {', '.join(missing)}"


def _pair(text: str) -> tuple[str, int]:
    label, equals, number = text.partition("=")
    if not equals or not label or not is_number(number):
        raise UsageError(
            f"{argument('labels', text)}: expected LABEL=VERSION, such as canary=2", hint="VERSION is a whole number"
        )
    return label, int(number)
