"""What the runner tells whoever listens to its runs; a listener decides nothing, and no result depends on one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from benchmarks.results.result import Result


class Tracker(Protocol):
    """What the runner tells whoever listens."""

    def start(self, key: str, declared: Mapping[str, Any]) -> None:
        """A run begins, or goes on."""

    def epoch(self, metrics: Mapping[str, float], candidate: str = "") -> None:
        """An epoch of the current run has ended; where several candidates are trained, of the one so named."""

    def finish(self, result: Result, result_file: Path) -> None:
        """The current run is finished and stored."""

    def backfill(self, result: Result, result_file: Path) -> None:
        """A result of earlier is met."""

    def fail(self, reason: str) -> None:
        """The current run has failed."""

    def stop(self, reason: str) -> None:
        """The current run was asked to stop."""

    def open(self) -> bool:
        """Make ready for mirrors in other processes; whether there should be any."""
        ...


class NullTracker:
    """A tracker that listens to nothing."""

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
        """There is nothing to open."""
        return False
