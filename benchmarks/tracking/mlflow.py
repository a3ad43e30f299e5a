"""Track runs in MLflow. Nothing depends on it: whatever goes wrong with MLflow, the run goes on and says so once.

Without MLFLOW_TRACKING_URI runs are tracked in a SQLite file of the home folder, with it on that server. One tracker
serves all runs of a process, so that the database is opened and the experiment made once; `caller` limits how long
MLflow is waited for. What MLflow missed is kept for later. A note in the run's work folder names its MLflow run and
stays until that one has everything: a resumed run goes on in it, and a finished run that MLflow lacks is sent again by
the next command that meets it. The note is written before the MLflow run is made, with a random key that the MLflow
run has as a tag: a run that was made and whose note was lost is found by the tag.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from benchmarks.failures import first_line
from benchmarks.results.home import Home
from benchmarks.results.result import Result
from benchmarks.tracking.call_with_timeout import TimeoutCaller
from benchmarks.tracking.note import Note, read_note, write_note
from benchmarks.tracking.redact import redacted, without_credentials

EXPERIMENT = "rssam-bench"
SYSTEM_METRICS_SECONDS = 10
NOTE = "mlflow.json"
IDEMPOTENCY_KEY = "idempotency_key"
"""Tag of an MLflow run: a random name that its note had before it was made."""

_CLIENT_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # a benchmark does not phone home
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}
"""Settings of MLflow's client where the user has none: with its own defaults it waits for minutes."""


@dataclass
class _TrackedRun:
    """The run that is being tracked, and what MLflow lacks of it."""

    key: str
    declared: Mapping[str, Any]
    live: bool  # it is running now, not sent after its end
    note: Note
    run_id: str | None = None  # once it is open
    logged: set[tuple[str, int]] = field(default_factory=set)  # (metric, step)
    pending: list[tuple[str, float, int, int]] = field(default_factory=list)  # metric, value, time in ms, step


