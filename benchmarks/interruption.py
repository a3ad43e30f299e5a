"""How a run is asked to stop: the first SIGINT or SIGTERM lets it finish its step and save, a second Ctrl-C ends it.

Imports no torch.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn


class Interrupted(Exception):
    """The run was asked to stop; what it had done is saved."""


@dataclass
class Stop:
    """Whether the runs of this process shall stop, and which signal said so."""

    signal: str | None = None

    @property
    def wanted(self) -> bool:
        """Whether to stop at the next step."""
        return self.signal is not None

    def check(self) -> None:
        """Raise Interrupted if a stop is wanted; only where nothing would be lost."""
        if self.wanted:
            raise Interrupted(f"stopped by {self.signal}")


@contextmanager
def heed_signals(stop: Stop, say: Callable[[str], None]) -> Iterator[None]:
    """Set `stop` on SIGINT or SIGTERM, and pass it on to child processes as SIGTERM. A second Ctrl-C ends at once.

    A scheduler may send SIGTERM to the whole group and so twice: only Ctrl-C is ever taken for impatience.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.wanted:
            if number == signal.SIGINT:
                leave()
            return
        stop.signal = signal.Signals(number).name
        children = multiprocessing.active_children()
        for child in children:
            child.terminate()  # their handler finishes the step and saves
        who = f"the {len(children)} process(es) at work finish their step" if children else "the step is finished"
        try:
            say(f"{stop.signal}: {who} and saved, then this stops; Ctrl-C ends it at once")
        except RuntimeError:  # the signal came in the middle of a print, which cannot be entered twice
            os.write(2, b"stopping after this step\n")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def heed_parent(stop: Stop) -> None:
    """In a child process: leave Ctrl-C to the parent, take its SIGTERM as the wish to stop."""

    def handle(number: int, frame: FrameType | None) -> None:
        stop.signal = signal.Signals(number).name

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, handle)


def leave(code: int = 1) -> NoReturn:
    """End now: files are written whole or not at all, and the system frees the locks."""
    if sys.stderr.isatty():
        os.write(2, b"\x1b[?25h\n")  # the progress bar had hidden the cursor
    os._exit(code)
