"""`prepare weights NAME` against a server on this machine that cuts, forgets, changes and lies."""

from __future__ import annotations

import hashlib
import itertools
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from rssam.errors import UserError
from rssam.weights import http_download as fetching
from rssam.weights.download import download
from rssam.weights.folder import CUSTOM, WeightsDamaged, WeightsFolder, read_metadata
from rssam.weights.registry import WEIGHTS


class Server:
    """One file; `cuts` says after how many bytes the next answers end early."""

    def __init__(self, content):
        self.content, self.etag, self.ranges, self.status = content, '"one"', True, 200
        self.cuts, self.asked = [], []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *arguments):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/models/sam_vit_b_01ec64.pth"
        threading.Thread(
            target=self.http.serve_forever, args=(0.01,), daemon=True
        ).start()  # asks so often if it shall end

    def answer(self, request):
        wanted, condition = request.headers.get("Range"), request.headers.get("If-Range")
        self.asked.append(wanted)
        start = int(wanted[6:-1]) if wanted and self.ranges and condition in (None, self.etag) else 0
        if self.status != 200:
            return request.send_error(self.status)
        if start >= len(self.content):
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(self.content)}")
            request.send_header("Content-Length", "0")
            return request.end_headers()
        body = self.content[start:]
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(body)))
        if self.etag:
            request.send_header("ETag", self.etag)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        request.end_headers()
        request.wfile.write(body[: self.cuts.pop(0) if self.cuts else None])


@pytest.fixture
def server(tiny_vit_b, sam_file, monkeypatch):
    """The tiny SAM file under the published name, with its own digest; no pauses between attempts."""
    served = Server(sam_file.read_bytes())
    digest = hashlib.sha256(served.content).hexdigest()
    monkeypatch.setitem(WEIGHTS, "vit_b", replace(WEIGHTS["vit_b"], url=served.url, sha256=digest))
    monkeypatch.setattr(fetching.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(fetching, "CHUNK", 1000)
    yield served
    served.http.shutdown()
    served.http.server_close()


@pytest.fixture
def folder(tmp_path):
    return WeightsFolder(tmp_path / "weights")


def files(folder):
    return sorted(path.name for path in folder.root.rglob("*") if path.is_file() and path.suffix != ".lock")


def part(folder):
    return folder.root / "downloads" / "sam_vit_b_01ec64.pth.part"


def test_a_whole_download_is_official_and_leaves_nothing_else(server, folder):
    steps = []
    path = download("vit_b", folder, lambda *step: steps.append(step))
    assert not folder.start("vit_b").startswith(CUSTOM)
    assert folder.digest("vit_b") == hashlib.sha256(server.content).hexdigest()
    assert files(folder) == ["sam_vit_b.safetensors"]
    size = len(server.content) >> 20
    assert steps[-1] == (size, size, "download vit_b, MB")
    assert download("vit_b", folder) == path
    assert server.asked == [None]


def test_a_cut_connection_is_continued_in_the_same_call(server, folder):
    server.cuts = [50_000, 30_000, 0]
    download("vit_b", folder)
    assert server.asked == [None, "bytes=50000-", "bytes=80000-", "bytes=80000-"]
    assert files(folder) == ["sam_vit_b.safetensors"]


def test_a_second_call_asks_only_for_the_rest(server, folder):
    server.cuts = [50_000, 0, 0, 0]
    with pytest.raises(UserError, match=r"could not download http://127.*MB that came are kept|could not download"):
        download("vit_b", folder)
    assert part(folder).read_bytes() == server.content[:50_000]
    server.asked.clear()
    path = download("vit_b", folder)
    assert server.asked == ["bytes=50000-"]
    assert read_metadata(path)["source_sha256"] == hashlib.sha256(server.content).hexdigest()
    assert files(folder) == ["sam_vit_b.safetensors"]


def test_a_killed_process_that_had_it_all_asks_for_nothing_more(server, folder):
    server.cuts = [50_000, 0, 0, 0]
    with pytest.raises(UserError):
        download("vit_b", folder)
    part(folder).write_bytes(server.content)
    server.asked.clear()
    download("vit_b", folder)
    assert server.asked == [f"bytes={len(server.content)}-"]


def test_a_server_without_ranges_starts_anew(server, folder):
    server.ranges, server.cuts = False, [50_000, 20_000]
    download("vit_b", folder)
    assert server.asked == [None, "bytes=50000-", "bytes=20000-"]
    assert files(folder) == ["sam_vit_b.safetensors"]


def test_a_server_without_ranges_that_always_cuts_is_given_up(server, folder):
    server.ranges, server.cuts = False, [50_000] * 20
    with pytest.raises(UserError, match=r"could not download .*--source FILE"):
        download("vit_b", folder)
    assert len(server.asked) <= fetching.Fetch.attempts + 1


@pytest.mark.parametrize("honest", [True, False])
def test_a_file_that_changed_meanwhile_is_fetched_anew(server, folder, honest):
    right = server.content
    server.content, server.etag = right[::-1], '"old"'
    server.cuts = [50_000, 0, 0, 0]
    with pytest.raises(UserError):
        download("vit_b", folder)
    server.content, server.etag = right, '"new"'
    if not honest:  # gives the rest of the new file whatever it is asked

        class Any(str):
            __eq__ = lambda self, other: True  # noqa: E731
            __hash__ = str.__hash__

        server.etag = Any('"new"')
    server.asked.clear()
    download("vit_b", folder)
    assert server.asked == (["bytes=50000-"] if honest else ["bytes=50000-", None])
    assert files(folder) == ["sam_vit_b.safetensors"]


def test_without_a_tag_the_digest_is_the_judge(server, folder):
    right = server.content
    server.content, server.etag, server.cuts = right[::-1], "", [50_000, 0, 0, 0]
    with pytest.raises(UserError):
        download("vit_b", folder)
    server.content = right
    with pytest.raises(WeightsDamaged, match="was deleted"):
        download("vit_b", folder)
    assert files(folder) == []
    download("vit_b", folder)
    assert files(folder) == ["sam_vit_b.safetensors"]


@pytest.mark.parametrize("digits", [64, 8])
def test_another_digest_is_refused_and_deleted(server, folder, digits, monkeypatch):
    monkeypatch.setitem(WEIGHTS, "vit_b", replace(WEIGHTS["vit_b"], sha256=("0123456789abcdef" * 4)[:digits]))
    with pytest.raises(WeightsDamaged, match=r"is not the published checkpoint vit_b and was deleted.*--source FILE"):
        download("vit_b", folder)
    assert files(folder) == []


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (403, 1), (503, 4)])
def test_a_server_that_refuses(server, folder, status, requests):
    server.status = status
    with pytest.raises(UserError, match=rf"could not download .*{status}.*fetch it elsewhere and run.*--source FILE"):
        download("vit_b", folder)
    assert len(server.asked) == requests
    assert files(folder) == []


def test_nobody_there(server, folder):
    server.http.server_close()
    server.http.shutdown()
    with pytest.raises(UserError, match=r"could not download .*--source FILE"):
        download("vit_b", folder)


def test_two_at_once_fetch_once(server, folder):
    made = []
    threads = [threading.Thread(target=lambda: made.append(download("vit_b", folder))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [folder.path("vit_b")] * 2
    assert server.asked == [None]


def test_any_number_of_cuts(server, folder):
    step = len(server.content) // 40 + 1
    server.cuts = [step] * 45
    download("vit_b", folder)
    kept = [int(asked[6:-1]) for asked in server.asked[1:]]
    assert len(kept) >= 39
    assert all(later > earlier for earlier, later in itertools.pairwise(kept))
