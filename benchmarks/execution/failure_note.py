"""Note why a run has no result, with what was run, so that reports can show it. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from benchmarks.divergence import DivergedRate
from benchmarks.execution.run_status import StatusFiles
from benchmarks.execution.session import Session
from benchmarks.protocol.custom import is_own
from benchmarks.protocol.run import ResolvedRun
from benchmarks.results.custom_system import SYSTEM, record
from benchmarks.results.data_record import data_record
from benchmarks.results.failed_run import FailedRun
from data_prep.errors import DataError
from data_prep.manifest import load_manifest


def note_failure(
    resolved: ResolvedRun, session: Session, reason: str, trace: str = "", diverged: Sequence[DivergedRate] = ()
) -> None:
    """Write the note into the run's work folder; it stays until the run has a result.

    Args:
        resolved: the run.
        session: with its home and data.
        reason: one sentence for a person.
        trace: of an exception that was not foreseen.
        diverged: the rates of the recipe, if all of them diverged.
    """
    run = resolved.run
    data: dict[str, Any]
    try:
        data = data_record(load_manifest(session.data_folder(run.dataset.name), run.dataset.name))
    except DataError:
        data = {}  # which is then the reason
    failed = FailedRun(
        identity=resolved.identity(),
        reason=reason,
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        diverged=tuple(diverged),
        data=data,
        provenance={SYSTEM: record(run.model)} if is_own(run.model) else {},
    )
    StatusFiles(session.store.work(resolved.key)).fail(failed, trace)