class MlflowTracker:
    """Parameters, metrics of each epoch, system metrics, and the result file as an artifact, in MLflow."""

    def __init__(self, home: Path, warn: Callable[[str], None]) -> None:
        self.home, self.warn = Home(home.resolve()), warn
        self.caller = TimeoutCaller(self._report_fault)
        self._client: Any = None
        self._experiment = ""
        self._run: _TrackedRun | None = None
        self._monitor: Any = None

    @property
    def uri(self) -> str:
        """Where runs are tracked; it may hold a password, so it is given to the client alone."""
        return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.home.mlflow_database}"

    @property
    def address(self) -> str:
        """The same without credentials, for messages and notes."""
        return without_credentials(self.uri)

    def start(self, key: str, declared: Mapping[str, Any]) -> None:
        """Open the run, with its declaration as flat parameters; go on in the MLflow run that it had before."""
        self._stop_monitor()
        self._run = _TrackedRun(key, declared, live=True, note=self._read_note(key) or self._new_note(key))
        self._call_with_run(self._flush)

    def epoch(self, metrics: Mapping[str, float], candidate: str = "") -> None:
        """Log the metrics of one epoch at the step of its number."""
        if self._run is not None:
            now, step = int(time.time() * 1000), int(metrics["epoch"])
            prefix = f"{candidate}." if candidate else ""
            self._run.pending += [(f"{prefix}{name}", value, now, step) for name, value in metrics.items()]
            self._call_with_run(self._flush)

    def finish(self, result: Result, result_file: Path) -> None:
        """Log the scores and attach the result file, which holds the counts."""
        self._call_with_run(lambda run: self._finish(run, result, result_file))
        self._run = None

    def backfill(self, result: Result, result_file: Path) -> None:
        """Send MLflow a result that it lacks a part of: so it is while there is a note. Without a note do nothing."""
        if (note := self._read_note(result.key)) is None:
            return
        self._run = _TrackedRun(result.key, result.declared(), live=False, note=note)
        now = int(time.time() * 1000)
        self._run.pending = [
            (name, value, now, int(epoch["epoch"])) for epoch in result.history for name, value in epoch.items()
        ]
        self.finish(result, result_file)

    def fail(self, reason: str) -> None:
        """Mark the run as failed."""
        self._end("FAILED", reason)

    def stop(self, reason: str) -> None:
        """Mark the run as killed; it may go on later."""
        self._end("KILLED", reason)

    def open(self) -> bool:
        """Make the database and the experiment, so that processes which start together do not each make them."""
        self._call(self._connect)
        return True

    def _end(self, status: str, reason: str) -> None:
        self._call_with_run(lambda run: self._close(run, status, reason))
        self._run = None

    def _call_with_run(self, function: Callable[[_TrackedRun], object]) -> None:
        """Call with the current run, if there is one."""
        if (run := self._run) is not None:
            self._call(lambda: function(run))

    def _call(self, function: Callable[[], object]) -> None:
        self.caller.call(function, _import_mlflow)  # the import takes seconds on a busy machine: no fault of a server

    def _report_fault(self, fault: Exception) -> None:
        self._client = None
        self._stop_monitor()
        self.warn(
            f"MLflow at {self.address} failed ({type(fault).__name__}: {redacted(first_line(fault), self.uri)}); this "
            "session goes on without it and"
            f" asks again after {self.caller.seconds_of_pause / 60:.0f} minutes. Results do not depend on it"
        )

    def _connect(self) -> Any:
        if self._client is None:
            from mlflow import MlflowClient

            self.home.root.mkdir(parents=True, exist_ok=True)
            wait = self.caller.seconds_to_answer
            with FileLock(self.home.mlflow_lock, timeout=wait):  # two processes may want to make the database
                client = MlflowClient(self.uri)
                experiment = client.get_experiment_by_name(EXPERIMENT)
                artifacts = None if "MLFLOW_TRACKING_URI" in os.environ else self.home.mlflow_artifacts.as_uri()
                self._experiment = (
                    experiment.experiment_id
                    if experiment
                    else client.create_experiment(EXPERIMENT, artifact_location=artifacts)
                )
            self._client = client
        return self._client

    def _flush(self, run: _TrackedRun) -> None:
        """Open the run if it is not open, and log what is pending."""
        from mlflow.entities import Metric

        client = self._connect()
        if run.run_id is None:
            run.run_id = self._open(client, run)
            write_note(self._note_file(run.key), replace(run.note, uri=self.address, run_id=run.run_id))
            if run.live:
                self._start_monitor(run.run_id)
        sent = list(run.pending)
        fresh = [metric for metric in sent if (metric[0], metric[3]) not in run.logged]
        if fresh:
            client.log_batch(run.run_id, metrics=[Metric(*metric) for metric in fresh])
        run.logged |= {(name, step) for name, _, _, step in fresh}
        del run.pending[: len(sent)]  # more may have come while this call was given up

    def _open(self, client: Any, run: _TrackedRun) -> str:
        """Go on in the MLflow run that it had before, or make one."""
        from mlflow.entities import Param

        tags = {"key": run.key, IDEMPOTENCY_KEY: run.note.idempotency_key}
        mlflow_run = self._find_run(client, run) or client.create_run(self._experiment, run_name=run.key, tags=tags)
        run_id: str = mlflow_run.info.run_id
        if mlflow_run.info.status != "RUNNING":
            client.update_run(run_id, status="RUNNING")
        for name in mlflow_run.data.metrics:
            run.logged |= {(name, point.step) for point in client.get_metric_history(run_id, name)}
        missing = {name: str(value) for name, value in flat(run.declared).items() if name not in mlflow_run.data.params}
        if missing:
            client.log_batch(run_id, params=[Param(*item) for item in missing.items()])
        return run_id

    def _find_run(self, client: Any, run: _TrackedRun) -> Any:
        """Return the MLflow run that the note names, or that has its key as a tag; None if this server has neither."""
        from mlflow.exceptions import MlflowException

        if run.note.run_id is not None and run.note.uri == self.address:
            try:
                mlflow_run = client.get_run(run.note.run_id)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
            else:
                if mlflow_run.info.lifecycle_stage == "active":
                    return mlflow_run
        tagged = client.search_runs([self._experiment], f"tags.{IDEMPOTENCY_KEY} = '{run.note.idempotency_key}'")
        return tagged[0] if tagged else None

    def _finish(self, run: _TrackedRun, result: Result, result_file: Path) -> None:
        now = int(time.time() * 1000)
        scores = {f"test_{name}": value for name, value in vars(result.scores).items()}
        scores |= {"seconds": result.seconds, "peak_memory": float(result.peak_memory)}
        run.pending += [(name, value, now, result.best_epoch) for name, value in scores.items()]
        self._flush(run)
        self._connect().log_artifact(run.run_id, str(result_file))
        self._close(run, "FINISHED", None)
        self._note_file(run.key).unlink(missing_ok=True)

    def _close(self, run: _TrackedRun, status: str, reason: str | None) -> None:
        self._flush(run)
        self._stop_monitor()
        client = self._connect()
        if reason is not None:
            client.set_tag(run.run_id, "reason", reason)
        client.set_terminated(run.run_id, status)

    def _start_monitor(self, run_id: str) -> None:
        from mlflow.system_metrics import system_metrics_monitor

        monitor: Any = system_metrics_monitor  # MLflow's monitor has no types
        self._monitor = monitor.SystemMetricsMonitor(
            run_id, sampling_interval=SYSTEM_METRICS_SECONDS, tracking_uri=self.uri
        )
        self._monitor.start()

    def _stop_monitor(self) -> None:
        """Ask the monitor to end, without waiting: sending its last metrics may take long."""
        if self._monitor is not None:
            threading.Thread(target=self._monitor.finish, daemon=True).start()
            self._monitor = None

    def _note_file(self, key: str) -> Path:
        return self.home.run(key) / NOTE

    def _read_note(self, key: str) -> Note | None:
        """The note of a run, a new one in place of one that cannot be read; None if there is none."""
        try:
            return read_note(self._note_file(key)) or self._new_note(key)
        except OSError:
            return None

    def _new_note(self, key: str) -> Note:
        note = Note(self.address, None, uuid.uuid4().hex)
        write_note(self._note_file(key), note)
        return note


def _import_mlflow() -> None:
    """Import MLflow without its log messages, with short timeouts for servers."""
    for name, value in _CLIENT_DEFAULTS.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401

    for name in ("mlflow", "alembic"):  # after the import, which sets them up
        logging.getLogger(name).setLevel(logging.CRITICAL)  # a traceback for every look at a locked database


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, names joined by dots."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            result.update(flat(value, f"{prefix}{name}."))
        else:
            result[f"{prefix}{name}"] = value
    return result
