"""Show the progress of work: a bar with rate and time left, plain lines without a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from benchmarks.execution.observer import Observer, Outcome
from benchmarks.protocol.run import ResolvedRun
from benchmarks.protocol.run_names import run_name
from data_prep.processes import Progress as DataProgress

SECONDS_BETWEEN_LINES = 30.0
"""Without a terminal, at most one line of progress in so many seconds."""


class ProgressBars(Observer):
    """Bars and lines on the runs of a session."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._title = self._name = ""
        self._epoch_line = 0.0

    def begin(self, number: int, total: int, resolved: ResolvedRun) -> None:
        """Announce a run; its bar appears with its first step, so that a cached run shows none."""
        self._title = f"[{number}/{total}] {resolved.key}"
        self._name = run_name(resolved.run.declared()).title
        self._epoch_line = 0.0

    def step(self, epoch: int, epochs: int, step: int, steps: int) -> None:
        """Move the bar to optimiser step `step` of `steps` in `epoch` of `epochs`."""
        self._show("training", (epoch - 1) * steps + step, epochs * steps)

    def epoch(self, metrics: dict[str, float]) -> None:
        """Print a line an epoch where there is no bar, but not more often than is readable."""
        if self.console.is_terminal or time.monotonic() - self._epoch_line < SECONDS_BETWEEN_LINES:
            return
        self._epoch_line = time.monotonic()
        self._line(
            f"{self._title} epoch {metrics['epoch']:.0f}: loss {metrics['train_loss']:.4f}, "
            f"validation {metrics['val_loss']:.4f}, {metrics['seconds']:.1f} s"
        )

    def testing(self, done: int, total: int) -> None:
        """Move the bar of the test images."""
        self._show("testing", done, total)

    def note(self, text: str) -> None:
        """Print a note as a line."""
        self._line(f"note: {text}")

    def end(self, outcome: Outcome) -> None:
        """Print in a line what became of the run."""
        self._stop()
        for note in outcome.notes:
            self.note(note)
        if outcome.result is None:
            self._line(f"{self._title} ({self._name}) {outcome.status}: {outcome.reason}")
            return
        scores, seconds = outcome.result.scores, outcome.result.seconds
        took = "" if outcome.status == "cached" else f", {seconds:.0f} s"
        collapsed = " (collapsed: below the constant answer)" if outcome.result.collapsed else ""
        self._line(f"{self._title} ({self._name}) {outcome.status}: Dice {scores.dice:.3f}{collapsed}{took}")

    def _show(self, phase: str, done: int, total: int) -> None:
        if not self.console.is_terminal:
            return
        if self._bar is None:
            self._bar = make_bar(self.console)
            self._bar.start()
            self._task = self._bar.add_task(self._title, total=total)
        assert self._task is not None
        self._bar.update(self._task, description=f"{self._title} {phase}", completed=done, total=total)

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _line(self, message: str) -> None:
        self.console.print(Text(message), soft_wrap=True)


@contextmanager
def data_progress(console: Console) -> Iterator[DataProgress]:
    """Yield a callback for `prepare`: a bar, or a line now and then."""
    last, tasks = time.monotonic(), dict[str, TaskID]()
    with make_bar(console) as bar:

        def call(done: int, total: int, phase: str) -> None:
            nonlocal last
            if console.is_terminal:
                if phase not in tasks:
                    tasks[phase] = bar.add_task(phase, total=total)
                bar.update(tasks[phase], completed=done, total=total)
            elif time.monotonic() - last >= SECONDS_BETWEEN_LINES:
                last = time.monotonic()
                console.print(Text(f"{phase}: {done} of {total}"))

        yield call


class _Rate(TextColumn):
    """Steps a second, once known."""

    def __init__(self) -> None:
        super().__init__("{task.speed}")

    def render(self, task: object) -> Text:
        speed = getattr(task, "speed", None)
        return Text(f"{speed:.1f}/s" if speed else "")


def make_bar(console: Console) -> Progress:
    """Return a bar that vanishes when done and shows nothing without a terminal."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
