"""MLflow as a mirror: it listens and decides nothing. Whatever goes wrong with it, the run goes on and says so once.

Without MLFLOW_TRACKING_URI the mirror is a SQLite file in the home folder; with it, that server. One tracker serves all
runs of a process, so that the database is opened and the experiment made once.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from benchmarks.store import Result

EXPERIMENT = "rssam-bench"
SYSTEM_METRICS_SECONDS = 10


class Tracker(Protocol):
    """What the runner tells whoever listens."""

    def start(self, key: str, declared: Mapping[str, Any]) -> None:
        """A run begins."""

    def epoch(self, metrics: Mapping[str, float]) -> None:
        """An epoch of the current run has ended."""

    def finish(self, result: Result, result_file: Path) -> None:
        """The current run is finished and stored."""

    def fail(self, reason: str) -> None:
        """The current run has failed."""

    def open(self) -> bool:
        """Make ready for mirrors in other processes; whether there should be any."""
        ...


class Silent:
    """A tracker that listens to nothing."""

    def start(self, key: str, declared: Mapping[str, Any]) -> None:
        """Ignored."""

    def epoch(self, metrics: Mapping[str, float]) -> None:
        """Ignored."""

    def finish(self, result: Result, result_file: Path) -> None:
        """Ignored."""

    def fail(self, reason: str) -> None:
        """Ignored."""

    def open(self) -> bool:
        """There is nothing to open."""
        return False


@dataclass
class MlflowMirror:
    """Parameters, metrics of each epoch, system metrics, and the result file as an artifact, in MLflow."""

    home: Path
    warn: Callable[[str], None]
    _client: Any = field(default=None, init=False)
    _experiment: str = field(default="", init=False)
    _run: str | None = field(default=None, init=False)
    _monitor: Any = field(default=None, init=False)
    _off: bool = field(default=False, init=False)

    @property
    def uri(self) -> str:
        """Where the mirror writes."""
        return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{self.home.resolve() / 'mlflow.db'}"

    def start(self, key: str, declared: Mapping[str, Any]) -> None:
        """Open the run, with its declaration as flat parameters."""
        self._listen(lambda: self._start(key, declared))

    def epoch(self, metrics: Mapping[str, float]) -> None:
        """Log the metrics of one epoch at the step of its number."""
        self._listen(lambda: self._log(metrics, int(metrics["epoch"])))

    def finish(self, result: Result, result_file: Path) -> None:
        """Log the scores and attach the result file, which holds the counts."""
        self._listen(lambda: self._finish(result, result_file))

    def fail(self, reason: str) -> None:
        """Mark the run as failed."""
        self._listen(lambda: self._close("FAILED", reason))

    def open(self) -> bool:
        """Make the database and the experiment, so that processes that start together do not each make them."""
        self._listen(lambda: self._connect())
        return not self._off

    def _listen(self, call: Callable[[], None]) -> None:
        if self._off:
            return
        try:
            call()
        except Exception as error:  # noqa: BLE001  (MLflow, SQLAlchemy, HTTP and file errors alike must not stop a run)
            self._off = True
            self._stop_monitor()
            self.warn(f"MLflow at {self.uri} failed ({type(error).__name__}: {error}); this session goes on without it")

    def _start(self, key: str, declared: Mapping[str, Any]) -> None:
        client = self._connect()
        self._run = client.create_run(self._experiment, run_name=key, tags={"key": key}).info.run_id
        from mlflow.entities import Param
        from mlflow.system_metrics import system_metrics_monitor

        client.log_batch(self._run, params=[Param(name, str(value)) for name, value in flat(declared).items()])
        monitor: Any = system_metrics_monitor  # MLflow's monitor has no types
        self._monitor = monitor.SystemMetricsMonitor(
            self._run, sampling_interval=SYSTEM_METRICS_SECONDS, tracking_uri=self.uri
        )
        self._monitor.start()

    def _connect(self) -> Any:
        if self._client is None:
            os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # a benchmark does not phone home
            from mlflow import MlflowClient

            for name in ("mlflow", "alembic"):  # after the import, which sets them up
                logging.getLogger(name).setLevel(logging.WARNING)
            self.home.mkdir(parents=True, exist_ok=True)
            self._client = MlflowClient(self.uri)
            known = self._client.get_experiment_by_name(EXPERIMENT)
            local = None if "MLFLOW_TRACKING_URI" in os.environ else (self.home.resolve() / "mlflow").as_uri()
            self._experiment = (
                known.experiment_id if known else self._client.create_experiment(EXPERIMENT, artifact_location=local)
            )
        return self._client

    def _log(self, metrics: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._client.log_batch(self._run, metrics=[Metric(name, value, now, step) for name, value in metrics.items()])

    def _finish(self, result: Result, result_file: Path) -> None:
        scores = {f"test_{name}": value for name, value in vars(result.scores).items()}
        self._log({**scores, "seconds": result.seconds, "peak_memory": result.peak_memory}, result.best_epoch)
        self._client.log_artifact(self._run, str(result_file))
        self._close("FINISHED", None)

    def _close(self, status: str, reason: str | None) -> None:
        self._stop_monitor()
        if self._run is None:
            return
        if reason is not None:
            self._client.set_tag(self._run, "reason", reason)
        self._client.set_terminated(self._run, status)
        self._run = None

    def _stop_monitor(self) -> None:
        if self._monitor is not None:
            self._monitor.finish()
            self._monitor = None


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, names joined by dots."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            result.update(flat(value, f"{prefix}{name}."))
        else:
            result[f"{prefix}{name}"] = value
    return result
