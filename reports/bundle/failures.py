"""Carry the runs without a result in a bundle, `runs/<key>/failure.json`, and check them and diverged rates there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.divergence import DivergedRate
from benchmarks.protocol.tables import Table
from benchmarks.results.failed_run import FailedRun
from benchmarks.results.home import Home
from benchmarks.results.result import Result
from reports.bundle.run_checks import weights
from reports.select.results import Collection, StoredFailure, profile_of
from reports.tables.assemble import groups_of_tables

FAILURE_NAMES = r"runs/[\w.-]+/failure\.json"
"""Names of the files, as a pattern."""

WITHHELD = "not published: it names a path"
"""Stands for a reason that could tell others about this machine."""


def failures_of_tables(tables: Sequence[Table], collection: Collection) -> tuple[StoredFailure, ...]:
    """Return the user's own runs without a result behind these tables, each once."""
    groups = groups_of_tables(tables, collection)
    keys = {failed.key for group in groups if group.source == "own" for failed in group.failed}
    return tuple(stored for stored in collection.failed if stored.source == "own" and stored.result.key in keys)


def failure_files(failed: Iterable[StoredFailure]) -> dict[str, bytes]:
    """Return a file for each run without a result. A reason with a path in it is withheld, and so is any traceback."""
    files = {}
    for stored in failed:
        raw = stored.result.to_json()
        if "/" in raw["reason"] or "\\" in raw["reason"]:
            raw["reason"] = WITHHELD
        name = f"runs/{stored.result.key}/failure.json"
        files[name] = (json.dumps(raw, sort_keys=True, separators=(",", ":")) + "\n").encode()
    return files


def failure_faults(failed: FailedRun, file: str, folder: Path) -> Iterator[str]:
    """Yield all problems of a run without a result that was read from `file` of a bundle's folder."""
    if Path(file).parent.name != failed.key:
        yield f"its folder is not its key, {failed.key}"
    if Home(folder).result(failed.key).is_file():
        yield f"the same run has a result, results/{failed.key}.json"
    if profile_of(failed) is None:
        yield f"its recipe {str(failed.identity['recipe']['name'])!r} is not one of this version"
        return
    if min(failed.identity["seed"], failed.identity["split_seed"]) < 0:
        yield "a seed is negative"
    yield from weights(failed)
    yield from _rate_faults(failed.identity["recipe"], failed.diverged)
    if failed.diverged and len(failed.diverged) != len(failed.identity["recipe"]["rates"]):
        yield "it diverged under a part of its recipe's rates, and the others would have given a result"


def diverged_rates(result: Result) -> Iterator[str]:
    """Yield the problems of the rates that a result says diverged, while others of its recipe went on."""
    yield from _rate_faults(result.identity["recipe"], result.diverged)
    if result.diverged and len(result.diverged) >= len(result.identity["recipe"]["rates"]):
        yield "all rates of its recipe diverged, and still it has a result"


def _rate_faults(recipe: Mapping[str, Any], diverged: Sequence[DivergedRate]) -> Iterator[str]:
    rates, epochs = recipe["rates"], recipe["epochs"]
    if len({lost.rate for lost in diverged}) != len(diverged):
        yield "a rate diverged twice"
    for lost in diverged:
        if lost.rate not in rates:
            yield f"the rate {lost.rate:g} diverged, and is none of its recipe"
        if lost.epoch > epochs:
            yield f"the rate {lost.rate:g} diverged in epoch {lost.epoch}, its recipe has {epochs}"
