"""Show all running runs in one table, wherever they are, from the status files. Imports no torch."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from benchmarks.console.progress import SECONDS_BETWEEN_LINES
from benchmarks.execution.observer import OutcomeStatus
from benchmarks.execution.run_status import RunStatus


class LiveTable:
    """Table of the running runs on a terminal, a line now and then without a terminal; shows nothing before `with`."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._said = time.monotonic()

    def __enter__(self) -> LiveTable:
        """Begin to show."""
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Take the table away."""
        self._live.stop()

    def show(self, running: Sequence[RunStatus], ended: Mapping[OutcomeStatus, int], queued: int) -> None:
        """Show the runs at work as they stand now, and how many have ended how and how many wait for room."""
        footer = in_words(len(running), ended, queued)
        if self.console.is_terminal:
            self._live.update(Group(_table(running), Text(footer)), refresh=True)
        elif time.monotonic() - self._said >= SECONDS_BETWEEN_LINES:
            self._said = time.monotonic()
            self.console.print(Text(footer), soft_wrap=True)
            for status in running:
                self.console.print(Text(f"  {status.key}: {status.text}"), soft_wrap=True)


def in_words(running: int, ended: Mapping[OutcomeStatus, int], queued: int) -> str:
    """Return a plan in a line."""
    counts = [("running", running), ("queued", queued), *ended.items()]
    total = running + queued + sum(ended.values())
    return f"{total} runs: " + ", ".join(f"{count} {state}" for state, count in counts if count)


def _table(running: Sequence[RunStatus]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for name in ("run", "how far", "where"):
        table.add_column(name, no_wrap=name == "run")
    for status in running:
        run = status.key if status.name is None else f"{status.key}\n{status.name.title}"
        table.add_row(run, status.progress.text if status.progress else "begins", status.who)
    return table
