"""Execute several runs at once on one machine, each in a process with its share of the cores.

Small networks at small batches do not keep two threads busy. Whether this is faster depends on the plan: the largest
run may be the last one at work, with its share of the cores alone. A process that dies ends its own run and no other.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.execution.observer import Observer, Outcome
from benchmarks.execution.runner import execute, in_two_rounds
from benchmarks.execution.session import Session
from benchmarks.protocol.recipe import PRECISION_NAMES
from benchmarks.protocol.run import ResolvedRun
from benchmarks.signals import ignore_ctrl_c
from benchmarks.tracking.tracker import Tracker, Warn
from data_prep.processes import worker_pool

_SHARED = ("home", "device", "workers", "save_every", "keep", "compiled")
"""Fields of a session that are the same in every process."""

_worker: Session | None = None  # one a process, so that prepared files are verified once in each


def execute_in_processes(resolved: Sequence[ResolvedRun], session: Session, jobs: int) -> list[Outcome]:
    """Execute the runs, `jobs` at a time, and return their outcomes in order; one that fails does not stop the others.

    The observer gets a run when it has ended. Runs that another command holds are waited for at the end. Runs that were
    not begun when the session was asked to stop have no outcome.
    """
    settings = SessionSettings.of(session)
    ended = 0

    def execute_round(numbers: Sequence[int], wait: bool) -> Iterator[tuple[int, Outcome]]:
        nonlocal ended
        for number, outcome in _execute_in_threads(resolved, numbers, session, settings, jobs, wait):
            session.observer.begin(ended + 1, len(resolved), resolved[number])
            ended += outcome.status != "busy"
            yield number, outcome

    with _limited_threads(max(1, (os.cpu_count() or 1) // jobs)):
        return in_two_rounds(len(resolved), session, execute_round, "it is waited for at the end")


@dataclass(frozen=True)
class SessionSettings:
    """Settings with which another process opens the session again."""

    tracker: Callable[[Warn], Tracker]
    options: Mapping[str, Any]  # of `Session`

    @classmethod
    def of(cls, session: Session) -> SessionSettings:
        """Return the settings of a session; its tracker gets ready for trackers in other processes."""
        options = {name: getattr(session, name) for name in _SHARED}
        return cls(session.tracker.elsewhere(), {**options, "precision_choice": PRECISION_NAMES[session.precision]})

    def open(self) -> Session:
        """Return a session whose observer keeps its notes for `execute_keeping_notes`."""
        observer = NoteCollector()
        return Session(observer=observer, tracker=self.tracker(observer.note), **self.options)


def _execute_in_threads(
    resolved: Sequence[ResolvedRun],
    numbers: Sequence[int],
    session: Session,
    settings: SessionSettings,
    jobs: int,
    wait: bool,
) -> Iterator[tuple[int, Outcome]]:
    """Yield outcomes as they come, from `jobs` threads that each feed a process of their own."""
    todo, done = queue.SimpleQueue[int](), queue.SimpleQueue[tuple[int, Outcome] | None]()
    for number in numbers:
        todo.put(number)
    threads = min(jobs, len(numbers))

    def feed() -> None:
        pool = None
        try:
            while not session.stop.wanted:
                try:
                    number = todo.get_nowait()
                except queue.Empty:
                    return
                pool = pool or worker_pool(1, _open_session, settings)  # it brings results and exceptions home
                try:
                    done.put((number, pool.submit(_execute, resolved[number], wait).result()))
                except BrokenProcessPool:
                    pool.shutdown()
                    pool = None
                    done.put((number, _died(resolved[number], session)))
        finally:
            if pool is not None:
                pool.shutdown()
            done.put(None)

    for _ in range(threads):
        threading.Thread(target=feed, daemon=True).start()
    while threads:
        numbered_outcome = done.get()
        if numbered_outcome is None:
            threads -= 1
        else:
            yield numbered_outcome


def _died(resolved: ResolvedRun, session: Session) -> Outcome:
    """Return the outcome of a run whose process died, and note it, because that process could not."""
    key = resolved.key
    if session.stop.wanted:
        return Outcome(key, "interrupted", reason="its process ended; what was saved is kept")
    reason = "its process ended abruptly (out of memory?): run again with fewer --jobs; what was saved is kept"
    session.note_failure(resolved, reason)
    return Outcome(key, "failed", reason=reason)


def _open_session(settings: SessionSettings) -> None:
    global _worker
    _worker = settings.open()
    ignore_ctrl_c(_worker.stop)


class NoteCollector(Observer):
    """Observer that keeps notes until the outcome of the run can carry them."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    def note(self, text: str) -> None:
        """Keep the note."""
        self.kept.append(text)


def _execute(resolved: ResolvedRun, wait: bool) -> Outcome:
    assert _worker is not None
    return execute_keeping_notes(resolved, _worker, wait)


def execute_keeping_notes(resolved: ResolvedRun, session: Session, wait: bool) -> Outcome:
    """Execute a run in a session of `SessionSettings.open`; its notes come with the outcome."""
    assert isinstance(session.observer, NoteCollector)
    outcome = execute(resolved, session, wait=wait)
    notes, session.observer.kept = tuple(session.observer.kept), []
    return replace(outcome, notes=notes)


@contextmanager
def _limited_threads(count: int) -> Iterator[None]:
    """Limit the threads of each process that is started inside the block, so that processes share the cores."""
    name = "OMP_NUM_THREADS"
    before = os.environ.get(name)
    os.environ[name] = str(count)
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
