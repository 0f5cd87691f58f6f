"""Values that readers find hard: numbers at the edges of their types, names with control characters, long texts."""

from __future__ import annotations

from random import Random

INTEGERS = (0, 1, -1, 2, 7, 100, 255, 65_536, 10**6, 10**9, 2**31 - 1, -(2**31), 2**32, 2**62, 2**63 - 1, -(2**63))
FLOATS = (0.0, -1.0, 1e-45, 1e38, 1e300, float("inf"), float("-inf"), float("nan"))
NAMES = (
    "",
    " ",
    ".",
    "..",
    "/",
    "../../etc/hostname",
    "/etc/hostname",
    "a/../../b",
    "^",
    "^^a",
    ":",
    "a:b:c",
    ":0",
    "\0",
    "a\0b",
    "\n",
    '"""',
    "'; $(id)",
    "\\N{",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x9b31m",
    "\u202eabc",
    "²",
    "\ufeff",
    "[bold]",
    "%s{}",
    "é" * 300,
    "x" * 100_000,
)


def integer(rng: Random, before: int = 0) -> int:
    """An integer at an edge, or one near the value before."""
    return rng.choice((rng.choice(INTEGERS), before + rng.choice((-1, 1)), rng.randrange(256)))


def number(rng: Random) -> float:
    """A floating-point number at an edge, or between."""
    return rng.choice((*FLOATS, rng.uniform(-1, 1)))


def name(rng: Random, before: str = "") -> str:
    """A name with unusual characters, or one that resembles the name before."""
    return rng.choice((rng.choice(NAMES), before + "_1", before[:-1], before.upper(), before[::-1]))


def damaged(rng: Random, data: bytes) -> bytes:
    """Bytes that are cut, extended, flipped at a few places, or partly repeated."""
    at = rng.randrange(len(data) + 1)
    how = rng.randrange(5)
    if how == 0:
        return data[:at]
    if how == 1:
        return data + rng.randbytes(rng.choice((1, 8, 1000)))
    if how == 2:
        return data[:at] + data[rng.randrange(len(data) + 1) :]
    if how == 3:
        return data[:at] + rng.randbytes(rng.choice((1, 4, 64))) + data[at:]
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8)) if data else 0):
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(changed)
