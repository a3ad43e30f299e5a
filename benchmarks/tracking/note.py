"""The note in the work folder of a run that names its run in MLflow; it holds no credentials."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.tracking.redact import without_credentials
from data_prep.errors import DataError
from rssam.files import write_atomic
from rssam.foreign_json import Unreadable, read_json
from rssam.kinds import TEXT, WORD, fault

_KINDS = {"uri": TEXT, "run_id": (None, WORD), "idempotency_key": WORD}


@dataclass(frozen=True)
class Note:
    """Where a run is tracked."""

    uri: str  # without credentials
    run_id: str | None  # once it is made
    idempotency_key: str


def read_note(path: Path) -> Note | None:
    """Return the note, None for one that cannot be used. Raises OSError if there is none."""
    try:
        raw = read_json(path, most_bytes=1 << 16)
    except Unreadable:
        return None
    if fault(raw, _KINDS):
        return None
    note = Note(without_credentials(raw["uri"]), raw["run_id"], raw["idempotency_key"])
    if note.uri != raw["uri"]:  # written before credentials were left out
        write_note(path, note)
    return note


def write_note(path: Path, note: Note) -> None:
    """Write the note. A full disk is reported by files that matter."""
    with suppress(OSError, DataError):
        write_atomic(path, json.dumps(asdict(note)).encode(), durable=False)
