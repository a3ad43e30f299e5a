"""Execute one run as a task of a Ray cluster: its settings, and the checks of the node. Needs no Ray itself."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType

from benchmarks.execution.observer import Outcome
from benchmarks.execution.process_pool import SessionSettings, execute_keeping_notes
from benchmarks.execution.session import Session
from benchmarks.protocol.run import ResolvedRun, resolve_run
from benchmarks.signals import Stop
from data_prep.manifest_file import load_manifest
from rssam.errors import UserError
from rssam.files import sha256_file


@dataclass(frozen=True)
class TaskSettings:
    """Settings that every task of a plan gets besides its run."""

    session: SessionSettings
    mlflow: Mapping[str, str]  # environment by which MLflow is reached
    weights: Mapping[str, str]  # SHA-256 of each prepared checkpoint, for nodes that have a copy

    @classmethod
    def of(cls, session: Session, resolved: Sequence[ResolvedRun]) -> TaskSettings:
        """Return the settings of a session's tasks; reads every checkpoint that the runs need, once."""
        mlflow = {name: value for name, value in os.environ.items() if name.startswith("MLFLOW_")}
        names = {name for resolved_run in resolved for name in resolved_run.run.model.weights_needed()}
        weights = {name: sha256_file(session.weights.path(name)) for name in sorted(names)}
        return cls(SessionSettings.of(session), mlflow, weights)


_worker: tuple[TaskSettings, Session] | None = None  # one a process, so that prepared files are verified once in each
_compared: set[str] = set()  # checkpoints that this process has found to be the driver's


def execute_task(resolved: ResolvedRun, settings: TaskSettings, wait: bool) -> Outcome:
    """Execute a run, in a worker of the cluster. A cancelled task finishes its step and saves."""
    global _worker
    if _worker is None or _worker[0] != settings:
        os.environ.update(settings.mlflow)
        _worker = settings, settings.session.open()
        _compared.clear()
    session = _worker[1]
    session.stop = Stop()

    def handle(number: int, frame: FrameType | None) -> None:
        session.stop.signal = "SIGINT"

    before = signal.signal(signal.SIGINT, handle)  # Ray cancels by it
    try:
        if (fault := _difference(resolved, settings, session)) is not None:
            return Outcome(resolved.key, "failed", reason=f"on {socket.gethostname()}: {fault}")
        return execute_keeping_notes(resolved, session, wait)
    finally:
        signal.signal(signal.SIGINT, before)


def _difference(resolved: ResolvedRun, settings: TaskSettings, session: Session) -> str | None:
    """Return what keeps this node from executing the run: data or weights that it lacks or that differ; otherwise None.

    The prepared images are compared with the manifest's digests when the run begins, on every node.
    """
    run, name = resolved.run, resolved.run.dataset.name
    try:
        manifest = load_manifest(session.data_folder(name), name)
        local = resolve_run(run, manifest, session.weights, session.precision)
    except UserError as error:
        return str(error)
    if local.data_digest != resolved.data_digest:
        return f"{session.data_folder(name)} differs from the data set where the command was given: copy it again"
    for needed in run.model.weights_needed():
        path = session.weights.path(needed)
        if needed not in _compared and sha256_file(path) != settings.weights[needed]:
            return f"{path} differs from the file where the command was given: copy it again"
        _compared.add(needed)
    return None
