"""End all ranks of a run on several devices where one of them fails, and say why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from benchmarks.divergence import TrainingDiverged
from benchmarks.execution.run_status import StatusFiles
from benchmarks.execution.session import Session
from benchmarks.failures import explain, first_line
from benchmarks.protocol.run import ResolvedRun
from benchmarks.signals import Interrupted
from benchmarks.training.rank_group import is_lost
from rssam.errors import UserError

OUT_OF_MEMORY = "out of memory"
"""Why, where an exception has no text."""


@contextmanager
def failing_together(session: Session) -> Iterator[None]:
    """End all ranks if an exception ends the block on one; those that end it on all ranks pass as on one device."""
    ranks = session.ranks
    if ranks is None:
        yield
        return
    try:
        yield
    except (Interrupted, TrainingDiverged):
        raise
    except Exception as error:
        reason, trace = explain(error, session.home)
        if isinstance(error, torch.OutOfMemoryError):
            words = first_line(error, OUT_OF_MEMORY)
            reason, trace = f"the GPU has too little memory ({words}): use cards with more, or --devices 1", ""
        reason = ranks.abort(reason, trace, lost=is_lost(error))
        session.stop.signal = "the failure of a run on several devices"
        raise UserError(reason) from error


def report_other_rank(resolved: ResolvedRun, session: Session) -> Callable[[str, str], None]:
    """Return the function that records and shows the failure of another rank, which ends all."""

    def report(reason: str, trace: str) -> None:
        session.note_failure(resolved, reason, trace)
        StatusFiles(session.store.work(resolved.key)).release()
        session.observer.note(f"{resolved.key} failed: {reason}")
        session.tracker.fail(reason)

    return report
