"""Stand-ins for TF Hub, Kaggle and Hugging Face on the loopback interface, as far as their libraries can tell.

Kaggle's library knows its own hosts only; KAGGLE_API_ENVIRONMENT=LOCALHOST makes it ask http://localhost, and the
server here is the proxy for that.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

SHA = "0123456789abcdef0123456789abcdef01234567"
KAGGLE = "/api/v1/models.ModelApiService/"


@dataclass
class Host:
    """What a server hands out, and what it was asked for.

    Attributes:
        files: The files of the one model, by path.
        archive: The bytes of the archive of a Kaggle model with more files than are fetched one by one; None for few.
        answers: Status, headers and body by the beginning of a path, in place of any other answer.
        asked: The requests: method and path, without the host.
        renamed: The new ids of models of Hugging Face, by the old ones.
        mute: Whether it takes requests and never answers, until `ended`.
        ended: Set when the server ends.
        port: Its port.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    archive: bytes | None = None
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    mute: bool = False
    ended: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def fetched(self) -> set[str]:
        """The files whose content was asked for."""
        contents = (path.partition("/resolve/")[2] for path in self.asked if path.startswith("GET "))
        return {content.partition("/")[2] for content in contents if content}


@contextmanager
def serving(host: Host) -> Iterator[Host]:
    """Answers on a free port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            url = urlsplit(self.path)
            size = int(self.headers.get("Content-Length") or 0)
            sent = json.loads(self.rfile.read(size)) if size and self.command == "POST" else {}
            host.asked.append(f"{self.command} {url.path}")
            status, headers, body = self.found(url.path, parse_qs(url.query), sent)
            self.send_response(status)
            for key, value in {"Content-Type": "application/octet-stream", **headers}.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_POST = answer

        def found(self, path, query, sent):
            for beginning, answer in host.answers.items():
                if path.startswith(beginning):
                    return answer
            if host.mute:
                host.ended.wait()
            for old, new in host.renamed.items():
                if f"/{old}/" in path:
                    return 307, {"Location": path.replace(old, new, 1)}, b""
            if path.startswith(KAGGLE):
                return self.of_kaggle(path.removeprefix(KAGGLE), sent)
            if "/api/models/" in path:
                return self.of_hugging_face(path)
            name = path.partition("/resolve/")[2].partition("/")[2] or path.removeprefix("/storage/")
            if name not in host.files:
                return 404, {}, b"no such file"
            etag = hashlib.sha1(host.files[name]).hexdigest()
            return 200, {"ETag": f'"{etag}"', "X-Repo-Commit": SHA}, host.files[name]

        def of_hugging_face(self, path):
            if "/tree/" in path:
                listed = [{"type": "file", "path": n, "size": len(c), "oid": SHA} for n, c in host.files.items()]
                return of_json(listed)
            return of_json({"id": "us/bert", "sha": SHA, "siblings": [{"rfilename": name} for name in host.files]})

        def of_kaggle(self, call, sent):
            if call == "GetModelInstance":
                return of_json({"versionNumber": 3})
            if call == "ListModelInstanceVersionFiles":
                more = "" if host.archive is None else "more"
                return of_json({"files": [{"name": name} for name in host.files], "nextPageToken": more})
            if "path" in sent:
                if ".." in sent["path"]:  # a client would not send such a path on
                    return 200, {}, host.files[sent["path"]]
                return 302, {"Location": f"http://localhost/storage/{sent['path']}"}, b""
            return 200, {}, host.archive

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host.port = server.server_port
    try:
        yield host
    finally:
        host.ended.set()
        server.shutdown()
        server.server_close()


def of_json(content, status=200, **headers):
    return status, {"Content-Type": "application/json", **headers}, json.dumps(content).encode()


def files_of(folder: Path) -> dict[str, bytes]:
    """The files of a folder by their path in it."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
