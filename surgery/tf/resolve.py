"""`python -m surgery.tf.resolve JSON` fetches a handle with the library made for it, and prints where it lies.

The argument is the JSON of `surgery.sources.fetching`. The last line of stdout is JSON as well: `folder` and `files` of
the module, or why it could not be fetched. The libraries are imported here, in a process of its own, because they load
TensorFlow, or wait for servers, or end with errors of any kind.
"""

from __future__ import annotations

import errno
import fnmatch
import hashlib
import json
import os
import resource
import socket
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from surgery.processes import network
from surgery.processes.network import Trouble

CHECKPOINT = (
    "config.json",
    "model.safetensors*",
    "tokenizer_config.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "*.model",
)
"""What surgery reads of a Hugging Face checkpoint. The repository may have the same weights in four other forms."""
SAVED_MODEL = ("saved_model.pb", "fingerprint.pb", "keras_metadata.pb", "variables/*", "assets/*", "assets.extra/*")
TRANSFORMERS = (*CHECKPOINT, "saved_model/*")
"""What surgery reads of a SavedModel that transformers has saved, in a folder of its own below the vocabulary."""
PICKLES = ("pytorch_model*.bin", "*.pt", "*.pth")

Asked = dict[str, Any]
"""What is asked for, and why its host cannot be reached (`trouble`)."""


class Unfit(Exception):
    """What was found is no module; the message says what it is."""


class Pickled(Unfit):
    """The weights that were found are a pickle."""


def _tensorflow_hub(asked: Asked) -> tuple[str, list[str] | None]:
    if asked["address"].startswith(("http://", "https://")) and _try(asked, asked["address"]) and not _kept(asked):
        raise Unfit("it has not been fetched before")  # seconds earlier than TensorFlow would say so
    import tensorflow_hub

    return tensorflow_hub.resolve(asked["address"]), None


def _kept(asked: Asked) -> bool:
    """Whether tensorflow_hub has kept a handle: its cache has a folder named after the handle's SHA-1."""
    cache = os.environ.get("TFHUB_CACHE_DIR") or os.path.join(tempfile.gettempdir(), "tfhub_modules")
    return os.path.isdir(os.path.join(cache, hashlib.sha1(asked["address"].encode()).hexdigest()))


def _kagglehub(asked: Asked) -> tuple[str, list[str] | None]:
    import kagglehub
    from kagglehub.config import get_cache_folder
    from kagglesdk.kaggle_env import get_endpoint, get_env

    _try(asked, get_endpoint(get_env()))
    _write_only_below(get_cache_folder())
    return kagglehub.model_download(asked["address"]), None


def _write_only_below(folder: str) -> None:
    """Lets this process write no file outside of a folder from now on. kagglehub trusts the names that it is sent."""
    root = os.path.realpath(folder)

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or not isinstance(arguments[0], str) or not arguments[2] & (os.O_WRONLY | os.O_RDWR):
            return
        path = os.path.realpath(arguments[0])
        if not path.startswith((f"{root}{os.sep}", "/dev/")):
            raise PermissionError(errno.EACCES, f"the module has a file that lies outside of {root}", path)

    sys.addaudithook(audit)


def _huggingface_hub(asked: Asked) -> tuple[str, list[str] | None]:
    # Its own protocol for large files does not wait at Python's sockets, and so could not be bounded.
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import HfApi, constants, snapshot_download

    offline = _try(asked, constants.ENDPOINT)
    repository, revision = asked["address"], asked["revision"]
    patterns: tuple[str, ...] = CHECKPOINT
    if not offline:
        siblings = HfApi().model_info(repository, revision=revision).siblings or ()
        patterns = _patterns([sibling.rfilename for sibling in siblings])
    folder = snapshot_download(repository, revision=revision, allow_patterns=list(patterns), local_files_only=offline)
    return folder, list(patterns)


def _try(asked: Asked, url: str) -> bool:
    """Whether the host of a URL cannot be reached. The network is then cut off: libraries take what they have kept."""
    trouble = asked["trouble"] = network.reach(url)
    if trouble is not None:
        network.cut_off(trouble)
    return trouble is not None


def _patterns(files: list[str]) -> tuple[str, ...]:
    """The files of a repository that make the module. Raises Unfit for a repository that has none."""
    if any(fnmatch.fnmatch(file, "model.safetensors*") for file in files):
        return CHECKPOINT
    if "saved_model.pb" in files:
        return SAVED_MODEL
    if any(fnmatch.fnmatch(file, "saved_model/*/saved_model.pb") for file in files):
        return TRANSFORMERS
    pickles = [file for file in files if any(fnmatch.fnmatch(file, pattern) for pattern in PICKLES)]
    if pickles:
        raise Pickled(f"its weights are {pickles[0]}, a pickle: opening it would run whatever code it holds")
    raise Unfit("it has neither model.safetensors nor saved_model.pb, found " + (", ".join(files[:6]) or "no files"))


LIBRARIES = {
    "tensorflow_hub": _tensorflow_hub,
    "kagglehub": _kagglehub,
    "huggingface_hub": _huggingface_hub,
}


def main() -> None:
    """Fetches what `sys.argv` asks for, and prints the answer."""
    warnings.simplefilter("ignore")
    asked = json.loads(sys.argv[1])
    network.bound_waits(asked["seconds"])
    # A library that unpacks an archive by itself cannot write a file larger than this.
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (asked["bytes"] if most < 0 else min(asked["bytes"], most), most))
    try:
        folder, files = LIBRARIES[asked["library"]](asked)
        told: dict[str, Any] = {"folder": os.path.realpath(folder), "files": files}
    except Exception as error:  # the libraries let the errors of urllib, requests, httpx, tarfile and others pass
        trouble = asked.get("trouble")
        told = asdict(trouble) if trouble is not None else _told(error)
    print("\n" + json.dumps(told), flush=True)


def _told(error: Exception) -> dict[str, Any]:
    """Why a library failed, from its exception and those that led to it."""
    chain = list(_chain(error))
    said = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
    for link in chain:
        status = getattr(link, "code", None) or getattr(getattr(link, "response", None), "status_code", None)
        if isinstance(status, int) and status >= 400:
            return {"kind": "status", "status": status, "error": type(error).__name__, "said": said}
    for link in chain:
        if isinstance(link, Unfit):
            return {"kind": "pickled" if isinstance(link, Pickled) else "unfit", "said": str(link)}
        if isinstance(link, TimeoutError) or "Timeout" in type(link).__name__:
            return asdict(Trouble(kind=network.SILENT, host="", said=said))
        if isinstance(link, socket.gaierror):
            return asdict(Trouble(kind=network.UNKNOWN_HOST, host="", said=said))
        if isinstance(link, ConnectionError):
            return asdict(network.connection_trouble(link, ""))
        if isinstance(link, OSError) and link.errno == errno.EFBIG:
            return {"kind": "too large", "said": said}
    return {"kind": "other", "said": said}


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, and what it was raised from: urllib and requests put the cause into `reason` or `args`."""
    seen: list[BaseException] = []
    waiting = [error]
    while waiting:
        link = waiting.pop(0)
        if not isinstance(link, BaseException) or any(link is other for other in seen):
            continue
        seen.append(link)
        yield link
        waiting += [link.__cause__, link.__context__, getattr(link, "reason", None), *link.args]


if __name__ == "__main__":
    main()
