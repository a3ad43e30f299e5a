"""Define the base class of trackers, which receive the metrics and results of runs; no result depends on a tracker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.protocol.run import ResolvedRun
from benchmarks.results.result import Result

if TYPE_CHECKING:
    from benchmarks.metrics.watch_training import Point, Sample  # imports torch

Warn = Callable[[str], None]


class Tracker:
    """Receiver of what happens to the runs of a process, one run at a time; this base class ignores everything."""

    def start(self, resolved: ResolvedRun) -> None:
        """Note that a run begins, or is resumed."""

    def watch(self, candidate: str, points: Sequence[Point], sample: Sample | None) -> None:
        """Take steps or a validation of the current run that are done; of several candidates, the named candidate's."""

    def epoch(self, metrics: Mapping[str, float], candidate: str = "") -> None:
        """Take the metrics of an epoch of the current run that has ended."""

    def finish(self, result: Result, result_file: Path) -> None:
        """Take the result of the current run, which is finished and stored."""

    def backfill(self, resolved: ResolvedRun, result: Result, result_file: Path) -> None:
        """Take a result of an earlier command."""

    def fail(self, reason: str) -> None:
        """Note that the current run has failed."""

    def stop(self, reason: str) -> None:
        """Note that the current run was asked to stop."""

    def elsewhere(self) -> Callable[[Warn], Tracker]:
        """Get ready for trackers in other processes, and return what makes one there; equal for equal trackers."""
        return _ignoring


def _ignoring(warn: Warn) -> Tracker:
    return Tracker()
