"""Handles: modules that lie elsewhere, by what people type or copy for them.

    https://tfhub.dev/google/x/1      tfhub.dev/google/x/1           a URL, for tensorflow_hub
    kaggle://OWNER/MODEL/FRAMEWORK/VARIATION[/VERSION]               a model of Kaggle, for kagglehub
    https://www.kaggle.com/models/OWNER/MODEL/FRAMEWORK/VARIATION    its page
    hf://OWNER/MODEL[@REVISION]       OWNER/MODEL                    a model of Hugging Face, for huggingface_hub
    https://huggingface.co/OWNER/MODEL/tree/REVISION                 its page

A text without `://` can be a path as well, and a path that exists wins. `surgery.sources.fetching` fetches a handle.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from surgery.errors import ModuleError
from surgery.sources.files import ARCHIVES
from surgery.wording import is_number, plain_name

_USER = re.compile(r"(?<=://)(?<!\bhf://)[^/?#\s]*@", re.IGNORECASE)
"""The user of a URL. In `hf://MODEL@REVISION` there is none."""
_QUERY_VALUE = re.compile(r"([?&#][^=&#\s]+=)[^&#\s'\")]+")
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)
HUB, KAGGLE, HUGGING_FACE = "tensorflow_hub", "kagglehub", "huggingface_hub"
"""The libraries that resolve handles."""
KAGGLE_HOSTS = ("www.kaggle.com", "kaggle.com")
HUGGING_FACE_HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")
HUB_HOSTS = ("tfhub.dev", "www.tfhub.dev")
KAGGLE_FORM = "kaggle://OWNER/MODEL/FRAMEWORK/VARIATION/VERSION"
FRAMEWORKS = {
    name.lower(): name
    for name in ("tensorFlow1", "tensorFlow2", "tfLite", "tfJs", "coral", "keras", "pyTorch", "transformers", "jax")
}
"""Kaggle's frameworks by their names in small letters, since people write them in any case."""
NO_MODULES = ("tfLite", "tfJs", "coral")
"""Frameworks whose models have lost their variables."""
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9][A-Za-z0-9_.-]{0,95}(?:@.{1,100})?")
"""The form of the id of a model of Hugging Face."""
NOT_IN_AN_ID = (*ARCHIVES, ".keras", ".h5", ".tflite", ".pb", ".ckpt", ".onnx", ".safetensors", ".bin")
"""Endings of files, which no path to a file shares with an id."""


@dataclass(frozen=True, kw_only=True)
class Handle:
    """A module that lies elsewhere.

    Attributes:
        typed: What the caller gave.
        library: The library that resolves it: HUB, KAGGLE or HUGGING_FACE.
        address: What that library is given.
        name: The module's name, without owner and version.
        page: The page on which people can look it up.
        revision: A revision of Hugging Face: a branch, a tag or a commit; None for the default.
        plain: True for a text that could be a path as well.
    """

    typed: str
    library: str
    address: str
    name: str
    page: str
    revision: str | None = None
    plain: bool = False

    @property
    def shown(self) -> str:
        """What the caller gave, as a message may have it."""
        return without_secrets(self.typed)


def without_secrets(text: str) -> str:
    """A text without what may be a secret in its URLs: a user's name and password, and the values of a query.

    A password may have an "@" of its own: the last one ends it.
    """
    return _QUERY_VALUE.sub(r"\1…", _USER.sub("", text))


def handle_of(module: str) -> Handle | None:
    """The handle that a text is; None for a path. Whether a path of that name exists is not checked.

    Raises ModuleError for the page of something else than one model.
    """
    scheme, _, rest = module.partition("://") if _SCHEME.match(module) else ("", "", module)
    scheme = scheme.lower()
    address = re.sub(r"[?#].*$", "", rest)
    host, _, path = address.partition("/")
    parts = [part for part in path.split("/") if part]
    if scheme == "kaggle":
        return _kaggle(module, [part for part in address.split("/") if part], plain=False)
    if scheme == "hf":
        return _hugging_face(module, address, plain=False)
    if scheme in ("http", "https", "") and parts:
        if host.lower() in KAGGLE_HOSTS:
            return _kaggle_page(module, parts, plain=not scheme)
        if host.lower() in HUGGING_FACE_HOSTS:
            return _hugging_face_page(module, parts, plain=not scheme)
        if host.lower() in HUB_HOSTS and not scheme:
            return _url(module, f"https://{rest}", plain=True)
    if scheme:
        return _url(module, module, plain=False)
    return _hugging_face(module, module, plain=True) if _can_be_id(module) else None


