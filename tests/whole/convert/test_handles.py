"""A Hub handle: tensorflow_hub fetches an archive over HTTP, keeps it in its cache, and the rest goes as ever."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import surgery
from tests.support.builders.common import PACKED

pytestmark = pytest.mark.usefixtures("short_battery")

PATHS = {"/files/3.tar.gz": "g4_bert_dropouts.tar.gz", "/files/g2_small.tar.gz": "g2_small.tar.gz"}
MOVED = {"/bert_of_ours/3": "/files/3.tar.gz"}


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serves two sample archives on 127.0.0.1 and notes each request; the cache and `exported/` lie in `tmp_path`."""
    requests, ended = [], threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            path = urlsplit(self.path).path
            if path.startswith("/silent"):
                ended.wait()
            if path in MOVED:
                self.send_response(302)
                self.send_header("Location", MOVED[path])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            archive = PATHS.get(path)
            body = (PACKED / archive).read_bytes() if archive else b"no such module"
            self.send_response(200 if archive else 404)
            self.send_header("Content-Type", "application/x-tar")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("PYTHONPATH", str(Path(surgery.__file__).parents[1]))
    monkeypatch.chdir(tmp_path)
    found.requests = requests
    yield found
    ended.set()
    found.shutdown()
    found.server_close()


def url(server, path):
    return f"http://127.0.0.1:{server.server_port}{path}"


def test_a_handle_is_fetched_once_and_exported_under_its_name_and_the_next_version(server, tmp_path):
    handle = url(server, "/bert_of_ours/3")
    done = surgery.convert(handle)
    assert done.destination == Path("exported/bert_of_ours/1")
    assert (tmp_path / "exported" / "bert_of_ours" / "1" / "saved_model.pb").is_file()
    assert done.manifest["source"]["name"] == "bert_of_ours"
    assert [urlsplit(request).path for request in server.requests] == ["/bert_of_ours/3", "/files/3.tar.gz"]
    assert surgery.plan(handle).destination == Path("exported/bert_of_ours/2")
    assert len(server.requests) == 2
    assert list((tmp_path / "cache").iterdir())


def test_the_url_of_an_archive_works_too(server):
    plan = surgery.plan(url(server, "/files/g2_small.tar.gz"))
    assert plan.architecture.generation.startswith("G2")
    assert plan.destination == Path("exported/g2_small/1")


def test_a_handle_that_leads_nowhere_is_an_error_with_the_reason(server, tmp_path):
    with pytest.raises(surgery.ModuleError, match="404"):
        surgery.convert(url(server, "/nothing/1"))
    assert not (tmp_path / "exported").exists()


def test_a_server_that_never_answers_ends_the_wait(server):
    with pytest.raises(surgery.ModuleError, match="has not answered in 1 seconds"):
        surgery.inspect(url(server, "/silent/1"), limits={"answer_seconds": 1})
