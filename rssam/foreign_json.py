"""Read JSON that somebody else may have written: bounded in size, depth and number of values before it is parsed.

A few bytes of JSON can take many times their size once parsed, and a deep one ends the parser. No file of this suite
comes near the bounds.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from itertools import accumulate
from pathlib import Path
from typing import Any

MOST_BYTES = 32 << 20
MOST_VALUES = 4_000_000
MOST_DEPTH = 40

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = {letter: 1 if letter in b"[{" else -1 for letter in b"[]{}"}
_ZEROS = bytes(ord("0") if chr(code).isdecimal() and code < 128 else code for code in range(256))
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class Unreadable(ValueError):
    """Raised for content that is not read; the message is half a sentence without the file's name."""


def read_json(path: Path, *, most_bytes: int = MOST_BYTES, follow_links: bool = True) -> Any:
    """Return the values of a JSON file. Raises Unreadable, and OSError if it is missing or forbidden."""
    return parse_json(read_bytes(path, most_bytes=most_bytes, follow_links=follow_links))


def read_bytes(path: Path, *, most_bytes: int = MOST_BYTES, follow_links: bool = True) -> bytes:
    """Return the content of a regular file. Raises Unreadable for a larger file, or no file: a pipe would hang."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | (0 if follow_links else os.O_NOFOLLOW))
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise Unreadable("it is no regular file")
        with open(descriptor, "rb", closefd=False) as stream:
            content = stream.read(most_bytes + 1)
    finally:
        os.close(descriptor)
    if len(content) > most_bytes:
        raise Unreadable(f"it has more than {most_bytes} bytes")
    return content


def parse_json(content: bytes) -> Any:
    """Return the values of JSON in UTF-8. Raises Unreadable.

    Not read either: a name twice in one object, a number of 32 digits, half of a surrogate pair. NaN is read.
    """
    bare = _STRING.sub(b"", content)
    if bare.count(b",") + bare.count(b"[") + bare.count(b"{") > MOST_VALUES:
        raise Unreadable(f"it holds more than {MOST_VALUES} values")
    if max(accumulate(map(_STEPS.__getitem__, bare.translate(None, _NO_BRACKETS))), default=0) > MOST_DEPTH:
        raise Unreadable(f"it is nested more than {MOST_DEPTH} deep")
    if b"0" * 32 in bare.translate(_ZEROS):
        raise Unreadable("it holds a number of 32 digits or more")
    try:
        values = json.loads(content.decode(), object_pairs_hook=_once)
        if _SURROGATE.search(content):
            json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise Unreadable("it holds half of a surrogate pair, which is no text") from error
    except Unreadable:
        raise
    except ValueError as error:
        raise Unreadable(f"it is cut off, or is not JSON ({error})") from error
    return values


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of these pairs. Raises Unreadable for a name that comes twice: readers would differ."""
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise Unreadable(f"{ascii(next(name for name in names if names.count(name) > 1))[:60]} comes twice in it")
    return values
