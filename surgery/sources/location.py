"""Finds a module's folder from the MODULE argument: a folder, an archive, a checkpoint, or a Hub handle."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from surgery.errors import ModuleError
from surgery.sources import EXPECTED, module_folders
from surgery.sources.files import Files
from surgery.wording import is_number, plain_name

ARCHIVES = (".tar.gz", ".tgz", ".zip")
HANDLE = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)
SHARD = re.compile(r"\.data-[0-9]+-of-[0-9]+$")
"""The end of the name of a file with a checkpoint's values, which only a conversion reads."""
DEEPEST = 5
"""A module is looked for on the first levels of an archive, down to this one."""


@contextmanager
def locate(module: str, *, with_weights: bool) -> Iterator[Files]:
    """Opens a module folder, unpacks an archive into a temporary folder, or resolves a handle with tensorflow_hub.

    Without `with_weights`, the weights of an archive stay packed. An unpacked archive is removed when the block ends.
    Raises ModuleError when the archive, file or handle cannot be opened. A folder is not checked here: a path that
    does not exist is passed on, and `inspect_folder` raises the error, with a hint.
    """
    if HANDLE.match(module):
        yield Files(folder=_resolve(module), name=module_name(module))
        return
    path = Path(module)
    try:
        path.lstat()
    except FileNotFoundError:
        pass  # inspect_folder raises the error, with a hint
    except (OSError, ValueError) as error:
        raise ModuleError(f"opening {module[:200]}: {getattr(error, 'strerror', None) or error}") from error
    prefix = _checkpoint_prefix(path)
    if prefix is not None:
        yield Files(folder=prefix.parent, name=module_name(module), checkpoint=prefix.name)
        return
    if path.is_file() and module.endswith(ARCHIVES):
        from surgery.processes.scratch import scratch_folder

        with scratch_folder() as scratch:
            yield _unpack(path, scratch, with_weights=with_weights)
        return
    if path.is_file():
        raise ModuleError(
            f"opening {module}: it is a file, expected a folder, an archive ({', '.join(ARCHIVES)}), or a URL",
            hint=f"did you mean {path.parent}?" if path.parent in module_folders(path.parent, depth=0) else None,
        )
    yield Files(folder=path, name=module_name(module))


def module_name(module: str) -> str:
    """The name of a module, taken from its handle, archive or folder, without a version number.

    `https://tfhub.dev/tensorflow/bert_en_uncased_L-12_H-768_A-12/4` is `bert_en_uncased_L-12_H-768_A-12`. A checkpoint
    is named after its folder, because all of them are called `bert_model.ckpt`.
    """
    plain = re.sub(r"[?#].*$", "", module) if HANDLE.match(module) else str(_named_path(Path(module)))
    parts = [part for part in plain.split("/") if part]
    while len(parts) > 1 and is_number(parts[-1]):
        parts.pop()
    name = parts[-1] if parts else "module"
    for ending in ARCHIVES:
        name = name.removesuffix(ending)
    return plain_name(name) or "module"


def _named_path(path: Path) -> Path:
    prefix = None if path.is_dir() else _checkpoint_prefix(path)
    # Path.resolve() raises RuntimeError for a link to itself, on Python 3.10 to 3.12.
    return Path(os.path.realpath(path if prefix is None else prefix.parent))


def _checkpoint_prefix(path: Path) -> Path | None:
    """The prefix of a checkpoint, such as `bert_model.ckpt`, from the prefix itself or the path of one of its files.

    None for a path that belongs to no checkpoint.
    """
    if path.is_dir():
        return None
    for prefix in (path, path.with_name(re.sub(r"\.(index|meta|data-[0-9]+-of-[0-9]+)$", "", path.name))):
        if prefix.with_name(f"{prefix.name}.index").is_file():
            return prefix
    return None


def _unpack(archive: Path, scratch: Path, *, with_weights: bool) -> Files:
    from surgery.sources.archives import unpack

    left_out = unpack(archive, scratch, stays_packed=lambda name: not with_weights and bool(SHARD.search(name)))
    folders = module_folders(scratch, depth=DEEPEST)
    if not folders:
        raise ModuleError(f"opening {archive}: expected {EXPECTED} in the archive, found none")
    inside = folders[0].relative_to(scratch).as_posix()
    below = frozenset(name.removeprefix(f"{inside}/") if inside != "." else name for name in left_out)
    return Files(folder=folders[0], name=module_name(str(archive)), left_out=below)


def _resolve(handle: str) -> Path:
    """Downloads and caches a handle with tensorflow_hub, in a separate process: this one must not load TensorFlow."""
    import subprocess

    from surgery.processes import child

    done = subprocess.run(
        child.command("-m", "surgery.tf.resolve", handle), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ModuleError(
            f"resolving the handle {handle}: {reason}",
            hint="check the URL and the network; TFHUB_CACHE_DIR says where modules are kept",
        )
    return Path(done.stdout.strip().splitlines()[-1])
