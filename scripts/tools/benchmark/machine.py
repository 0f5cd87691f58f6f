"""A description of the machine on which the figures are taken."""

import importlib.metadata
import os
import platform

from surgery.tfserving.processor import read_processor

NOTED = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8")
"""The instruction sets on which the speed of matrix products depends."""


def describe_machine() -> dict[str, str | int | float]:
    """Return processor with instruction sets, cores, memory in GiB, system, and versions of Python and packages."""
    processor = read_processor()
    return {
        "cpu": processor.name or platform.processor() or platform.machine(),
        "instructions": " ".join(name for name in NOTED if name in (processor.flags or ())),
        "flags": " ".join(sorted(processor.flags or ())),
        "cores": usable_cores(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "tensorflow": importlib.metadata.version("tensorflow"),
        "tf_models_official": importlib.metadata.version("tf-models-official"),
    }


def one_line(machine: dict[str, str | int | float]) -> str:
    """Return the description as one line of text."""
    return (
        f"{machine['cpu']} ({machine['instructions']}), {machine['cores']} cores, {machine['memory_gib']} GiB memory, "
        f"{machine['system']}, Python {machine['python']}, TensorFlow {machine['tensorflow']}, "
        f"Model Garden {machine['tf_models_official']}"
    )


def usable_cores() -> int:
    """Return the number of cores that this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
