"""Write and read the status files of a run's work folder: who holds it, how far it is, why it failed. Imports no torch.

Whether a run is running is decided by its lock alone, which the system frees when its holder ends, however that
happens. The small files beside the lock are for people: holder, progress, failure. Nothing else is decided by them.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from benchmarks.divergence import DIVERGED
from benchmarks.protocol.run_names import RunName, run_name
from benchmarks.results.failed_run import FailedRun
from benchmarks.results.json_files import ResultDamaged
from benchmarks.results.result import IDENTITY
from benchmarks.results.store import Store
from data_prep.errors import DataError
from rssam.escape import one_line
from rssam.files import is_locked, write_atomic
from rssam.foreign_json import Unreadable, read_json
from rssam.kinds import COUNT, LINE, NUMBER, SECONDS, TEXT, fault

RunState = Literal["finished", "damaged", "running", "diverged", "failed", "begun", "missing"]
SECONDS_BETWEEN_NOTES = 5.0
HOLDER, PROGRESS, FAILURE, DECLARATION = "holder.json", "progress.json", "failure.json", "declaration.json"
KINDS: dict[str, dict[str, Any]] = {
    HOLDER: {"pid": COUNT, "host": LINE, "since": LINE},
    PROGRESS: {
        **dict.fromkeys(("what", "device", "noted"), LINE),
        **dict.fromkeys(("epoch", "epochs", "step", "steps", "overflows"), COUNT),
        "done": NUMBER,
        "seconds_left": (SECONDS, None),
    },
    FAILURE: {"reason": TEXT, "when": LINE, "traceback?": TEXT, "diverged?": [DIVERGED]},
    DECLARATION: IDENTITY,
}
"""Kinds of the fields of the status files."""

MOST_BYTES = 1 << 20
LONGEST_REASON = 1000
"""Characters of a reason that are shown."""


@dataclass(frozen=True)
class Progress:
    """Progress of a run, as last noted."""

    what: str  # training, testing
    epoch: int
    epochs: int
    step: int  # of the epoch
    steps: int
    done: float  # share of the training, 0..1
    seconds_left: float | None  # of the training; None before it can be told
    device: str
    noted: str  # time in UTC
    overflows: int = 0  # steps left out so far, in float16

    @property
    def text(self) -> str:
        """Return the progress for a person."""
        if self.what == "testing":
            return "testing"
        left = "" if self.seconds_left is None else f", {duration(self.seconds_left)} left"
        place = f"epoch {self.epoch} of {self.epochs}, step {self.step} of {self.steps}"
        return place + left + overflow_text(self.overflows)


@dataclass(frozen=True)
class RunStatus:
    """State of a run. `who` holds it while it runs; `reason` says why it failed or is damaged."""

    key: str
    state: RunState
    who: str = ""
    progress: Progress | None = None
    reason: str = ""
    dice: float | None = None
    collapsed: bool = False
    recipe: str = ""
    overflows: int | None = None  # steps that float16 left out; None where there were none
    odd: str = ""  # of its status files, those that cannot be read
    name: RunName | None = None  # what people call it; None where nothing says what it is

    @property
    def text(self) -> str:
        """Return what there is to say beside the state."""
        progress = self.progress.text if self.progress else ""
        if self.state == "finished":
            ended = "collapsed" if self.collapsed else f"Dice {self.dice:.3f}"
            return ended + overflow_text(self.overflows)
        saved = progress if self.state == "running" else progress and f"saved near {progress}"
        return "; ".join(part for part in (self.who, self.reason, saved, self.odd) if part)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, without what is empty."""
        values = asdict(self)
        named = values.pop("name") or {}
        return {**{name: value for name, value in values.items() if value not in (None, "")}, **named}


