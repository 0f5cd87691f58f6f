"""What the builders share: packed samples, a generated vocabulary, seeded non-trivial weights, changed config files."""

from __future__ import annotations

import itertools
import json
import tarfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

PACKED = Path(__file__).parents[2] / "modules"
"""The packed samples."""
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def vocab_tokens(size: int) -> list[str]:
    """`size` different WordPiece tokens: special tokens, letters, their continuations, then made-up words."""
    syllables = [a + b for a, b in itertools.product("bdfklmnprst", "aeiou")]
    words = (a + b for a, b in itertools.product(syllables, syllables))
    more = (a + b for a, b in itertools.product(LETTERS, LETTERS))
    pieces = itertools.chain(
        SPECIAL_TOKENS,
        ".,!?'-",
        LETTERS,
        ("##" + c for c in LETTERS),
        words,
        ("##" + p for p in more),
        (f"word{i}" for i in itertools.count()),
    )
    return list(itertools.islice(pieces, size))


def write_vocab(folder: Path, size: int) -> Path:
    """Write `folder`/vocab.txt with `size` lines."""
    path = Path(folder) / "vocab.txt"
    path.write_text("\n".join(vocab_tokens(size)) + "\n", encoding="utf-8")
    return path


def random_value(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """A float32 value for the variable `name` of `shape` that depends on these and the seed only.

    Kernels and tables are drawn with deviation 0.05 to 0.1 (it differs from one variable to another), gamma
    lies around 1 +- 0.3, beta and bias within +- 0.1, so that no two blocks are alike and none is trivial.
    """
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    leaf = name.rsplit("/", 1)[-1]
    if leaf == "gamma":
        value = rng.uniform(0.7, 1.3, shape)
    elif leaf in ("beta", "bias"):
        value = rng.uniform(-0.1, 0.1, shape)
    else:
        value = rng.normal(0.0, rng.uniform(0.05, 0.1), shape)
    return value.astype(np.float32)


def randomise(variables: Iterable, seed: int) -> None:
    """Give every variable its `random_value`, by its name without `:0`."""
    for variable in variables:
        name = variable.name.split(":")[0]
        variable.assign(random_value(name, tuple(variable.shape), seed))


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack an archive into `folder`, which must not exist yet."""
    folder.mkdir(parents=True)
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder


def change_config(path: Path, *without: str, **changes: Any) -> None:
    """Set keys of a JSON config file, and remove those of `without`."""
    values = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps({key: value for key, value in values.items() if key not in without}), encoding="utf-8")
