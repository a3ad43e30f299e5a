"""Write and read the note in the work folder of a run that MLflow lacks a part of.

It holds a random name that its MLflow run has as a tag.
"""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from pathlib import Path

from data_prep.errors import DataError
from rssam.files import write_atomic
from rssam.foreign_json import Unreadable, read_json
from rssam.kinds import matches

IDEMPOTENCY_KEY = "idempotency_key"


def read_note(path: Path) -> str | None:
    """Return the name in a note, a new one in place of one that cannot be read; None if there is no note."""
    try:
        note = read_json(path, most_bytes=1 << 16)
    except Unreadable:
        note = None
    except OSError:
        return None
    name = note.get(IDEMPOTENCY_KEY) if isinstance(note, dict) else None
    return write_note(path, name if matches(r"[0-9a-f]{32}", name) else None)  # earlier versions noted addresses too


def write_note(path: Path, name: str | None = None) -> str:
    """Write a note with the name, otherwise with a new one, and return it. A full disk is reported by other files."""
    name = name or uuid.uuid4().hex
    with suppress(OSError, DataError):
        write_atomic(path, json.dumps({IDEMPOTENCY_KEY: name}).encode(), durable=False)
    return name