def _opening(typed: str) -> str:
    """The beginning of an error about a handle, which has no secret of it."""
    return f"opening {without_secrets(typed)}"


def _url(typed: str, url: str, *, plain: bool) -> Handle:
    name = name_of(_USER.sub("", re.sub(r"[?#].*$", "", url)))
    return Handle(typed=typed, library=HUB, address=url, name=name, page=url, plain=plain)


def name_of(path: str) -> str:
    """The last part of a path or URL that is no version number, as a folder's name, without an archive's ending."""
    parts = [part for part in path.split("/") if part]
    while len(parts) > 1 and is_number(parts[-1]):
        parts.pop()
    name = parts[-1] if parts else "module"
    for ending in ARCHIVES:
        name = name.removesuffix(ending)
    return _name(name)


def _name(text: str) -> str:
    return plain_name(text) or "module"


def _kaggle_page(typed: str, parts: Sequence[str], *, plain: bool) -> Handle:
    if parts[0] != "models":
        raise ModuleError(
            f"{_opening(typed)}: it is a page of Kaggle, but of no model",
            hint=f"expected {KAGGLE_FORM}, or its page",
        )
    # Older links name the levels: /frameworks/tensorFlow2/variations/small/versions/1.
    levels = ("frameworks", "variations", "versions")
    return _kaggle(typed, [part for number, part in enumerate(parts[1:]) if number < 2 or part not in levels], plain)


def _kaggle(typed: str, parts: Sequence[str], plain: bool) -> Handle:
    if not 4 <= len(parts) <= 5 or (len(parts) == 5 and not is_number(parts[4])):
        raise ModuleError(
            f"{_opening(typed)}: expected {KAGGLE_FORM}, found {'/'.join(parts) or 'nothing'}",
            hint="a page of Kaggle has several variations: choose the framework TensorFlow 2 and a variation on the "
            "page, and copy its address; the version may be left out",
        )
    owner, model, framework, variation, *version = parts
    framework = FRAMEWORKS.get(framework.lower(), framework)
    page = f"https://www.kaggle.com/models/{owner}/{model}"
    if framework in NO_MODULES:
        raise ModuleError(
            f"{_opening(typed)}: models of {framework} have lost their variables, and cannot be turned back",
            hint=f"look for the framework tensorFlow2 on {page}",
        )
    return Handle(
        typed=typed,
        library=KAGGLE,
        address="/".join((owner, model, framework, variation, *version)),
        name=_name(variation if variation.startswith(model) else f"{model}_{variation}"),
        page=f"{page}/{framework}/{variation}",
        plain=plain,
    )


def _hugging_face_page(typed: str, parts: Sequence[str], *, plain: bool) -> Handle:
    view = next((number for number, part in enumerate(parts) if part in ("tree", "blob", "resolve", "raw")), len(parts))
    revision = f"@{unquote(parts[view + 1])}" if view + 1 < len(parts) else ""
    return _hugging_face(typed, "/".join(parts[:view]) + revision, plain=plain)


def _hugging_face(typed: str, address: str, *, plain: bool) -> Handle:
    name, at, rest = address.removeprefix("models/").partition("@")
    revision = unquote(rest).rstrip("/")  # the name of a branch may have slashes
    damaged = bool(at) and not {"", ".", ".."}.isdisjoint(revision.split("/"))
    parts = [part for part in name.split("/") if part]
    if not 1 <= len(parts) <= 2 or parts[0] in ("datasets", "spaces") or damaged:
        raise ModuleError(
            f"{_opening(typed)}: it is no model of Hugging Face",
            hint="expected hf://OWNER/MODEL, or the model's page",
        )
    name = "/".join(parts)
    return Handle(
        typed=typed,
        library=HUGGING_FACE,
        address=name,
        name=_name(parts[-1]),
        page=f"https://huggingface.co/{name}",
        revision=revision or None,
        plain=plain,
    )


def _can_be_id(module: str) -> bool:
    """Whether a text is more likely the id of a model of Hugging Face than a mistyped path.

    `exported/bert` is a path where there is a folder `exported`, and so is one that ends in a version or in the ending
    of a file.
    """
    if not ID.fullmatch(module) or module.endswith(NOT_IN_AN_ID):
        return False
    owner, _, name = module.partition("/")
    return not is_number(name) and not Path(owner).exists()
