"""Every stored result a report may use: the user's own, the published ones, and which files were left out and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from benchmarks.protocol.recipe import PROFILES
from benchmarks.protocol.registry import MODELS
from benchmarks.protocol.run import PROTOCOL, Run, canonical, plain_fields
from benchmarks.results.custom_system import stand_in
from benchmarks.results.home import Home
from benchmarks.results.json_files import ResultDamaged
from benchmarks.results.result import Result
from benchmarks.results.store import read_results
from benchmarks.results.submission import Submission, read_submissions
from data_prep.registry import dataset as find_dataset
from rssam.errors import UserError

PUBLISHED = Path(__file__).parents[1] / "results"
"""Results that come with this version."""

Source = Literal["own", "published"]


@dataclass(frozen=True, eq=False)
class Stored:
    """A usable result and whose it is. A published result never counts as a run of the user's."""

    result: Result
    source: Source

    @property
    def replicate(self) -> tuple[int, int]:
        """(split seed, seed)."""
        return self.result.identity["split_seed"], self.result.identity["seed"]


@dataclass(frozen=True, eq=False)
class Collection:
    """What `collect` found. `damaged` and `left_out` are one sentence for each file that no table uses."""

    stored: tuple[Stored, ...]
    damaged: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    submissions: tuple[Submission, ...] = ()  # counted without being trained here

    def scored_on(self, dataset: str) -> tuple[Submission, ...]:
        """Predictions that were scored on a data set, in the order of their names."""
        return tuple(one for one in self._scored if one.dataset == dataset)

    @cached_property
    def _scored(self) -> list[Submission]:
        scored = [one for one in self.submissions if one.kind == "scored"]
        return sorted(scored, key=lambda one: (one.name.casefold(), one.key))

    @cached_property
    def evaluated(self) -> tuple[Submission, ...]:
        """Systems that were evaluated on other data than they were trained on."""
        found = [one for one in self.submissions if one.kind == "evaluated"]
        return tuple(sorted(found, key=lambda one: (one.dataset, one.name.casefold(), one.key)))

    def replicates(self, run: Run) -> list[Stored]:
        """Every result of that declaration, whatever its seed and split seed."""
        return self._by_declaration[_but_for_seeds(run.declared())]

    @cached_property
    def _by_declaration(self) -> defaultdict[str, list[Stored]]:
        index: defaultdict[str, list[Stored]] = defaultdict(list)
        for item in self.stored:
            index[_but_for_seeds(item.result.declared())].append(item)
        return index


def collect(home: Path, published: Path | None = PUBLISHED) -> Collection:
    """Read every result of a home folder and of the folder `published`. Folders that do not exist hold none."""
    stored: list[Stored] = []
    damaged: list[str] = []
    left_out: list[str] = []
    sources: tuple[tuple[Source, Path], ...] = (
        ("own", Home(home).results),
        *((("published", published),) if published is not None else ()),
    )
    for source, folder in sources:
        for item in read_results(folder):
            if isinstance(item, ResultDamaged):
                # Only the name: a report may travel, the folder on this machine is nobody's business.
                damaged.append(str(item).replace(f"{folder}/", ""))
            elif reason := _misfit(item):
                damaged.append(f"{item.key}.json: {reason}")
            elif reason := _outdated(item):
                left_out.append(f"{item.key}: {reason}")
            else:
                stored.append(Stored(item, source))
    submissions: list[Submission] = []
    for one in read_submissions(home):
        if isinstance(one, ResultDamaged):
            damaged.append(str(one).replace(f"{Home(home).scores}/", "scores/"))
        elif reason := _superseded(one.identity):
            left_out.append(f"{one.key}: {reason}")
        else:
            submissions.append(one)
    return Collection(tuple(stored), tuple(damaged), tuple(left_out), tuple(submissions))


def profile_of(result: Result) -> str | None:
    """The profile whose recipe, resolved for the result's system, is the result's; None if there is none today."""
    recorded = result.identity["recipe"]
    profile = PROFILES.get(recorded["name"])
    if profile is None:
        return None
    model = MODELS.get(result.identity["model"]["name"]) or stand_in(result)
    recipe = profile.recipe if model is None else profile.recipe.for_model(model)
    return recorded["name"] if plain_fields(recipe) == recorded else None


def _misfit(result: Result) -> str | None:
    """Why a file that reads well still cannot be used: it lacks a part that every table needs."""
    try:
        result.declared(), profile_of(result), result.scores, result.constant_dice
        result.identity["data"], result.identity["weights"], result.identity["precision"], result.data["describe"]
        result.identity["model"]["options"], result.identity["dataset"]["version"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return f"a part is missing or malformed ({error!r})"
    return None


def _outdated(result: Result) -> str | None:
    """Why a sound result belongs in no table of this version."""
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
    """Why counts under this identity belong to another version: of the protocol, or of their data set."""
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


def _but_for_seeds(declared: dict[str, Any]) -> str:
    return canonical({name: value for name, value in declared.items() if name not in ("seed", "split_seed")})
