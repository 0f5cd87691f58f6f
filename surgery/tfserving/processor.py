"""The processor's name and instruction sets, as the Linux kernel lists them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
BFLOAT16 = ("avx512_bf16", "amx_bf16")
"""The flags of x86 processors that multiply matrices of bfloat16."""


@dataclass(frozen=True, kw_only=True)
class Processor:
    """A processor.

    Attributes:
        name: Its name; empty where it is not known.
        flags: The names of its instruction sets; None where they are not known.
    """

    name: str
    flags: frozenset[str] | None

    @property
    def bfloat16(self) -> tuple[str, ...]:
        """The instruction sets for bfloat16 that it is known to have."""
        return tuple(flag for flag in BFLOAT16 if flag in (self.flags or ()))


def read_processor(file: Path = CPUINFO) -> Processor:
    """This machine's processor. Without the kernel's file, or without flags in it, they are not known."""
    facts: dict[str, str] = {}
    try:
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            key, colon, value = line.partition(":")
            if colon:
                facts.setdefault(key.strip(), value.strip())
    except OSError:
        pass
    flags = facts.get("flags")
    return Processor(name=facts.get("model name", ""), flags=None if flags is None else frozenset(flags.split()))
