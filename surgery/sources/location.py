"""From what a person types to a folder: a module folder, an archive of one, or a Hub handle."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from surgery.errors import ModuleError

ARCHIVES = (".tar.gz", ".tgz")
HANDLE = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)
WEIGHTS = "variables/variables.data-"


@dataclass(frozen=True)
class Located:
    """A module's folder and name; `left_out` are its files that were not unpacked because nobody needs them."""

    folder: Path
    name: str
    left_out: frozenset[str] = frozenset()


@contextmanager
def locate(module: str, *, with_weights: bool) -> Iterator[Located]:
    """Opens a module folder, unpacks an archive into a temporary folder, or resolves a handle with tensorflow_hub.

    Without `with_weights` an archive's weights stay packed. Raises ModuleError when there is nothing to open.
    """
    if HANDLE.match(module):
        yield Located(_resolve(module), module_name(module))
        return
    path = Path(module)
    try:
        path.lstat()
    except FileNotFoundError:
        pass  # inspect_folder says so, with a hint
    except (OSError, ValueError) as error:
        raise ModuleError(f"opening {module[:200]}: {getattr(error, 'strerror', None) or error}") from error
    if path.is_file() and module.endswith(ARCHIVES):
        with tempfile.TemporaryDirectory(prefix="surgery-") as scratch:
            yield _unpack(path, Path(scratch), with_weights=with_weights)
        return
    if path.is_file():
        raise ModuleError(
            f"opening {module}: it is a file, expected a folder, a .tar.gz or .tgz archive, or a URL",
            hint=f"did you mean {path.parent}?" if path.name == "saved_model.pb" else None,
        )
    yield Located(path, module_name(module))


def module_name(module: str) -> str:
    """The name that a handle, an archive or a folder gives its module, without a version number.

    `https://tfhub.dev/tensorflow/bert_en_uncased_L-12_H-768_A-12/4` is `bert_en_uncased_L-12_H-768_A-12`.
    """
    plain = re.sub(r"[?#].*$", "", module) if HANDLE.match(module) else str(Path(module).resolve())
    parts = [part for part in plain.split("/") if part]
    while len(parts) > 1 and parts[-1].isdigit():
        parts.pop()
    name = parts[-1] if parts else "module"
    for ending in ARCHIVES:
        name = name.removesuffix(ending)
    return re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".") or "module"


def _unpack(archive: Path, scratch: Path, *, with_weights: bool) -> Located:
    left_out: list[str] = []
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                if not with_weights and WEIGHTS in member.name:
                    left_out.append(member.name)
                else:
                    tar.extract(member, scratch, filter="data")
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise ModuleError(
            f"unpacking {archive}: {error}", hint="the archive is truncated or no .tar.gz: fetch it again"
        ) from error
    graphs = sorted(scratch.rglob("saved_model.pb"), key=lambda path: len(path.parts))
    folder = graphs[0].parent if graphs else scratch
    inside = folder.relative_to(scratch).as_posix()
    names = (re.sub(r"^\./", "", name) for name in left_out)
    below = frozenset(name.removeprefix(f"{inside}/") if inside != "." else name for name in names)
    if not graphs:
        raise ModuleError(f"opening {archive}: expected a saved_model.pb in the archive, found none")
    return Located(folder, module_name(str(archive)), below)


def _resolve(handle: str) -> Path:
    """Lets tensorflow_hub download and cache a handle, in a process of its own: this one stays free of TensorFlow."""
    command = [sys.executable, "-m", "surgery.runtime.resolve", handle]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ModuleError(
            f"resolving the handle {handle}: {reason}",
            hint="check the URL and the network; TFHUB_CACHE_DIR says where modules are kept",
        )
    return Path(done.stdout.strip().splitlines()[-1])
