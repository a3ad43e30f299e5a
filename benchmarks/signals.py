"""Stop on SIGINT or SIGTERM: the first lets a run finish its step and save, a second Ctrl-C ends it at once.

Imports no torch.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn


class Interrupted(Exception):
    """Raised when the run was asked to stop; what it had done is saved."""


@dataclass
class Stop:
    """State of the request to stop the runs of this process, and the signal that brought it."""

    signal: str | None = None

    @property
    def wanted(self) -> bool:
        """Return whether to stop at the next step."""
        return self.signal is not None

    def check(self) -> None:
        """Raise Interrupted if a stop is wanted; only where nothing would be lost."""
        if self.wanted:
            raise Interrupted(f"stopped by {self.signal}")


@contextmanager
def handle_signals(stop: Stop, say: Callable[[str], None]) -> Iterator[None]:
    """Set `stop` on SIGINT or SIGTERM, and pass it on to child processes as SIGTERM. A second Ctrl-C ends at once.

    A scheduler may send SIGTERM to the whole group and so twice: therefore only a second Ctrl-C ends at once. Outside
    of the main thread, where Python delivers no signal, nothing is handled.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.wanted:
            if number == signal.SIGINT:
                exit_now()
            return
        stop.signal = signal.Signals(number).name
        # those that read images for this process are daemons: they go on, because the step needs its images
        children = [child for child in multiprocessing.active_children() if not child.daemon]
        for child in children:
            child.terminate()  # their handler finishes the step and saves
        of_children = f"the {len(children)} process(es) at work finish their step and save"
        consequence = of_children if children else "the step is finished and saved"
        try:
            say(f"{stop.signal}: {consequence}, then this stops; Ctrl-C ends it at once")
        except RuntimeError:  # the signal came in the middle of a print, which cannot be entered twice
            os.write(2, b"stopping after this step\n")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_ctrl_c(stop: Stop) -> None:
    """Leave Ctrl-C to the parent, in a child process; take its SIGTERM as the request to stop."""

    def handle(number: int, frame: FrameType | None) -> None:
        stop.signal = signal.Signals(number).name

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, handle)


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Block SIGINT and SIGTERM; a process started inside keeps them blocked until `ignore_signals_of_others`."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_signals_of_others() -> None:
    """Let only a SIGTERM of the parent end this process, which was started within `signals_blocked`.

    Terminals and schedulers signal every process of a group or a job, and the parent wants to finish its step.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "linux":  # no way to know the sender: out of the group at least
        os.setpgid(0, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
        return
    parent = os.getppid()

    def watch() -> None:
        while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent == os.getppid():
            pass
        os._exit(0)

    threading.Thread(target=watch, name="signals", daemon=True).start()


def exit_now(code: int = 1) -> NoReturn:
    """End now: files are written whole or not at all, and the system frees the locks."""
    if sys.stderr.isatty():
        os.write(2, b"\x1b[?25h\n")  # the progress bar had hidden the cursor
    os._exit(code)
