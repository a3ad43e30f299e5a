"""Define the base class of observers, which show the progress of runs, and the outcome with which a run ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from benchmarks.divergence import DivergedRate
from benchmarks.execution.run_status import RunStatus
from benchmarks.protocol.run import ResolvedRun
from benchmarks.results.result import Result

OutcomeStatus = Literal["cached", "resumed", "trained", "failed", "interrupted", "busy"]
"""Busy: another process holds the run. No run ends so, because it is waited for."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of one run. A failed run of `fine_tune` raises `RunFailed` in its place.

    Attributes:
        key: name of the run, which is also the file name of its result.
        status: "trained" from the start now, "resumed" from a checkpoint, "cached" if it was finished before, or
            "failed". `reproduce` and `fine_tune` return no other: they raise KeyboardInterrupt at Ctrl-C, and wait for
            a run that another process has.
        result: the result of the first three; None of a failed run.
        reason: why it failed; otherwise empty.
        notes: with `jobs` above 1, what was said during the run, such as on a damaged checkpoint. Otherwise empty,
            because it is shown at once.
        diverged: if the run failed because its loss was no number, each `rate` with its `epoch`, from 1, and `phase`,
            "training" or "validation".

    Examples:
        The run of docs/python.md:

        >>> from benchmarks import reproduce
        >>> options = {"dataset": "roads", "profile": "demo", "home": "example", "progress": False}
        >>> (outcome,) = reproduce("table5", rows=[5], **options)
        >>> outcome.status, outcome.reason, outcome.result is not None
        ('cached', '', True)
    """

    key: str
    status: OutcomeStatus
    result: Result | None = None
    reason: str = ""
    notes: tuple[str, ...] = ()
    diverged: tuple[DivergedRate, ...] = ()


class Observer:
    """Receiver of the progress of the runs of a session, to show it to a person; this base class ignores everything."""

    def begin(self, number: int, total: int, resolved: ResolvedRun) -> None:
        """Note that run `number` of `total` begins."""

    def step(self, epoch: int, epochs: int, step: int, steps: int) -> None:
        """Note that optimiser step `step` of `steps` is done, in `epoch` of `epochs`; both from 1."""

    def epoch(self, metrics: dict[str, float]) -> None:
        """Note that an epoch is done."""

    def testing(self, done: int, total: int) -> None:
        """Note that `done` of `total` test images are predicted."""

    def note(self, text: str) -> None:
        """Note what a person should know: a wait, a damaged checkpoint, a second try."""

    def end(self, outcome: Outcome) -> None:
        """Note that the run has ended."""


class RunTable(Protocol):
    """Table of the runs that are at work, shown between `__enter__` and `__exit__`."""

    def __enter__(self) -> RunTable:
        """Begin to show."""
        ...

    def __exit__(self, *error: object) -> None:
        """Take the table away."""

    def show(self, running: Sequence[RunStatus], ended: Mapping[OutcomeStatus, int], queued: int) -> None:
        """Show the runs at work as they stand now, and how many have ended how and how many wait for room."""
