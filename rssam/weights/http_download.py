"""Download a large file resumably: after a lost connection only the rest is requested."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rssam.foreign_json import read_json

DownloadProgress = Callable[[int, int, str], None]
"""Called as progress(done, total, what), in megabytes; total is 0 where the server does not tell."""

CHUNK = 1 << 16
"""Bytes at a time; of an unfinished piece nothing is kept."""

TIMEOUT = (15, 60)
"""Seconds to connect, and to wait for the next bytes."""


@dataclass(frozen=True)
class Fetch:
    """Download of the file at `url` into `part`, resumed there by a later call or process.

    It is resumed only if the server's file is still the same by ETag or date. The caller checks the digest.
    """

    url: str
    part: Path
    what: str
    progress: DownloadProgress
    attempts: int = 4
    pause: float = 1.0  # seconds, doubled after every attempt in vain

    def run(self) -> None:
        """Download all that is missing; what came is kept. Raises OSError once `attempts` in a row bring nothing."""
        self.part.parent.mkdir(parents=True, exist_ok=True)
        failures = 0
        while True:
            before = self._size()
            try:
                self._request()
                return
            except OSError as error:  # every failure of requests is one
                failures = 1 if self._size() > before else failures + 1
                if failures >= self.attempts or not _passing(error):
                    raise
                time.sleep(self.pause * 2 ** (failures - 1))

    def forget(self) -> None:
        """Delete the part and its note."""
        self.part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    @property
    def _note(self) -> Path:
        """Return the file that notes which version of the server's file the part is of."""
        return self.part.with_name(f"{self.part.name}.json")

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _request(self) -> None:
        import requests

        version = self._version()
        have = self._size()
        headers = {"Accept-Encoding": "identity"}  # else lengths would be those of packed bytes
        if have:
            headers["Range"] = f"bytes={have}-"
            if version and not version.startswith("W/"):  # a weak tag may not be asked for
                headers["If-Range"] = version
        with requests.get(self.url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
            if answer.status_code == requests.codes.requested_range_not_satisfiable:
                if have and answer.headers.get("Content-Range") == f"bytes */{have}":
                    return  # all of it was there
                self.forget()
                raise requests.ConnectionError(f"{self.url} has no bytes from {have} on; it is fetched anew")
            answer.raise_for_status()
            served = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
            start, total = _place(answer.status_code, answer.headers.get("Content-Range"))
            if answer.status_code == requests.codes.partial_content and (start != have or served != version):
                self.forget()  # another file, or another piece than was asked for
                raise requests.ConnectionError(f"{self.url} has changed since its first bytes came; it is fetched anew")
            total = total or start + int(answer.headers.get("Content-Length", 0))
            if not start:
                self.forget()
                self._note.write_text(json.dumps({"url": self.url, "version": served}))
            with self.part.open("ab" if start else "wb") as stream:
                done = start
                for chunk in answer.iter_content(CHUNK):
                    done += stream.write(chunk)
                    self.progress(done >> 20, total >> 20, f"download {self.what}, MB")
        if done < total:
            raise requests.ConnectionError(f"the connection ended after {done} of {total} bytes")

    def _version(self) -> str:
        """Return the ETag or date of the file that the part is from; a part without a note of this URL is deleted."""
        try:
            note = read_json(self._note, most_bytes=1 << 16)
            if note["url"] == self.url:
                return str(note["version"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        self.forget()
        return ""


def _place(status: int, content_range: str | None) -> tuple[int, int]:
    """Return the first byte and the total of an answer; 0 if it has all bytes or does not give the total."""
    if status != 206:
        return 0, 0
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", content_range or "")
    return (int(match[1]), int(match[2]) if match[2] != "*" else 0) if match else (-1, 0)


def _passing(error: OSError) -> bool:
    """Return whether another attempt may help: not for a full disk, nor for a file that the server does not have."""
    import requests

    if not isinstance(error, requests.RequestException):
        return False
    status = error.response.status_code if error.response is not None else None
    return status is None or status >= 500 or status == requests.codes.too_many_requests
