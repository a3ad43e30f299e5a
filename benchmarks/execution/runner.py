"""From tables to finished results: each different run once, what is cached is skipped, a failure stays local.

Imports torch only when something has to be trained.
"""

from __future__ import annotations

import errno
import traceback
from collections.abc import Sequence
from pathlib import Path

from filelock import BaseFileLock, Timeout

from benchmarks.execution.run_status import WorkNotes
from benchmarks.execution.session import Outcome, Session
from benchmarks.protocol.run import ResolvedRun, Run, Setting, resolve
from benchmarks.protocol.targets import Item, replicates, systems
from benchmarks.results.json_files import ResultDamaged
from benchmarks.signals import Interrupted
from data_prep.manifest import load_manifest
from rssam.contract import Model
from rssam.errors import UserError

SECONDS_TO_ASK = 0.5
"""How long a lock is asked for at a time; a look from elsewhere may hold it for a moment."""


def plan(
    items: Sequence[Item],
    setting: Setting,
    seeds: Sequence[int],
    split_seed: int,
    repeats: int | None,
    controls: bool = False,
    own: Sequence[Model] = (),
) -> list[Run]:
    """The different runs behind these items, each once: all first replicates in the order of the rows, then the next.

    Each of `repeats` is a pair of seed and split seed, counted up from the first pair; None leaves their number to the
    item (see `items.replicates`). With `own` systems of the user those are run, in place of the items' rows.
    """
    wanted = [
        (model, dataset, replicates(item, model, dataset, repeats))
        for item in items
        for model, dataset in systems(item, controls, own)
    ]
    most = max((number for *_, number in wanted), default=0)
    runs = [
        setting.run(model, dataset, seed + extra, split_seed + extra)
        for seed in seeds
        for extra in range(most)
        for model, dataset, number in wanted
        if extra < number
    ]
    return list(dict.fromkeys(runs))


def part_of(runs: Sequence[Run], part: str) -> list[Run]:
    """The runs of a plan that are part I of N, written I/N and counted from 1; all parts together are the plan.

    Raises UserError if it is written otherwise.
    """
    number, _, parts = part.partition("/")
    if not (number.isdecimal() and parts.isdecimal() and 1 <= int(number) <= int(parts)):
        raise UserError(f"--part is I/N with 1 <= I <= N, as in 2/4; found {part!r}")
    return list(runs[int(number) - 1 :: int(parts)])


def resolve_all(runs: Sequence[Run], session: Session) -> list[ResolvedRun]:
    """Look up data and weights of every run before the first one starts; reads manifests, never images.

    Raises NotPrepared or WeightsNotFound, naming the command that mends it.
    """
    manifests = {name: load_manifest(session.data_folder(name), name) for name in {run.dataset.name for run in runs}}
    return [resolve(run, manifests[run.dataset.name], session.weights, session.precision) for run in runs]


def execute_all(resolved: Sequence[ResolvedRun], session: Session) -> list[Outcome]:
    """Execute the runs in order; one that fails does not stop the others.

    Runs that another process has are left for later and then waited for. Ends early if the session is asked to stop:
    the last outcome is then "interrupted", and runs that were not begun have none.
    """
    outcomes: dict[int, Outcome] = {}
    waiting: list[int] = []
    total = len(resolved)
    for wait, numbers in ((False, range(total)), (True, waiting)):
        for number in numbers:
            if session.stop.wanted:
                break
            session.observer.begin(number + 1, total, resolved[number])
            outcome = execute(resolved[number], session, wait=wait)
            if outcome.status == "busy":
                session.observer.note(f"{outcome.key}: {outcome.reason} has it; it is left for the end of the plan")
                waiting.append(number)
                continue
            outcomes[number] = outcome
            session.observer.end(outcome)
    return [outcomes[number] for number in sorted(outcomes)]


def execute(resolved: ResolvedRun, session: Session, *, wait: bool = True) -> Outcome:
    """Bring one run to its result: from the store if it is there, else by training, from its checkpoint if it has one.

    If another process has it, waits for that one to finish or to end, or without `wait` returns as "busy". Failures are
    noted in the work folder, never stored as results: the next call tries again.
    """
    key = resolved.key
    try:
        if (known := _known(key, session)) is not None:
            return known
        lock = session.store.lock(key)
        if not _acquired(lock, key, session, wait):
            return Outcome(key, "busy", reason=WorkNotes(session.store.work(key)).holder())
        try:
            return _known(key, session) or _train(resolved, session)  # another process may just have finished it
        finally:
            lock.release()
    except Interrupted as stopped:  # while waiting for another process
        return Outcome(key, "interrupted", reason=str(stopped))
    except (ResultDamaged, OSError) as error:  # a result that cannot be read, a home that is not ours to write
        return Outcome(key, "failed", reason=explain(error, session.home)[0])


def _train(resolved: ResolvedRun, session: Session) -> Outcome:
    """Train and test; to be called by the holder of the lock."""
    key, notes = resolved.key, WorkNotes(session.store.work(resolved.key))
    notes.claim()
    try:
        session.store.sweep(key)
        from benchmarks.execution.execute_run import train_and_test

        return train_and_test(resolved, session)
    except Interrupted as stopped:
        session.tracker.stop(str(stopped))
        return Outcome(key, "interrupted", reason=f"{stopped}; what was done is saved")
    except Exception as error:  # noqa: BLE001  (whatever fails in one run, the rest of the plan goes on)
        reason, trace = explain(error, session.home)
        notes.fail(reason, trace)
        session.tracker.fail(reason)
        return Outcome(key, "failed", reason=reason)
    finally:
        notes.release()


def explain(error: Exception, home: Path) -> tuple[str, str]:
    """What failed and what to do about it; and the traceback, where it is no fault that has a sentence of its own."""
    if isinstance(error, UserError):
        return str(error), ""
    if isinstance(error, OSError):
        where = error.filename or home
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return f"no space left for {where}: free some and run again; what is finished and saved is kept", ""
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            return f"{where} cannot be written ({error.strerror}): choose another folder with --home", ""
        return f"{where}: {error.strerror or error}", ""
    first = (str(error).splitlines() or [""])[0]
    return (
        f"{type(error).__name__}: {first}. This was not foreseen; the traceback is in the run's failure.json",
        "".join(traceback.format_exception(error)),
    )


def _known(key: str, session: Session) -> Outcome | None:
    """The stored result, told to a tracker that has not got the whole of it."""
    if (result := session.store.get(key)) is None:
        return None
    session.tracker.settle(result, session.store.path(key))
    return Outcome(key, "cached", result)


def _acquired(lock: BaseFileLock, key: str, session: Session, wait: bool) -> bool:
    """Take the lock, at once or after waiting. Raises Interrupted if asked to stop while waiting."""
    said = False
    while True:
        try:
            lock.acquire(timeout=SECONDS_TO_ASK)
            return True
        except Timeout:
            if not wait:
                return False
        if not said:
            said = True
            session.observer.note(f"waiting for {key}: {WorkNotes(session.store.work(key)).holder()} has it")
        session.stop.check()
