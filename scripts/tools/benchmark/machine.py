"""A description of the machine on which the figures are taken."""

import importlib.metadata
import os
import pathlib
import platform


def describe_machine() -> dict[str, str | int | float]:
    """Return processor, usable cores, memory in GiB, system, and versions of Python and packages."""
    return {
        "cpu": cpu_model(),
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
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB memory, "
        f"{machine['system']}, Python {machine['python']}, TensorFlow {machine['tensorflow']}, "
        f"Model Garden {machine['tf_models_official']}"
    )


def cpu_model() -> str:
    """Return the processor's name, from the kernel if it gives one."""
    info = pathlib.Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def usable_cores() -> int:
    """Return the number of cores that this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
