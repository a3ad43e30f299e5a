"""Run three stages at the same time, reading, computing and writing, with short queues between them.

The computing stage stays in the caller's thread, where Ctrl-C arrives. An error in any stage ends the other two, and is
raised in the caller's thread once both threads have ended. Imports no torch.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Generic, TypeVar, cast

Input = TypeVar("Input")
Output = TypeVar("Output")
Item = TypeVar("Item")

DEPTH = 2
"""Items that may wait between two stages: one in hand and one ahead."""

POLL_SECONDS = 0.1
"""Seconds after which a waiting stage checks whether another has failed."""

_END = object()


class _Stopped(Exception):
    """Another stage has failed; that error is raised instead of this one."""


class _Channel(Generic[Item]):
    """Bounded queue between two threads that ends, or breaks off when `stopped` is set."""

    def __init__(self, stopped: Event) -> None:
        self._queue: queue.Queue[object] = queue.Queue(DEPTH)
        self._stopped = stopped

    def fill(self, items: Iterable[Item]) -> None:
        """Pass all items on, then the end."""
        for item in items:
            self._put(item)
        self._put(_END)

    def __iter__(self) -> Iterator[Item]:
        while (item := self._get()) is not _END:
            yield cast(Item, item)

    def _put(self, item: object) -> None:
        while not self._stopped.is_set():
            try:
                return self._queue.put(item, timeout=POLL_SECONDS)
            except queue.Full:
                continue
        raise _Stopped

    def _get(self) -> object:
        while not self._stopped.is_set():
            try:
                return self._queue.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
        raise _Stopped


def run_stages(
    read: Iterable[Input], compute: Callable[[Input], Output], write: Callable[[Iterable[Output]], None]
) -> None:
    """Take items from `read` in a thread, call `compute` with each in this one, and `write` the results in another.

    The order is kept. Raises what the first failing stage raised.
    """
    stopped = Event()
    inputs, outputs = _Channel[Input](stopped), _Channel[Output](stopped)

    def stop_if_failed(future: Future[None]) -> None:
        if future.exception() is not None:
            stopped.set()

    with ThreadPoolExecutor(2, "stage") as pool:
        futures = [pool.submit(inputs.fill, read), pool.submit(write, outputs)]
        for future in futures:
            future.add_done_callback(stop_if_failed)
        complete = False
        try:
            outputs.fill(compute(item) for item in inputs)
            complete = True
        except _Stopped:
            pass  # the error itself lies in one of the futures
        finally:
            if not complete:
                stopped.set()
    for future in futures:
        error = future.exception()
        if error is not None and not isinstance(error, _Stopped):
            raise error
