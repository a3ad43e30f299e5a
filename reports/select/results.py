"""Collect the stored results that a report may use, own and published, and say which files were left out and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from benchmarks.earlier_version import left_by_0_1
from benchmarks.protocol.recipe import PROFILES, Recipe
from benchmarks.protocol.registry import MODELS
from benchmarks.protocol.run import PROTOCOL, Run, canonical, plain_fields
from benchmarks.results.custom_system import stand_in
from benchmarks.results.failed_run import FailedRun, read_failed_runs
from benchmarks.results.home import Home
from benchmarks.results.json_files import MadeBy01, ResultDamaged, decoding
from benchmarks.results.result import Result
from benchmarks.results.store import read_results
from benchmarks.results.submission import Submission, read_submissions
from data_prep.registry import find_dataset
from reports.formatting import gathered
from rssam.contract import Model
from rssam.errors import UserError

PUBLISHED = Path(__file__).parents[1] / "results"
"""Results that come with this version."""

ResultSource = Literal["own", "published"]
AnyRecord = TypeVar("AnyRecord", Result, FailedRun, Submission)


@dataclass(frozen=True, eq=False)
class StoredResult:
    """Result that a report may use, and whose it is. A published result never counts as a run of the user's."""

    result: Result
    source: ResultSource


@dataclass(frozen=True, eq=False)
class StoredFailure:
    """Run without a result, because it diverged or failed, and whose it is."""

    result: FailedRun  # what there is in place of one
    source: ResultSource


StoredRun = StoredResult | StoredFailure


@dataclass(frozen=True, eq=False)
class Collection:
    """Collection of all usable results. `damaged` and `left_out` have one sentence for each file that no table uses."""

    stored: tuple[StoredResult, ...]
    damaged: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    submissions: tuple[Submission, ...] = ()  # counted without being trained here
    failed: tuple[StoredFailure, ...] = ()

    @property
    def runs(self) -> tuple[StoredRun, ...]:
        """Return every run that was tried: those with a result, then those without."""
        return (*self.stored, *self.failed)

    def scored_on(self, dataset: str) -> tuple[Submission, ...]:
        """Return predictions that were scored on a data set, in the order of their names."""
        return tuple(submission for submission in self._scored if submission.dataset == dataset)

    @cached_property
    def known(self) -> dict[str, tuple[object, Any]]:
        """Return what `settings` worked out for tables of this collection, by table id, with the table itself."""
        return {}

    @cached_property
    def _scored(self) -> list[Submission]:
        scored = [submission for submission in self.submissions if submission.kind == "scored"]
        return sorted(scored, key=lambda submission: (submission.name.casefold(), submission.key))

    @cached_property
    def evaluated(self) -> tuple[Submission, ...]:
        """Return the systems that were evaluated on other data than they were trained on."""
        evaluated = [submission for submission in self.submissions if submission.kind == "evaluated"]
        return tuple(
            sorted(evaluated, key=lambda submission: (submission.dataset, submission.name.casefold(), submission.key))
        )

    def tried(self, run: Run) -> list[StoredRun]:
        """Return every result and failure of a declaration, whatever its seed and split seed."""
        if not self.has_tried(run.model.name, run.dataset.name):
            return []  # without its declaration as text, which most runs of a table need not have
        return self._by_declaration.get(_without_seeds(run.declared()), [])

    def has_tried(self, model: str, dataset: str) -> bool:
        """Return whether any run of a system on a data set, by their names, was tried."""
        return (model, dataset) in self._tried_systems

    @cached_property
    def _tried_systems(self) -> frozenset[tuple[str, str]]:
        identities = [stored.result.identity for stored in self.runs]
        return frozenset((identity["model"]["name"], identity["dataset"]["name"]) for identity in identities)

    @cached_property
    def _by_declaration(self) -> dict[str, list[StoredRun]]:
        return gathered((_without_seeds(stored.result.declared()), stored) for stored in self.runs)


