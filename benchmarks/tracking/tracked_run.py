"""Send one run to MLflow: what it is, its metrics and samples as they come, its files and its model."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.protocol.run import ResolvedRun
from benchmarks.results.provenance import source_commit
from benchmarks.tracking.connection import Connection
from benchmarks.tracking.describe import data_sets, parameters, tags, title
from benchmarks.tracking.note import IDEMPOTENCY_KEY
from benchmarks.tracking.pictures import strip

if TYPE_CHECKING:
    from benchmarks.metrics.watch_training import Point, Sample  # imports torch

MODEL = "model"
"""Tag of an MLflow run: the address of its model."""
MOST_METRICS = 1000
"""In one request."""


@dataclass
class TrackedRun:
    """Run that is being tracked, and what MLflow lacks of it. The methods raise what the client raises."""

    resolved: ResolvedRun
    live: bool  # it is running now, not sent after its end
    name: str  # of its note
    run_id: str = ""  # once it is open
    logged: set[tuple[str, int]] = field(default_factory=set)  # (metric, step)
    pending: list[tuple[str, float, int, int]] = field(default_factory=list)  # metric, value, time in ms, step
    samples: list[tuple[str, Sample]] = field(default_factory=list)  # of validations, by the files of their strips

    def add(self, candidate: str, points: Sequence[Point], sample: Sample | None = None) -> None:
        """Add metrics, and a sample of a validation, to what is to be sent."""
        now, prefix = int(time.time() * 1000), f"{candidate}." if candidate else ""
        self.pending += [(f"{prefix}{name}", value, now, step) for name, step, value in points]
        if sample is not None:
            strip_file = f"validation/{candidate} epoch {sample.epoch:04d} - image truth prediction.png"
            self.samples.append((strip_file.replace("/ ", "/"), sample))

    def open(self, connection: Connection, images: Mapping[str, int]) -> None:
        """Resume the MLflow run that has the note's name, or make one; `images` are those of each split."""
        from mlflow.entities import Param, RunTag

        client, experiment, name_tag = connection.client, connection.experiment, {IDEMPOTENCY_KEY: self.name}
        found = client.search_runs([experiment], f"tags.{IDEMPOTENCY_KEY} = '{self.name}'")
        run = found[0] if found else client.create_run(experiment, run_name=title(self.resolved), tags=name_tag)
        run_id: str = run.info.run_id
        if run.info.status != "RUNNING":
            client.update_run(run_id, status="RUNNING")
        for name in run.data.metrics:
            if not name.startswith("system/"):  # these are many, and not sent from here
                self.logged |= {(name, point.step) for point in client.get_metric_history(run_id, name)}
        missing = {name: value for name, value in parameters(self.resolved).items() if name not in run.data.params}
        described = tags(self.resolved, source_commit())
        absent = [RunTag(*item) for item in described.items() if item[0] not in run.data.tags]  # others may be edited
        client.log_batch(run_id, params=[Param(*item) for item in missing.items()], tags=absent)
        client.log_inputs(run_id, data_sets(self.resolved, images))
        self.run_id = run_id

    def flush(self, connection: Connection) -> None:
        """Log what is pending, each metric once a step."""
        from mlflow.entities import Metric

        sent = list(self.pending)
        fresh = {(metric[0], metric[3]): Metric(*metric) for metric in sent}
        todo = [point for point in fresh if point not in self.logged]
        for first in range(0, len(todo), MOST_METRICS):
            part = todo[first : first + MOST_METRICS]
            connection.client.log_batch(self.run_id, metrics=[fresh[point] for point in part])
            self.logged.update(part)
        del self.pending[: len(sent)]  # more may have come while this call was given up
        palette = self.resolved.run.dataset.palette
        while self.samples:
            strip_file, sample = self.samples[0]
            picture = strip(sample.images, sample.truth, sample.predicted, palette)
            connection.client.log_image(self.run_id, picture, strip_file)
            del self.samples[0]

    def log_model(self, connection: Connection, folder: Path) -> None:
        """Log the model in a folder, unless a call that was given up has."""
        from mlflow.entities import LoggedModelOutput

        client = connection.client
        if MODEL in client.get_run(self.run_id).data.tags:
            return
        model = client.create_logged_model(connection.experiment, self.resolved.key, self.run_id)
        client.log_model_artifacts(model.model_id, str(folder))
        client.finalize_logged_model(model.model_id, "READY")
        client.log_outputs(self.run_id, [LoggedModelOutput(model.model_id, step=0)])
        client.set_tag(self.run_id, MODEL, f"models:/{model.model_id}")
