"""Map work over threads and over processes that end with their parent, and report progress."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from data_prep.errors import DataError

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

Progress = Callable[[int, int, str], None]
"""Called as progress(done, total, what) while long work runs."""


def worker_pool(workers: int, initializer: Callable[..., None] | None = None, *arguments: Any) -> ProcessPoolExecutor:
    """Return a pool of processes that leave Ctrl-C to their parent and exit when it does.

    Processes are started afresh, so that no lock or thread is inherited. `initializer(*arguments)` runs first in each.
    """
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(initializer, arguments))


def map_in_processes(
    work: Callable[[Item], Outcome], items: Iterable[Item], workers: int, died: str
) -> Generator[Outcome, None, None]:
    """Yield work(item) in the order of the items, in this process if there is one worker. Close it to end early.

    Raises DataError if a worker process ends abruptly.

    Args:
        work: a function that can be pickled.
        items: its arguments.
        workers: processes.
        died: the text of the error.
    """
    if workers <= 1:
        yield from map(work, items)
        return
    pool = worker_pool(workers)
    try:
        yield from pool.map(work, items, chunksize=4)
    except BrokenProcessPool as error:
        raise DataError(died) from error
    finally:
        pool.shutdown(cancel_futures=True)


def map_in_threads(
    work: Callable[[Item], Outcome], items: Sequence[Item], workers: int, progress: Progress, what: str
) -> list[Outcome]:
    """Return work(item) of all items in their order; for work that leaves Python's lock: files, decoding, digests.

    Args:
        work: called in a thread with an item.
        items: what to work on.
        workers: threads, at least one.
        progress: called after each item.
        what: the work in words, for `progress`.
    """
    outcomes = []
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        for outcome in pool.map(work, items):
            outcomes.append(outcome)
            progress(len(outcomes), len(items), what)
    return outcomes


def _start_worker(initializer: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops the workers; they print no tracebacks of their own
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    if initializer is not None:
        initializer(*arguments)


def _exit_with_parent() -> None:
    """Exit when the parent process ends: no pool does it, and an orphan would work on and hold its locks."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
