"""MLflow as a mirror: it listens and decides nothing. Whatever goes wrong with it, the run goes on and says so once.

Without MLFLOW_TRACKING_URI the mirror is a SQLite file in the home folder; with it, that server. One tracker serves all
runs of a process, so that the database is opened and the experiment made once. No call waits longer than
SECONDS_TO_ANSWER; after a failure MLflow is left alone for SECONDS_OF_SILENCE, and what it missed is kept for then. A
note in the run's work folder says which MLflow run it is and stays until that one has everything: a resumed run goes on
in it, and a finished one that MLflow has not got is told again by the next command that meets it.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock

from benchmarks.store import Result
from data_prep.base import DataError, write_atomic

EXPERIMENT = "rssam-bench"
SYSTEM_METRICS_SECONDS = 10
SECONDS_TO_ANSWER = 60.0
SECONDS_OF_SILENCE = 300.0
NOTE = "mlflow.json"

_PATIENCE = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # a benchmark does not phone home
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}
"""Settings of MLflow's client, where the user has none: its own would wait for minutes."""


class Tracker(Protocol):
    """What the runner tells whoever listens."""

    def start(self, key: str, declared: Mapping[str, Any]) -> None:
        """A run begins, or goes on."""

    def epoch(self, metrics: Mapping[str, float], candidate: str = "") -> None:
        """An epoch of the current run has ended; where several candidates are trained, of the one so named."""

    def finish(self, result: Result, result_file: Path) -> None:
        """The current run is finished and stored."""

    def settle(self, result: Result, result_file: Path) -> None:
        """A result of earlier is met."""

    def fail(self, reason: str) -> None:
        """The current run has failed."""

    def stop(self, reason: str) -> None:
        """The current run was asked to stop."""

    def open(self) -> bool:
        """Make ready for mirrors in other processes; whether there should be any."""
        ...


class Silent:
    """A tracker that listens to nothing."""

    def start(self, key: str, declared: Mapping[str, Any]) -> None:
        """Ignored."""

    def epoch(self, metrics: Mapping[str, float], candidate: str = "") -> None:
        """Ignored."""

    def finish(self, result: Result, result_file: Path) -> None:
        """Ignored."""

    def settle(self, result: Result, result_file: Path) -> None:
        """Ignored."""

    def fail(self, reason: str) -> None:
        """Ignored."""

    def stop(self, reason: str) -> None:
        """Ignored."""

    def open(self) -> bool:
        """There is nothing to open."""
        return False


@dataclass
class _Mirrored:
    """The run that is being mirrored, and what MLflow has not got of it yet."""

    key: str
    declared: Mapping[str, Any]
    live: bool  # it is running now, not only told of later
    run_id: str | None = None
    logged: set[tuple[str, int]] = field(default_factory=set)  # (metric, step)
    pending: list[tuple[str, float, int, int]] = field(default_factory=list)  # metric, value, time in ms, step