@dataclass(frozen=True)
class StatusFiles:
    """Status files in a work folder. None may stop a run: a full disk is reported by the files that matter."""

    folder: Path

    def declare(self, identity: Mapping[str, Any]) -> None:
        """Note what is run, by which it is listed until there is a result."""
        self._write(DECLARATION, identity)

    def claim(self) -> None:
        """Note that this process holds the run. An earlier failure stays until there is a result: reports count it."""
        self._write(HOLDER, {"pid": os.getpid(), "host": socket.gethostname(), "since": _now()})

    def release(self) -> None:
        """Note that nobody holds it."""
        self._remove(HOLDER)

    def holder(self) -> str:
        """Return who says to hold it."""
        values = self._read(HOLDER)
        if not values:
            return "another process"
        return f"process {values['pid']} on {values['host']} since {values['since']}"

    def fail(self, failed: FailedRun, trace: str = "") -> None:
        """Note why it failed; results never hold a failure."""
        self._write(FAILURE, {**failed.to_json(), **({"traceback": trace} if trace else {})})

    def succeed(self) -> None:
        """Forget an earlier failure, because there is a result."""
        self._remove(FAILURE)

    def failure(self) -> str:
        """Return why it failed the last time, in a line, or nothing. A note that cannot be read is of a failure too."""
        values, odd = self._values(FAILURE)
        return odd or one_line(values.get("reason", ""))[:LONGEST_REASON]

    def diverged(self) -> bool:
        """Return whether it failed because its loss was no longer a number."""
        return bool(self._read(FAILURE).get("diverged"))

    def identity(self) -> Mapping[str, Any]:
        """Return what is run; empty if it was never begun here, or its declaration cannot be read."""
        return self._read(DECLARATION)

    def note(self, progress: Progress) -> None:
        """Note how far it is."""
        self._write(PROGRESS, asdict(progress))

    def progress(self) -> Progress | None:
        """Return how far it was when last noted."""
        values = self._read(PROGRESS)
        return Progress(**{field: values[field] for field in KINDS[PROGRESS]}) if values else None

    def odd(self) -> str:
        """Return which of holder and progress cannot be read, and why; nothing if both can, or are not there."""
        return "; ".join(words for name in (HOLDER, PROGRESS) if (words := self._values(name)[1]))

    def held(self) -> bool:
        """Return whether a living process holds the run. Writes nothing, so it can be asked of a read-only home."""
        return is_locked(self.folder / "lock")

    def begun(self) -> bool:
        """Return whether a checkpoint lies there to resume from."""
        return any(any(self.folder.rglob(name)) for name in ("last.safetensors", "previous.safetensors"))

    def _write(self, name: str, values: Mapping[str, Any]) -> None:
        with suppress(OSError, DataError):
            content = json.dumps(dict(values), ensure_ascii=False).encode(errors="replace")
            write_atomic(self.folder / name, content, durable=False)

    def _remove(self, name: str) -> None:
        with suppress(OSError):
            (self.folder / name).unlink(missing_ok=True)

    def _read(self, name: str) -> dict[str, Any]:
        """Return the values of a file, none where it is missing or odd."""
        return self._values(name)[0]

    def _values(self, name: str) -> tuple[dict[str, Any], str]:
        """Return the values of a file, or why it cannot be read."""
        try:
            values = read_json(self.folder / name, most_bytes=MOST_BYTES)
        except FileNotFoundError:
            return {}, ""
        except OSError as error:
            return {}, f"{name} cannot be read ({error.strerror})"
        except Unreadable as error:
            return {}, f"{name} cannot be read ({error})"
        words = fault(values, KINDS[name])
        return ({}, f"{name} cannot be read ({words})") if words else (values, "")


def run_status(store: Store, key: str) -> RunStatus:
    """Return the state of the run of that key."""
    status_files = StatusFiles(store.work(key))
    try:
        result = store.get(key)
    except ResultDamaged as error:
        return RunStatus(key, "damaged", reason=str(error))
    if result is not None:
        recipe = str(result.identity["recipe"]["name"])
        return RunStatus(
            key, "finished", dice=result.scores.dice, collapsed=result.collapsed, recipe=recipe,
            overflows=result.overflows or None, name=run_name(result.identity),
        )  # fmt: skip
    identity, odd = status_files.identity(), status_files.odd()
    name = run_name(identity) if identity else None
    if status_files.held():
        who, progress = status_files.holder(), status_files.progress()
        return RunStatus(key, "running", who=who, progress=progress, odd=odd, name=name)
    progress = status_files.progress() if status_files.begun() else None
    if reason := status_files.failure():
        state: RunState = "diverged" if status_files.diverged() else "failed"
        return RunStatus(key, state, reason=reason, progress=progress, odd=odd, name=name)
    return RunStatus(key, "begun" if status_files.begun() else "missing", progress=progress, odd=odd, name=name)


class ProgressWriter:
    """Notes on the progress of a run, taken now and then; it may train several candidates one after another."""

    def __init__(self, status_files: StatusFiles, candidates: int, device: str) -> None:
        self.status_files, self.candidates, self.device = status_files, candidates, device
        self.candidate = 0
        self.overflows = 0  # of this candidate
        self._first: tuple[float, float] | None = None  # time and share at the first step of this session
        self._written = -SECONDS_BETWEEN_NOTES

    def step(self, epoch: int, epochs: int, step: int, steps: int) -> None:
        """Note a step that is done, at most every `SECONDS_BETWEEN_NOTES` seconds."""
        now = time.monotonic()
        done = (self.candidate + ((epoch - 1) * steps + step) / (epochs * steps)) / self.candidates
        if self._first is None:
            self._first = now, done
        if now - self._written < SECONDS_BETWEEN_NOTES and done < 1:
            return
        self._written = now
        first_time, first_done = self._first
        left = (now - first_time) * (1 - done) / (done - first_done) if done > first_done else None
        self.status_files.note(
            Progress("training", epoch, epochs, step, steps, done, left, self.device, _now(), self.overflows)
        )

    def overflowed(self, steps: int) -> None:
        """Note how many steps of this candidate were left out so far, in float16."""
        self.overflows = steps

    def testing(self) -> None:
        """Note that the test begins."""
        self.status_files.note(Progress("testing", 0, 0, 0, 0, 1.0, None, self.device, _now()))


def overflow_text(steps: int | None) -> str:
    """Return what to add on steps that float16 left out."""
    return f"; {steps} steps overflowed and were left out" if steps else ""


def duration(seconds: float) -> str:
    """Return a length of time in the two units that matter: 3 d 4 h, 2 h 5 min, 40 s."""
    rounded = round(seconds)
    for size, name, part_size, part_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if rounded >= size:
            return f"{rounded // size} {name} {rounded % size // part_size} {part_name}"
    return f"{rounded} s"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
