"""Run three stages at the same time, reading, computing and writing, each a few items ahead of the next.

The computing stage stays in the caller's thread, where Ctrl-C arrives. An error in any stage ends the other two, and is
raised in the caller's thread once both threads have ended. Imports no torch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar, cast

Input = TypeVar("Input")
Output = TypeVar("Output")

DEPTH = 3
"""Items on their way between two stages: one in hand, and two that wait."""

_END = object()


def run_stages(read: Iterable[Input], compute: Callable[[Input], Output], write: Callable[[Output], None]) -> None:
    """Take items from `read` in a thread, `compute` each in this one, and `write` each result in another.

    The order is kept. Raises what the first failing stage raised; nothing is written behind a result that was not.
    """
    items = iter(read)
    behind: deque[Future[None]] = deque()

    def write_after(before: Future[None] | None, result: Output) -> None:
        if before is not None:
            before.result()  # done, for one thread writes; raises what it raised
        write(result)

    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writer:
        ahead = deque(reader.submit(next, items, _END) for _ in range(DEPTH))
        last = None
        while (item := ahead.popleft().result()) is not _END:
            ahead.append(reader.submit(next, items, _END))
            result = compute(cast(Input, item))
            while behind and (len(behind) == DEPTH or behind[0].done()):
                behind.popleft().result()
            last = writer.submit(write_after, last, result)
            behind.append(last)
        for future in behind:
            future.result()
