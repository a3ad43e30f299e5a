"""Track runs in MLflow. Nothing depends on it: whatever goes wrong with MLflow, the run goes on with one note.

One tracker serves all runs of a process, so that the database is opened once. `caller` limits how long MLflow is waited
for. What MLflow missed is kept for later. A note in the run's work folder is written before the MLflow run is made, and
stays until MLflow has everything. So a resumed run goes on in the same MLflow run, however its process ended. A
finished run that MLflow lacks is sent again by the next command that meets it.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.failures import first_line
from benchmarks.protocol.run import ResolvedRun
from benchmarks.results.home import Home
from benchmarks.results.result import Result
from benchmarks.tracking.call_with_timeout import TimeoutCaller
from benchmarks.tracking.connection import Connection, connect, import_mlflow, tracking_uri
from benchmarks.tracking.note import read_note, write_note
from benchmarks.tracking.redact import redacted, without_credentials
from benchmarks.tracking.run_files import WriteAdapter, images_of_splits, write_files
from benchmarks.tracking.tracked_run import TrackedRun
from benchmarks.tracking.tracker import Tracker, Warn

if TYPE_CHECKING:
    from benchmarks.metrics.watch_training import Point, Sample  # imports torch

SYSTEM_METRICS_SECONDS = 10
NOTE = "mlflow.json"
FILES = "mlflow-files"
"""Folder in a run's work folder for the files that are being sent."""
SLOWEST_BYTES = 1e6
"""A second that an upload may be slow to before it is given up."""


@dataclass(frozen=True)
class MlflowElsewhere:
    """Maker of the trackers of other processes."""

    home: Path
    write_adapter: WriteAdapter | None

    def __call__(self, warn: Warn) -> Tracker:
        """Return a tracker."""
        return MlflowTracker(self.home, warn, self.write_adapter)


class MlflowTracker(Tracker):
    """Identity, metrics, samples and system metrics of each run, and of a finished one its files and its model."""

    def __init__(self, home: Path, warn: Warn, write_adapter: WriteAdapter | None = None) -> None:
        self.home, self.warn, self.write_adapter = Home(home.resolve()), warn, write_adapter
        self.caller = TimeoutCaller(self._report_fault)
        self._connection: Connection | None = None
        self._run: TrackedRun | None = None
        self._monitor: Any = None

    def start(self, resolved: ResolvedRun) -> None:
        """Open the run, or resume the MLflow run that it had before."""
        self._stop_monitor()
        note = self._note(resolved.key)
        self._run = TrackedRun(resolved, live=True, name=read_note(note) or write_note(note))
        self._call_with_run(self._flush)

    def watch(self, candidate: str, points: Sequence[Point], sample: Sample | None) -> None:
        """Keep steps and validations for the end of the epoch."""
        if self._run is not None:
            self._run.add(candidate, points, sample)

    def epoch(self, metrics: Mapping[str, float], candidate: str = "") -> None:
        """Log the metrics of one epoch at the step of its number."""
        self.watch(candidate, _points(metrics), None)
        self._call_with_run(self._flush)

    def finish(self, result: Result, result_file: Path) -> None:
        """Log the scores, the files, the result with its counts, and the model."""
        if (run := self._run) is None:
            return
        folder = self.home.run(result.key) / FILES

        def write() -> None:
            import_mlflow()
            write_files(folder, self.home, run.resolved, result, self.write_adapter, self.warn)

        for epoch in result.history:
            run.add("", _points(epoch))
        scores = {f"test_{name}": value for name, value in vars(result.scores).items()}
        scores |= {"total_seconds": result.seconds, "peak_memory": float(result.peak_memory)}
        run.add("", [(name, result.best_epoch, value) for name, value in scores.items()])
        self.caller.call(lambda: self._finish(run, result_file, folder), write, lambda: _bytes(folder) / SLOWEST_BYTES)
        self._run = None

    def backfill(self, resolved: ResolvedRun, result: Result, result_file: Path) -> None:
        """Send MLflow a result that it lacks a part of: so it is while there is a note. Without a note do nothing."""
        if (name := read_note(self._note(resolved.key))) is not None:
            self._run = TrackedRun(resolved, live=False, name=name)
            self.finish(result, result_file)

    def fail(self, reason: str) -> None:
        """Mark the run as failed."""
        self._end("FAILED", reason)

    def stop(self, reason: str) -> None:
        """Mark the run as killed; it may be resumed later."""
        self._end("KILLED", reason)

    def elsewhere(self) -> Callable[[Warn], Tracker]:
        """Make the database and the experiment, so that processes which start together do not each make them."""
        self.caller.call(self._connect, import_mlflow)
        return MlflowElsewhere(self.home.root, self.write_adapter)

    def _end(self, status: str, reason: str) -> None:
        self._call_with_run(lambda run: self._close(run, status, reason))
        self._run = None

    def _call_with_run(self, function: Callable[[TrackedRun], object]) -> None:
        if (run := self._run) is not None:
            # The import takes seconds on a busy machine, which is no fault of a server.
            self.caller.call(lambda: function(run), import_mlflow)

    def _report_fault(self, fault: Exception) -> None:
        self._connection = None
        self._stop_monitor()
        uri = tracking_uri(self.home)
        words = f"{type(fault).__name__}: {redacted(first_line(fault), uri)}"
        self.warn(
            f"MLflow at {without_credentials(uri)} failed ({words}); this session goes on without it and asks again"
            f" after {self.caller.seconds_of_pause / 60:.0f} minutes. Results do not depend on it"
        )

    def _connect(self) -> Connection:
        if self._connection is None:
            self._connection = connect(self.home, self.caller.seconds_to_answer)
        return self._connection

    def _flush(self, run: TrackedRun) -> None:
        """Open the run if it is not open, and log what is pending."""
        if not run.run_id:
            run.open(self._connect(), images_of_splits(self.home, run.resolved.run))
            if run.live:
                self._start_monitor(run.run_id)
        run.flush(self._connect())

    def _finish(self, run: TrackedRun, result_file: Path, folder: Path) -> None:
        self._flush(run)
        client = self._connect().client
        client.log_artifact(run.run_id, str(result_file))
        client.log_artifacts(run.run_id, str(folder / "run"))
        self._close(run, "FINISHED")
        if (folder / "model").exists():
            run.log_model(self._connect(), folder / "model")
        self._note(run.resolved.key).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)

    def _close(self, run: TrackedRun, status: str, reason: str | None = None) -> None:
        self._flush(run)
        self._stop_monitor()
        client = self._connect().client
        if reason is not None:
            client.set_tag(run.run_id, "reason", reason)
        client.set_terminated(run.run_id, status)

    def _start_monitor(self, run_id: str) -> None:
        from mlflow.system_metrics import system_metrics_monitor

        monitor: Any = system_metrics_monitor  # MLflow's monitor has no types
        self._monitor = monitor.SystemMetricsMonitor(
            run_id, SYSTEM_METRICS_SECONDS, resume_logging=True, tracking_uri=tracking_uri(self.home)
        )
        self._monitor.start()

    def _stop_monitor(self) -> None:
        """Ask the monitor to end, without waiting: sending its last metrics may take long."""
        if self._monitor is not None:
            threading.Thread(target=self._monitor.finish, daemon=True).start()
            self._monitor = None

    def _note(self, key: str) -> Path:
        return self.home.run(key) / NOTE


def _points(metrics: Mapping[str, float]) -> list[Point]:
    return [(name, int(metrics["epoch"]), value) for name, value in metrics.items() if name != "epoch"]


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
