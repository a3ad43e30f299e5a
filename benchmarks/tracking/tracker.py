"""The protocol of a tracker, which receives the metrics and results of runs; no result depends on one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from benchmarks.results.result import Result


class Tracker(Protocol):
    """Receives what happens to the runs of a process, one run at a time."""

    def start(self, key: str, declared: Mapping[str, Any]) -> None:
        """A run begins, or goes on."""

    def epoch(self, metrics: Mapping[str, float], candidate: str = "") -> None:
        """An epoch of the current run has ended; of several candidates that are trained, the named one's."""

    def finish(self, result: Result, result_file: Path) -> None:
        """The current run is finished and stored."""

    def backfill(self, result: Result, result_file: Path) -> None:
        """A result of an earlier command is met."""

    def fail(self, reason: str) -> None:
        """The current run has failed."""

    def stop(self, reason: str) -> None:
        """The current run was asked to stop."""

    def open(self) -> bool:
        """Get ready for trackers in other processes; return whether they should track at all."""
        ...


class NullTracker:
    """A tracker that ignores everything."""

    def start(self, key: str, declared: Mapping[str, Any]) -> None:
        """Ignored."""

    def epoch(self, metrics: Mapping[str, float], candidate: str = "") -> None:
        """Ignored."""

    def finish(self, result: Result, result_file: Path) -> None:
        """Ignored."""

    def backfill(self, result: Result, result_file: Path) -> None:
        """Ignored."""

    def fail(self, reason: str) -> None:
        """Ignored."""

    def stop(self, reason: str) -> None:
        """Ignored."""

    def open(self) -> bool:
        """Return False: other processes need not track either."""
        return False
