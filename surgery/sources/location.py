"""Finds a module's folder from the MODULE argument: a folder, an archive, a checkpoint, or a Hub handle."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path

from surgery.errors import ModuleError, SurgeryError
from surgery.sources import EXPECTED, module_folders
from surgery.sources.files import ARCHIVES, SAVED_MODEL, Files
from surgery.sources.handles import Handle, handle_of, name_of
from surgery.sources.transformers_saved_model import saved_model_below
from surgery.wording import did_you_mean

SHARD = re.compile(r"\.data-[0-9]+-of-[0-9]+$")
"""The end of the name of a file with a checkpoint's values, which only a conversion reads."""
GZIP = b"\x1f\x8b"
DEEPEST = 5
"""A module is looked for on the first levels of an archive, down to this one."""


@contextmanager
def locate(module: str, *, with_weights: bool) -> Iterator[Files]:
    """Opens a module folder, unpacks an archive into a temporary folder, or fetches a handle.

    A path that exists wins over a handle without `://`. Without `with_weights`, the weights of an archive stay packed.
    An unpacked archive is removed when the block ends. Raises ModuleError when there is no such path, and when the
    archive, file or handle cannot be opened.
    """
    if (handle := _handle(module)) is not None:
        from surgery.sources.fetching import fetch

        yield _files(fetch(handle), handle.name)
        return
    path = Path(module)
    try:
        path.lstat()
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise ModuleError(f"opening {module[:200]}: {getattr(error, 'strerror', None) or error}") from error
    prefix = _checkpoint_prefix(path)
    if prefix is not None and (module_folder := prefix.parent.parent / SAVED_MODEL).is_file():
        raise ModuleError(
            f"opening {module}: it is the checkpoint of a SavedModel, whose keys carry no names",
            hint=f"did you mean {module_folder.parent}?",
        )
    if prefix is not None:
        yield Files(folder=prefix.parent, name=module_name(module), checkpoint=prefix.name)
        return
    if path.is_file() and module.endswith(ARCHIVES) and not _is_other(path):
        from surgery.processes.scratch import scratch_folder

        with scratch_folder() as scratch:
            files = _unpack(path, scratch, with_weights=with_weights)
            try:
                yield files
            except SurgeryError as error:
                error.rename(str(files.folder), module)
                raise
        return
    if path.is_file():
        raise _no_module(path)
    if not path.exists():
        raise _missing(module, path)
    yield _files(path, module_name(module))


def _files(folder: Path, name: str) -> Files:
    """The module in a folder, or in the folder below it where transformers saves one."""
    below = saved_model_below(folder)
    return Files(folder=below or folder, name=name, around=folder if below else None)


def module_name(module: str) -> str:
    """The name of a module, taken from its handle, archive or folder, without a version number.

    `https://tfhub.dev/tensorflow/bert_en_uncased_L-12_H-768_A-12/4` is `bert_en_uncased_L-12_H-768_A-12`. A checkpoint
    is named after its folder, because all of them are called `bert_model.ckpt`.
    """
    handle = _handle(module)
    return name_of(str(_named_path(Path(module)))) if handle is None else handle.name


def _handle(module: str) -> Handle | None:
    """The handle that a text is; None for a path that exists, and for what cannot be a handle."""
    return None if "://" not in module and os.path.lexists(module) else handle_of(module)


def _missing(module: str, path: Path) -> ModuleError:
    """The error for a path that does not exist, with the nearest name in its folder."""
    beside = sorted(entry.name for entry in path.parent.iterdir()) if path.parent.is_dir() else []
    near = did_you_mean(path.with_name(name) for name in get_close_matches(path.name, beside, n=2))
    hint = "give the folder that holds the module, its archive (.tar.gz, .tgz or .zip), or a handle (a URL)"
    if re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", module):
        hint += f"; the model of Hugging Face is hf://{module}"
    return ModuleError(
        f"opening {module}: there is no such folder or file", hint=f"{near} If not, {hint}" if near else hint
    )


def _is_other(archive: Path) -> bool:
    """Whether a file with an archive's name is something else: a Keras file is a zip file, too."""
    with suppress(OSError), archive.open("rb") as file:
        if file.read(2) != GZIP:
            from surgery.sources.single_files import known_file

            return known_file(archive) is not None
    return False


def _no_module(path: Path) -> ModuleError:
    """The error for a file that is neither an archive nor part of a checkpoint."""
    from surgery.sources.single_files import known_file

    known = known_file(path)
    beside = path.parent in module_folders(path.parent, depth=0)
    return ModuleError(
        f"opening {path}: it is {known.what if known else 'a file'}, expected a folder, an archive "
        f"({', '.join(ARCHIVES)}), or a URL",
        hint=known.lead if known else f"did you mean {path.parent}?" if beside else None,
    )


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
    outer = folders[0].parent.parent
    wraps = outer.is_relative_to(scratch) and saved_model_below(outer) == folders[0]
    name = module_name(str(archive))
    return Files(folder=folders[0], name=name, left_out=below, around=outer if wraps else None)
