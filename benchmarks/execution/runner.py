"""Bring runs to results: each run once, what is cached is skipped, a failure stops no other run.

Imports torch only when something has to be trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from filelock import BaseFileLock, Timeout

from benchmarks.divergence import TrainingDiverged
from benchmarks.execution.observer import Outcome
from benchmarks.execution.run_status import StatusFiles
from benchmarks.execution.session import Session
from benchmarks.failures import explain
from benchmarks.protocol.run import ResolvedRun
from benchmarks.results.json_files import ResultDamaged
from benchmarks.signals import Interrupted

SECONDS_TO_ASK = 0.5
"""How long a lock is asked for at a time; a look from elsewhere may hold it for a moment."""


ExecuteRound = Callable[[Sequence[int], bool], Iterator[tuple[int, Outcome]]]
"""Executes the runs of these numbers, waiting for busy ones if the second argument says so; yields as they end.

It announces a run to the observer before it yields its outcome.
"""


def execute_all(resolved: Sequence[ResolvedRun], session: Session) -> list[Outcome]:
    """Execute the runs in order; one that fails does not stop the others.

    Runs that another process has are left for later and then waited for. Ends early if the session is asked to stop:
    the last outcome is then "interrupted", and runs that were not begun have none.
    """

    def in_order(numbers: Sequence[int], wait: bool) -> Iterator[tuple[int, Outcome]]:
        for number in numbers:
            if session.stop.wanted:
                return
            session.observer.begin(number + 1, len(resolved), resolved[number])
            yield number, execute(resolved[number], session, wait=wait)

    return in_two_rounds(len(resolved), session, in_order, "it is left for the end of the plan")


def in_two_rounds(total: int, session: Session, execute_round: ExecuteRound, later: str) -> list[Outcome]:
    """Return the outcomes in the order of the runs: first of those that are free, then of those another process had.

    Runs that were not begun have no outcome.

    Args:
        total: number of runs.
        session: the session they share.
        execute_round: yields outcomes by the number of the run; told whether to wait for busy runs.
        later: says in the observer's note what becomes of a busy run.
    """
    outcomes: dict[int, Outcome] = {}
    busy: list[int] = []
    for wait, numbers in ((False, range(total)), (True, busy)):
        for number, outcome in execute_round(numbers, wait):
            if outcome.status == "busy":
                session.observer.note(f"{outcome.key}: {outcome.reason} has it; {later}")
                busy.append(number)
            else:
                outcomes[number] = outcome
                session.observer.end(outcome)
    return [outcomes[number] for number in sorted(outcomes)]


def execute(resolved: ResolvedRun, session: Session, *, wait: bool = True) -> Outcome:
    """Bring one run to its result: from the store, or by training, from its checkpoint if there is one.

    If another process has it, waits for that one to finish or to end, or without `wait` returns as "busy". Failures are
    noted in the work folder, never stored as results: the next call tries again.
    """
    key = resolved.key
    try:
        if (stored := _stored_outcome(resolved, session)) is not None:
            return stored
        lock = session.store.lock(key)
        if not _acquired(lock, key, session, wait):
            return Outcome(key, "busy", reason=StatusFiles(session.store.work(key)).holder())
        try:
            # another process may just have finished it
            return _stored_outcome(resolved, session) or _train(resolved, session)
        finally:
            lock.release()
    except Interrupted as stopped:  # while waiting for another process
        return Outcome(key, "interrupted", reason=str(stopped))
    except (ResultDamaged, OSError) as error:  # a result that cannot be read, a home that is not ours to write
        return Outcome(key, "failed", reason=explain(error, session.home)[0])


def _train(resolved: ResolvedRun, session: Session) -> Outcome:
    """Train and test; to be called by the holder of the lock."""
    key, status_files = resolved.key, StatusFiles(session.store.work(resolved.key))
    status_files.declare(resolved.identity())
    status_files.claim()
    try:
        session.store.sweep(key)
        from benchmarks.execution.execute_run import train_and_test

        outcome = train_and_test(resolved, session)
        status_files.succeed()
        return outcome
    except Interrupted as stopped:
        session.tracker.stop(str(stopped))
        return Outcome(key, "interrupted", reason=f"{stopped}; what was done is saved")
    except Exception as error:  # noqa: BLE001  (whatever fails in one run, the rest of the plan goes on)
        reason, trace = explain(error, session.home)
        diverged = error.rates if isinstance(error, TrainingDiverged) else ()
        session.note_failure(resolved, reason, trace, diverged)
        session.tracker.fail(reason)
        return Outcome(key, "failed", reason=reason, diverged=diverged)
    finally:
        status_files.release()


def _stored_outcome(resolved: ResolvedRun, session: Session) -> Outcome | None:
    """Return the stored result, None if there is none; a tracker that lacks a part of it gets it."""
    if (result := session.store.get(resolved.key)) is None:
        return None
    session.tracker.backfill(resolved, result, session.store.path(resolved.key))
    return Outcome(resolved.key, "cached", result)


def _acquired(lock: BaseFileLock, key: str, session: Session, wait: bool) -> bool:
    """Take the lock, at once or after waiting. Raises Interrupted if asked to stop while waiting."""
    announced = False
    while True:
        try:
            lock.acquire(timeout=SECONDS_TO_ASK)
            return True
        except Timeout:
            if not wait:
                return False
        if not announced:
            announced = True
            session.observer.note(f"waiting for {key}: {StatusFiles(session.store.work(key)).holder()} has it")
        session.stop.check()
