"""Connect to MLflow, in the SQLite file of a home or on the server of MLFLOW_TRACKING_URI, and find the experiment."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import Any

from filelock import FileLock

from benchmarks.results.home import Home

EXPERIMENT = "rssam-bench"
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
"""Training, not GenAI: which of its two views MLflow opens, where it heeds the tag."""

_CLIENT_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # a benchmark does not phone home
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}
"""Settings of MLflow's client where the user has none: with its own defaults it waits for minutes."""


@dataclass(frozen=True)
class Connection:
    """MLflow's client, which has no types, with the experiment of all runs."""

    client: Any
    experiment: str


def tracking_uri(home: Home) -> str:
    """Return where runs are tracked; it may hold a password, so it is given to the client alone."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home.mlflow_database}"


def import_mlflow() -> None:
    """Import MLflow without its log messages, with short timeouts for servers."""
    for name, value in _CLIENT_DEFAULTS.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401

    for name in ("mlflow", "alembic"):  # after the import, which sets them up
        logging.getLogger(name).setLevel(logging.CRITICAL)  # a traceback for every look at a locked database


def connect(home: Home, seconds_to_wait: float) -> Connection:
    """Connect, and make database and experiment if they are not there. Raises whatever the client raises."""
    from mlflow import MlflowClient

    home.root.mkdir(parents=True, exist_ok=True)
    with FileLock(home.mlflow_lock, timeout=seconds_to_wait):  # two processes may want to make the database
        client = MlflowClient(tracking_uri(home))
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            artifacts = None if "MLFLOW_TRACKING_URI" in os.environ else home.mlflow_artifacts.as_uri()
            return Connection(client, client.create_experiment(EXPERIMENT, artifacts, EXPERIMENT_TAGS))
        for name, value in EXPERIMENT_TAGS.items():
            if name not in experiment.tags:  # of an earlier version
                client.set_experiment_tag(experiment.experiment_id, name, value)
    return Connection(client, experiment.experiment_id)
