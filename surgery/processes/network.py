"""The network, for a child process that fetches a module: every wait is bounded, and a failure has a reason.

The libraries that fetch wait for a server as long as it takes, or try again and again. In a process of its own, all of
them can be bounded at one place: where Python's sockets look up names and wait. A process that imports this module for
anything else would bound its own sockets, too.
"""

from __future__ import annotations

import errno
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

LOOK_UP = 4.0
"""The most seconds for looking up a name, and for a connection. The system's own look-up may take minutes."""
KNOWN = ("huggingface.co", "www.kaggle.com", "tfhub.dev")
"""Hosts that exist: if none of them has an address, there is no network."""
OFFLINE, UNKNOWN_HOST, REFUSED, SILENT = "offline", "unknown host", "refused", "silent"


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Why a host cannot be reached.

    Attributes:
        kind: OFFLINE, UNKNOWN_HOST, REFUSED or SILENT.
        host: The host.
        said: What the system said.
    """

    kind: str
    host: str
    said: str


_look_up = socket.getaddrinfo
_settimeout = socket.socket.settimeout


def bound_waits(seconds: float) -> None:
    """Bounds every wait of this process's sockets: for a name LOOK_UP seconds, for a server's next bytes `seconds`."""

    def settimeout(self: socket.socket, value: float | None) -> None:
        _settimeout(self, seconds if value is None else min(value, seconds))

    socket.setdefaulttimeout(seconds)
    # requests and httpx ask to wait for ever
    socket.socket.settimeout = settimeout  # type: ignore[method-assign, assignment]
    socket.getaddrinfo = look_up


def look_up(*args: Any, **kwargs: Any) -> Any:
    """`socket.getaddrinfo` within LOOK_UP seconds. Raises socket.gaierror as it does."""
    found = _within(LOOK_UP, lambda: _look_up(*args, **kwargs))
    if found is None:
        raise socket.gaierror(socket.EAI_AGAIN, f"no name server has answered in {LOOK_UP:g} seconds")
    return found


def cut_off(trouble: Trouble) -> None:
    """Lets every further look-up of this process fail at once, so that libraries turn to what they have kept."""

    def fail(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, trouble.said)

    socket.getaddrinfo = fail


def reach(url: str) -> Trouble | None:
    """Why the host of a URL, or the proxy before it, takes no connection; None if it takes one."""
    parts = urlsplit(_proxied(url))
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        addresses = look_up(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        kind = UNKNOWN_HOST if _any_known(host) else OFFLINE
        return Trouble(kind=kind, host=host, said=str(getattr(error, "strerror", None) or error))
    failed: OSError | None = None
    for family, kind_of_socket, protocol, _, address in addresses:
        try:
            with socket.socket(family, kind_of_socket, protocol) as tried:
                tried.settimeout(LOOK_UP / len(addresses))
                tried.connect(address)
                return None
        except OSError as error:
            failed = error
    return connection_trouble(failed, host) if failed is not None else None


def connection_trouble(error: OSError, host: str) -> Trouble:
    """The trouble that a failed connection means."""
    if isinstance(error, TimeoutError):
        return Trouble(kind=SILENT, host=host, said="timed out")
    kind = OFFLINE if error.errno in (errno.ENETUNREACH, errno.ENETDOWN) else REFUSED
    return Trouble(kind=kind, host=host, said=error.strerror or str(error))


def _proxied(url: str) -> str:
    """The URL to which a request for `url` goes: its proxy's, or itself."""
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.hostname or ""):
        return url
    return proxy if "://" in proxy else f"http://{proxy}"


def _any_known(host: str) -> bool:
    """Whether another host has an address. All are asked at once."""
    answers: queue.Queue[bool] = queue.Queue()
    others = [known for known in KNOWN if known != host]

    def ask(name: str) -> None:
        try:
            answers.put(bool(_look_up(name, 443)))
        except OSError:
            answers.put(False)

    for name in others:
        threading.Thread(target=ask, args=[name], daemon=True).start()
    return any(_answers(answers, len(others)))


def _answers(answers: queue.Queue[bool], count: int) -> Iterator[bool]:
    for _ in range(count):
        try:
            yield answers.get(timeout=LOOK_UP / 2)
        except queue.Empty:
            return


def _within(seconds: float, function: Callable[[], Any]) -> Any:
    """What a function returns or raises, in a thread of its own; None if it takes longer than `seconds`."""
    done: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue()

    def run() -> None:
        try:
            done.put((function(), None))
        except BaseException as error:
            done.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        found, error = done.get(timeout=seconds)
    except queue.Empty:
        return None
    if error is not None:
        raise error
    return found
