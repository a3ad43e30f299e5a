"""Callbacks for progress, and processes that work for a parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called as progress(done, total, what) while long work runs."""


def live_with_parent() -> None:
    """What a worker does first: leave Ctrl-C to its parent, and end when that one is killed, which no pool sees to."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops the workers; they print no tracebacks of their own
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
