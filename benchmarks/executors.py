"""Many runs at once on one machine: a pool of processes, each with its share of the cores.

Small networks at small batches keep two threads badly busy. Whether it pays depends on the plan: the largest run is
alone at the end, with its share of the cores.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Literal

from benchmarks.runner import execute
from benchmarks.session import Outcome, Session, Unwatched
from benchmarks.spec import ResolvedRun
from benchmarks.tracking import MlflowMirror, Silent

_worker: Session | None = None  # one a process, so that prepared files are verified once in each


def execute_in_processes(resolved: Sequence[ResolvedRun], session: Session, jobs: int) -> list[Outcome]:
    """Execute the runs, `jobs` at a time, and return their outcomes in order; one that fails does not stop the others.

    The observer hears of a run when it has ended.
    """
    outcomes: dict[int, Outcome] = {}
    with _threads(max(1, (os.cpu_count() or 1) // jobs)):
        pool = ProcessPoolExecutor(
            jobs,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start_worker,
            initargs=(session.home, session.device, session.workers, session.tracker.open()),
        )
        try:
            futures = {pool.submit(_execute, item): number for number, item in enumerate(resolved)}
            for done, future in enumerate(as_completed(futures), start=1):
                number = futures[future]
                session.observer.begin(done, len(resolved), resolved[number])
                outcomes[number] = _outcome(future, resolved[number])
                session.observer.end(outcomes[number])
        finally:
            pool.shutdown(cancel_futures=True)
    return [outcomes[number] for number in range(len(resolved))]


def _outcome(future: Future[Outcome], resolved: ResolvedRun) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        reason = "a process ended abruptly (out of memory?): run again with fewer --jobs; what is finished is kept"
        return Outcome(resolved.key, "failed", reason=reason)


def _start_worker(home: Path, device: Literal["cpu", "cuda"], workers: int, tracked: bool) -> None:
    global _worker
    signal.signal(signal.SIGINT, _leave)
    tracker = MlflowMirror(home, warn=lambda text: logging.getLogger(__name__).warning(text)) if tracked else Silent()
    _worker = Session(home, device, Unwatched(), tracker, workers)


def _leave(number: int, frame: FrameType | None) -> None:
    """On Ctrl-C end at once and without a traceback; checkpoints are written whole or not at all."""
    os._exit(130)


def _execute(resolved: ResolvedRun) -> Outcome:
    assert _worker is not None
    return execute(resolved, _worker)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Processes started inside use so many threads each: more than cores, and they fight."""
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
