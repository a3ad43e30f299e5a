"""From tables to finished results: each different run once, what is cached is skipped, a failure stays local.

Imports torch only when something has to be trained.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.items import Item, replicates, systems
from benchmarks.session import Outcome, Session
from benchmarks.spec import ResolvedRun, Run, Setting, resolve
from benchmarks.store import ResultDamaged
from data_prep.base import DataError, load_manifest
from rssam.contract import UserError


def plan(
    items: Sequence[Item],
    setting: Setting,
    seeds: Sequence[int],
    split_seed: int,
    repeats: int | None,
    controls: bool = False,
) -> list[Run]:
    """The different runs behind these items, each once: all first replicates in the order of the rows, then the next.

    Each of `repeats` is a pair of seed and split seed, counted up from the first pair; None leaves their number to the
    item (see `items.replicates`).
    """
    wanted = [
        (model, dataset, replicates(item, model, dataset, repeats))
        for item in items
        for model, dataset in systems(item, controls)
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


def resolve_all(runs: Sequence[Run], session: Session) -> list[ResolvedRun]:
    """Look up data and weights of every run before the first one starts; reads manifests, never images.

    Raises NotPrepared or WeightsNotFound, naming the command that mends it.
    """
    manifests = {name: load_manifest(session.data_folder(name), name) for name in {run.dataset.name for run in runs}}
    return [resolve(run, manifests[run.dataset.name], session.weights, session.precision) for run in runs]


def execute_all(resolved: Sequence[ResolvedRun], session: Session) -> list[Outcome]:
    """Execute the runs in order; one that fails does not stop the others."""
    outcomes = []
    for number, item in enumerate(resolved, start=1):
        session.observer.begin(number, len(resolved), item)
        outcomes.append(execute(item, session))
        session.observer.end(outcomes[-1])
    return outcomes


def execute(resolved: ResolvedRun, session: Session) -> Outcome:
    """Bring one run to its result: from the store if it is there, else by training, from its checkpoint if it has one.

    Failures are never stored: the next call tries again.
    """
    key = resolved.key
    try:
        if (known := session.store.get(key)) is not None:
            return Outcome(key, "cached", known)
        with session.store.lock(key):
            if (known := session.store.get(key)) is not None:  # another process has just finished it
                return Outcome(key, "cached", known)
            from benchmarks.trial import train_and_test

            return train_and_test(resolved, session)
    except (UserError, DataError, ResultDamaged, OSError) as error:  # OSError: a disk that is full or not ours
        session.tracker.fail(str(error))
        return Outcome(key, "failed", reason=str(error))
