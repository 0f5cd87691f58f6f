"""Input number N of seed S: which sample, which kind of change, and the changed module in a folder or archive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from scripts.tools.fuzz import archives, checkpoints, folders, saved_models, text_files
from scripts.tools.fuzz.samples import Sample, copy


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of change.

    Attributes:
        weight: How often it is chosen, beside the other kinds.
        pattern: The files that it needs, below a module's folder.
        change: Changes a copy of a module in place, and says how; None for archives, which are made of a copy.
    """

    weight: int
    pattern: str
    change: Callable[[Random, Path], str] | None


KINDS = {
    "graph": Kind(weight=8, pattern="**/saved_model.pb", change=saved_models.change),
    "checkpoint": Kind(weight=5, pattern="**/*.index", change=checkpoints.change),
    "safetensors": Kind(weight=5, pattern="**/*.safetensors", change=text_files.change_safetensors),
    "json": Kind(weight=5, pattern="**/*.json", change=text_files.change_json),
    "vocabulary": Kind(weight=2, pattern="**/*vocab*", change=text_files.change_vocabulary),
    "folder": Kind(weight=1, pattern="**/*", change=folders.change),
    "archive": Kind(weight=2, pattern="**/*", change=None),
}


@dataclass(frozen=True, kw_only=True)
class Input:
    """A changed module.

    Attributes:
        number: Its number.
        sample: The sample of which it was made.
        kind: The kind of change.
        said: What was changed.
        path: The folder, or the archive.
        rng: Further choices, such as those of a command's options.
    """

    number: int
    sample: Sample
    kind: str
    said: str
    path: Path
    rng: Random


def make(seed: int, number: int, samples: Sequence[Sample], area: Path) -> Input:
    """Writes an input into the empty folder `area`. The same numbers and samples make the same input."""
    rng = Random(f"{seed}/{number}")
    sample = rng.choice(samples)
    possible = {name: kind for name, kind in KINDS.items() if any(sample.folder.glob(kind.pattern))}
    (name,) = rng.choices([*possible], weights=[kind.weight for kind in possible.values()])
    folder = copy(sample, area / "input")
    change = possible[name].change
    if change is not None:
        path, said = folder, change(rng, folder)
    else:
        path, said = archives.pack(rng, folder, area)
    return Input(number=number, sample=sample, kind=name, said=said, path=path, rng=rng)