@dataclass
class MlflowMirror:
    """Parameters, metrics of each epoch, system metrics, and the result file as an artifact, in MLflow."""

    home: Path
    warn: Callable[[str], None]
    _client: Any = field(default=None, init=False)
    _experiment: str = field(default="", init=False)
    _run: _Mirrored | None = field(default=None, init=False)
    _monitor: Any = field(default=None, init=False)
    _silent_until: float = field(default=0.0, init=False)
    _stuck: threading.Thread | None = field(default=None, init=False)

    @property
    def uri(self) -> str:
        """Where the mirror writes."""
        return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.home.resolve() / 'mlflow.db'}"

    def start(self, key: str, declared: Mapping[str, Any]) -> None:
        """Open the run, with its declaration as flat parameters; go on in the MLflow run that it had before."""
        self._stop_monitor()
        self._run = _Mirrored(key, declared, live=True)
        if not self._note(key).is_file():
            self._write_note(key, None)
        self._tell(self._flush)

    def epoch(self, metrics: Mapping[str, float], candidate: str = "") -> None:
        """Log the metrics of one epoch at the step of its number."""
        if self._run is not None:
            now, step = int(time.time() * 1000), int(metrics["epoch"])
            prefix = f"{candidate}." if candidate else ""
            self._run.pending += [(f"{prefix}{name}", value, now, step) for name, value in metrics.items()]
            self._tell(self._flush)

    def finish(self, result: Result, result_file: Path) -> None:
        """Log the scores and attach the result file, which holds the counts."""
        self._tell(lambda run: self._finish(run, result, result_file))
        self._run = None

    def settle(self, result: Result, result_file: Path) -> None:
        """Tell MLflow of a result that it has not got the whole of, as its note says. Without a note does nothing."""
        if not self._note(result.key).is_file():
            return
        self._run = _Mirrored(result.key, result.declared(), live=False)
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
        """Make the database and the experiment, so that processes that start together do not each make them."""
        self._listen(lambda: self._connect())
        return True

    def _end(self, status: str, reason: str) -> None:
        self._tell(lambda run: self._close(run, status, reason))
        self._run = None

    def _tell(self, call: Callable[[_Mirrored], object]) -> None:
        """Call with the current run, if there is one."""
        if (run := self._run) is not None:
            self._listen(lambda: call(run))

    def _listen(self, call: Callable[[], object]) -> None:
        """Call, but wait no longer than SECONDS_TO_ANSWER and let no fault through."""
        if time.monotonic() < self._silent_until or (self._stuck is not None and self._stuck.is_alive()):
            return
        faults: list[Exception] = []

        def attempt(call: Callable[[], object]) -> None:
            try:
                call()
            except Exception as error:  # noqa: BLE001  (MLflow, SQLAlchemy, HTTP and file errors must not stop a run)
                faults.append(error)

        attempt(_import_mlflow)  # takes seconds on a busy machine, and is no fault of a server
        self._stuck = threading.Thread(target=attempt, args=(call,), name="mlflow", daemon=True)
        self._stuck.start()
        self._stuck.join(SECONDS_TO_ANSWER)
        if self._stuck.is_alive():
            faults.append(TimeoutError(f"no answer within {SECONDS_TO_ANSWER:.0f} s"))
        if faults:
            self._silent_until = time.monotonic() + SECONDS_OF_SILENCE
            self._client = None
            self._stop_monitor()
            first = (str(faults[0]).strip().splitlines() or [""])[0]
            self.warn(
                f"MLflow at {self.uri} failed ({type(faults[0]).__name__}: {first}); this session goes on without it "
                f"and asks again after {SECONDS_OF_SILENCE / 60:.0f} minutes. Results do not depend on it"
            )

    def _connect(self) -> Any:
        if self._client is None:
            from mlflow import MlflowClient

            self.home.mkdir(parents=True, exist_ok=True)
            with FileLock(self.home / "mlflow.lock", timeout=SECONDS_TO_ANSWER):  # two may want to make the database
                client = MlflowClient(self.uri)
                known = client.get_experiment_by_name(EXPERIMENT)
                local = None if "MLFLOW_TRACKING_URI" in os.environ else (self.home.resolve() / "mlflow").as_uri()
                self._experiment = (
                    known.experiment_id if known else client.create_experiment(EXPERIMENT, artifact_location=local)
                )
            self._client = client
        return self._client

    def _flush(self, run: _Mirrored) -> None:
        """Open the run if it is not open, and log what is pending."""
        from mlflow.entities import Metric

        client = self._connect()
        if run.run_id is None:
            run.run_id = self._reopen(run) or self._create(run)
            self._write_note(run.key, run.run_id)
            if run.live:
                self._start_monitor(run.run_id)
        fresh = [item for item in run.pending if (item[0], item[3]) not in run.logged]
        if fresh:
            client.log_batch(run.run_id, metrics=[Metric(*item) for item in fresh])
        run.logged |= {(name, step) for name, _, _, step in fresh}
        run.pending.clear()

    def _create(self, run: _Mirrored) -> str:
        from mlflow.entities import Param

        run_id: str = self._client.create_run(self._experiment, run_name=run.key, tags={"key": run.key}).info.run_id
        parameters = [Param(name, str(value)) for name, value in flat(run.declared).items()]
        self._client.log_batch(run_id, params=parameters)
        return run_id

    def _reopen(self, run: _Mirrored) -> str | None:
        """The MLflow run that the note names, marked as running again; None if this server has it no more."""
        from mlflow.exceptions import MlflowException

        try:
            note = json.loads(self._note(run.key).read_text())
        except (OSError, ValueError):
            return None
        if not isinstance(note, dict) or note.get("uri") != self.uri or not note.get("run_id"):
            return None
        run_id = str(note["run_id"])
        try:
            known = self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        if known.info.lifecycle_stage != "active":
            return None
        self._client.update_run(run_id, status="RUNNING")
        for name in known.data.metrics:
            run.logged |= {(name, point.step) for point in self._client.get_metric_history(run_id, name)}
        return run_id

    def _finish(self, run: _Mirrored, result: Result, result_file: Path) -> None:
        now = int(time.time() * 1000)
        scores = {f"test_{name}": value for name, value in vars(result.scores).items()}
        scores |= {"seconds": result.seconds, "peak_memory": float(result.peak_memory)}
        run.pending += [(name, value, now, result.best_epoch) for name, value in scores.items()]
        self._flush(run)
        self._client.log_artifact(run.run_id, str(result_file))
        self._close(run, "FINISHED", None)
        self._note(run.key).unlink(missing_ok=True)

    def _close(self, run: _Mirrored, status: str, reason: str | None) -> None:
        self._flush(run)
        self._stop_monitor()
        if reason is not None:
            self._client.set_tag(run.run_id, "reason", reason)
        self._client.set_terminated(run.run_id, status)

    def _start_monitor(self, run_id: str) -> None:
        from mlflow.system_metrics import system_metrics_monitor

        monitor: Any = system_metrics_monitor  # MLflow's monitor has no types
        self._monitor = monitor.SystemMetricsMonitor(
            run_id, sampling_interval=SYSTEM_METRICS_SECONDS, tracking_uri=self.uri
        )
        self._monitor.start()

    def _stop_monitor(self) -> None:
        """Ask the monitor to end; it is not waited for, for its last word may take long to be heard."""
        if self._monitor is not None:
            threading.Thread(target=self._monitor.finish, daemon=True).start()
            self._monitor = None

    def _note(self, key: str) -> Path:
        return self.home / "runs" / key / NOTE

    def _write_note(self, key: str, run_id: str | None) -> None:
        text = json.dumps({"uri": self.uri, "run_id": run_id})
        with suppress(OSError, DataError):  # a disk that cannot be written is told by what matters
            write_atomic(self._note(key), text.encode(), durable=False)


def _import_mlflow() -> None:
    """Import it, quietly and with little patience for servers."""
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401

    for name in ("mlflow", "alembic"):  # after the import, which sets them up
        logging.getLogger(name).setLevel(logging.ERROR)


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, names joined by dots."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            result.update(flat(value, f"{prefix}{name}."))
        else:
            result[f"{prefix}{name}"] = value
    return result