def collect(home: Path, published: Path | None = PUBLISHED) -> Collection:
    """Read every result of a home folder and of the folder `published`. Folders that do not exist hold none."""
    stored: list[StoredResult] = []
    damaged: list[str] = []
    left_out = [sentence] if (sentence := left_by_0_1(home).sentence) else []
    roots: tuple[tuple[ResultSource, Path, Path], ...] = (
        ("own", home, Home(home).results),
        *((("published", published, published),) if published is not None else ()),
    )
    for source, _, folder in roots:
        records = _usable(read_results(folder), f"{folder}/", "", damaged, left_out)
        stored += [StoredResult(result, source) for result in records]
    failed: list[StoredFailure] = []
    for source, root, _ in roots:
        failures = _usable(read_failed_runs(root), f"{root}/", "", damaged, left_out)
        failed += [StoredFailure(failure, source) for failure in failures]
    submissions = tuple(_usable(read_submissions(home), f"{Home(home).scores}/", "scores/", damaged, left_out))
    return Collection(tuple(stored), tuple(damaged), tuple(left_out), submissions, tuple(failed))


def _usable(
    records: Iterable[AnyRecord | ResultDamaged], folder: str, shown: str, damaged: list[str], left_out: list[str]
) -> Iterator[AnyRecord]:
    """Yield the records that tables may use, and add a sentence for each other one; those of 0.1 have one together.

    A sentence has `shown` in place of `folder`: a report may travel, so it must not name folders of this machine.
    """
    for record in records:
        if isinstance(record, MadeBy01):
            continue
        if isinstance(record, ResultDamaged):
            damaged.append(str(record).replace(folder, shown))
        elif reason := _reason(record):
            state = f", which {record.state}" if isinstance(record, FailedRun) else ""
            left_out.append(f"{record.key}{state}: {reason}")
        else:
            yield record


def declared_system(result: Result | FailedRun) -> Model | None:
    """Return a run's system as this version declares it, or its own record; None where neither does."""
    return MODELS.get(result.identity["model"]["name"]) or stand_in(result)


def declared_recipe(result: Result | FailedRun) -> Recipe | None:
    """Return the recipe that this version declares under the name of a run's, resolved for its system, if any."""
    profile = PROFILES.get(result.identity["recipe"]["name"])
    if profile is None:
        return None
    model = declared_system(result)
    return profile.recipe if model is None else profile.recipe.for_model(model)


def profile_of(result: Result | FailedRun) -> str | None:
    """Return the profile whose recipe, resolved for the run's system, is the run's; None if there is none."""
    recorded, recipe = result.identity["recipe"], declared_recipe(result)
    return recorded["name"] if recipe is not None and plain_fields(recipe) == recorded else None


def _reason(record: Result | FailedRun | Submission) -> str | None:
    """Return why a record belongs in no table.

    A record that fits its kinds and cannot be told has its error as the reason.
    """
    try:
        with decoding():
            if not isinstance(record, FailedRun):
                _ = record.scores, record.constant_dice
            return _superseded(record.identity) if isinstance(record, Submission) else _outdated(record)
    except ResultDamaged as error:
        return str(error)


def _outdated(result: Result | FailedRun) -> str | None:
    """Return why a complete record belongs in no table of this version; None if it does."""
    identity = result.identity
    if reason := _superseded(identity):
        return reason
    if profile_of(result) is None:
        return f"its recipe {identity['recipe']['name']!r} is not one of this version ({', '.join(PROFILES)})"
    system = MODELS.get(identity["model"]["name"])
    if system is not None and system.version != identity["model"]["version"]:
        return f"version {identity['model']['version']} of {system.name}, this version has {system.version}"
    return None


def _superseded(identity: Mapping[str, Any]) -> str | None:
    """Return why counts under this identity belong to another version: of the protocol, or of their data set."""
    if identity.get("protocol") != PROTOCOL:
        return f"made under protocol {identity.get('protocol')}, this version has {PROTOCOL}"
    try:
        data = find_dataset(identity["dataset"]["name"])
    except UserError:
        return f"the data set {identity['dataset']['name']!r} is not known here"
    if data.version != identity["dataset"]["version"]:
        return f"version {identity['dataset']['version']} of {data.name}, this version has {data.version}"
    if canonical({"name": data.name, "version": data.version, **plain_fields(data)}) != canonical(identity["dataset"]):
        return f"the data set {data.name} was declared otherwise then"
    return None


def _without_seeds(declared: dict[str, Any]) -> str:
    return canonical({name: value for name, value in declared.items() if name not in ("seed", "split_seed")})
