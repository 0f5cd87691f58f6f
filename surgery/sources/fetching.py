"""Fetches a handle with the library made for it, in a process of its own, and says what to do where that fails.

The libraries keep what they fetch where their users expect it: tensorflow_hub in TFHUB_CACHE_DIR, kagglehub in
KAGGLEHUB_CACHE, huggingface_hub in HF_HOME. They unpack archives by themselves, so the result is looked at before
anything is read: `check_fetched` holds it to the limits of archives, and refuses what no module has.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from surgery import limits
from surgery.arguments import argument
from surgery.errors import ModuleError
from surgery.processes import child, network
from surgery.sources.files import inside
from surgery.sources.handles import (
    HUB,
    HUB_HOSTS,
    HUGGING_FACE,
    HUGGING_FACE_HOSTS,
    KAGGLE,
    KAGGLE_HOSTS,
    Handle,
    without_secrets,
)
from surgery.wording import did_you_mean

SERVICES = {HUB: "the server", KAGGLE: "Kaggle", HUGGING_FACE: "Hugging Face"}
KEPT = {HUB: "TFHUB_CACHE_DIR", KAGGLE: "KAGGLEHUB_CACHE", HUGGING_FACE: "HF_HOME"}
"""The environment variables that say where the libraries keep what they have fetched."""
EXTRA = "pip install 'hub-surgery[handles]'"
BY_HAND = {
    HUB: "or download {page} and give the archive",
    KAGGLE: "or download it on {page} and give the archive",
    HUGGING_FACE: "or put config.json, model.safetensors and vocab.txt of {page} into a folder, and give that",
}
LOG_IN = {
    KAGGLE: "open {page}, sign in, and accept what it asks for; then make an API token in your settings there, and set "
    "KAGGLE_API_TOKEN",
    HUGGING_FACE: "open {page}, sign in, and accept its terms; then run hf auth login, or set HF_TOKEN",
    HUB: "check the URL; the server wants a login, which tensorflow_hub does not have",
}


def fetch(handle: Handle) -> Path:
    """The folder of a handle's module, fetched or kept from the last time.

    Raises ModuleError where the library is not installed, the host cannot be reached or does not hand the module out,
    or what came is no module; LimitError for more bytes or files than the limits allow.
    """
    if find_spec(handle.library) is None:
        raise _error(
            handle,
            f"{handle.library} is not installed, which resolves it",
            f"{EXTRA}\n{BY_HAND[handle.library].format(page=without_secrets(handle.page))}",
        )
    asked = {
        "library": handle.library,
        "address": handle.address,
        "revision": handle.revision,
        "seconds": limits.limit("answer_seconds"),
        "bytes": limits.limit("unpacked_bytes"),
    }
    done = subprocess.run(
        child.command("-m", "surgery.tf.resolve", json.dumps(asked)),
        stdout=subprocess.PIPE,
        stderr=None if sys.stderr is not None and sys.stderr.isatty() else subprocess.PIPE,  # the library's progress
        text=True,
        check=False,
    )
    try:
        told = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        said = (done.stderr or "").strip().splitlines() or [f"the process ended with {done.returncode}"]
        told = {"kind": "other", "said": said[-1]}
    if "folder" not in told:
        raise _failure(handle, told)
    folder = Path(told["folder"])
    check_fetched(folder, f"resolving the handle {handle.shown}", told["files"])
    return folder


def check_fetched(folder: Path, doing: str, patterns: Sequence[str] | None = None) -> None:
    """Holds a fetched folder to the limits of an archive. `patterns` are those of the files that were fetched.

    Raises LimitError for more bytes or files than the limits allow, and ModuleError for a link that leads outside and
    for what is neither a file nor a folder.
    """
    count = size = 0
    for path in _below(folder):
        name = path.relative_to(folder).as_posix()
        if patterns is not None and not any(fnmatch(name, pattern) for pattern in patterns):
            continue
        inside(folder, name)
        found = os.stat(path)
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            raise ModuleError(
                f"{doing}: expected regular files and folders, found {name}, which is neither",
                hint=f"modules have no such files: remove {folder}, and do not trust where it came from",
            )
        count += 1
        size += found.st_size if stat.S_ISREG(found.st_mode) else 0
        limits.check("files", count, doing, exactly=False)
        limits.check("unpacked_bytes", size, doing, exactly=False)


def _below(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        yield from (Path(parent, name) for name in (*folders, *names))


def _failure(handle: Handle, told: Mapping[str, Any]) -> Exception:
    """The error for what the process has told about its failure."""
    service, host, said = SERVICES[handle.library], told.get("host") or "the host", told["said"]
    match told["kind"]:
        case network.OFFLINE:
            return _error(
                handle,
                f"there is no network: no host can be found or reached ({said})",
                f"connect first, or give a folder. What was fetched before is kept in {KEPT[handle.library]}",
            )
        case network.UNKNOWN_HOST:
            known = get_close_matches(host, [*HUB_HOSTS, *KAGGLE_HOSTS, *HUGGING_FACE_HOSTS], n=1, cutoff=0.6)
            suggestion = did_you_mean(known)
            return _error(
                handle,
                f"no host is called {host} ({said})",
                (f"{suggestion} " if suggestion else "") + "there is a network: check how the host is written",
            )
        case network.REFUSED:
            return _error(handle, f"{host} takes no connection ({said})", "check the address, its port, and the proxy")
        case network.SILENT:
            seconds = limits.limit("answer_seconds")
            return _error(
                handle,
                f"{host} has not answered in {seconds} seconds",
                f"try again later, or wait longer: {argument('limits', {'answer_seconds': 6 * seconds})}",
            )
        case "status":
            return _refusal(handle, service, told["status"], told["error"], said)
        case "too large":
            return limits.exceeded("unpacked_bytes", None, f"resolving the handle {handle.shown}")
        case "unfit":
            return _error(handle, said, f"choose a model whose page has model.safetensors: {handle.page}")
        case "pickled":
            return _error(handle, said, _convert_elsewhere(handle))
    if "does not appear to be a valid module" in said:
        return _error(handle, f"what came is no archive of a module ({said})", "give the URL of its .tar.gz itself")
    return _unnamed(handle, said)


def _unnamed(handle: Handle, said: str) -> ModuleError:
    return _error(handle, said, f"check the handle and the network; {KEPT[handle.library]} says where modules are kept")


def _refusal(handle: Handle, service: str, status: int, error: str, said: str) -> ModuleError:
    """The error for a server's answer that refuses the module."""
    page = handle.page
    if error == "RevisionNotFoundError":
        return _error(handle, f"the model has no revision {handle.revision}", f"its revisions are listed on {page}")
    if error == "RepositoryNotFoundError":
        return _error(
            handle,
            f"{service} has no model of this name, or it is private ({status})",
            f"check the name on {page}; for a private model run hf auth login, or set HF_TOKEN",
        )
    if status in (401, 403):
        reason = "it is private, or wants you to accept its terms"
        return _error(
            handle, f"{service} does not hand it out ({status}): {reason}", LOG_IN[handle.library].format(page=page)
        )
    if status == 404 and handle.library == KAGGLE:
        return _error(
            handle,
            f"{service} has no such model, framework, variation or version (404)",
            f"compare it with {page.rpartition('/')[0].rpartition('/')[0]}",
        )
    return _unnamed(handle, said)


def _convert_elsewhere(handle: Handle) -> str:
    name = handle.name
    return (
        "where you trust the model, write it as safetensors, with transformers and PyTorch:\n"
        "    import transformers\n"
        f"    transformers.AutoModel.from_pretrained({handle.address!r}).save_pretrained({name!r}, "
        f"safe_serialization=True)\nthen, in a shell: surgery inspect {name}"
    )


def _error(handle: Handle, reason: str, hint: str) -> ModuleError:
    reason = without_secrets(reason)  # a library's own words may have a signed URL, to which it was sent on
    if handle.plain:
        kind = "the id of a model of Hugging Face" if handle.library == HUGGING_FACE else "a handle"
        return ModuleError(
            f"opening {handle.shown}: there is no such folder or file. Read as {kind}: {reason}",
            hint=f"if it is a path, check how it is written from {Path.cwd()}; otherwise:\n{hint}",
        )
    return ModuleError(f"resolving the handle {handle.shown}: {reason}", hint=hint)
