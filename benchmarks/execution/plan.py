"""Plan runs: from tables, figures, claims and studies to distinct runs with their data and weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.execution.session import Session
from benchmarks.protocol.run import ResolvedRun, Run, resolve_run
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.targets import Item, replicates, systems, under
from benchmarks.results.home import Home
from data_prep.errors import DataError
from data_prep.manifest_file import load_manifest
from data_prep.registry import find_dataset, has_published_split
from rssam.contract import Model
from rssam.errors import UserError


def plan(
    items: Sequence[Item],
    setting: Setting,
    seeds: Sequence[int],
    split_seed: int,
    repeats: int | None,
    controls: bool = False,
    own: Sequence[Model] = (),
) -> list[Run]:
    """Return the distinct runs behind the items: all first replicates in the order of the rows, then the second.

    Args:
        items: tables, figures, claims.
        setting: how their rows are run.
        seeds: first seeds; each gives replicates of its own.
        split_seed: the first split seed. Seed and split seed are counted up from replicate to replicate.
        repeats: replicates of each run; None leaves their number to the item (see `targets.replicates`).
        controls: whether rows that the paper does not have are run too.
        own: systems of the user, which are run in place of the items' rows.

    Raises UserError without a seed.
    """
    if not seeds:
        raise UserError("expected a seed, found none: give at least one, as 0")
    systems_of_items = [
        (model, dataset, replicates(item, model, dataset, repeats))
        for item in (under(asked, setting) for asked in items)
        for model, dataset in systems(item, controls, own)
    ]
    most_replicates = max((count for *_, count in systems_of_items), default=0)
    runs = [
        setting.run(model, dataset, seed + replicate, split_seed + replicate)
        for seed in seeds
        for replicate in range(most_replicates)
        for model, dataset, count in systems_of_items
        if replicate < count
    ]
    return list(dict.fromkeys(runs))


def settle_split(setting: Setting, datasets: Iterable[str], home: Path) -> tuple[Setting, list[str]]:
    """Return the setting with the published sets that were cut anew in a home, whose split is drawn by scenes too.

    And a sentence for each data set of which the split stays as it was published. Only manifests know both.
    """
    drawn, notes = [], []
    for name in datasets if setting.split is not None else ():
        try:
            manifest = load_manifest(Home(home).dataset(name), name)
        except DataError:
            continue  # resolving the runs says so, with the command that mends it
        if not manifest.official_split and has_published_split(find_dataset(name)):
            drawn.append(name)
        notes += [note for note in [manifest.split_note("blocked")] if note]
    return replace(setting, drawn=tuple(drawn)), notes


def part_of(runs: Sequence[Run], part: str) -> list[Run]:
    """Return the runs of a plan that are part I of N, written I/N and counted from 1; all parts together are the plan.

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
    return [resolve_run(run, manifests[run.dataset.name], session.weights, session.precision) for run in runs]
