"""Carry the runs without a result in a bundle, `runs/<key>/failure.json`, and check them and diverged rates there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from benchmarks.divergence import DivergedRate
from benchmarks.protocol.tables import Table
from benchmarks.results.data_record import run_data_record
from benchmarks.results.failed_run import FailedRun
from benchmarks.results.home import Home
from benchmarks.results.result import Result
from reports.bundle.checks.checked import RebuiltSplit
from reports.bundle.checks.data_checks import declared_identity, split_of_identity
from reports.bundle.checks.origin_checks import has_been
from reports.bundle.checks.run_checks import recipe, seeds, system, weights
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


def failure_faults(failed: FailedRun, file: str, home: Home, split: RebuiltSplit | None) -> Iterator[str]:
    """Yield all problems of a run without a result that was read from an unpacked bundle.

    It is held against the same rules as a result, except that it has tested: it may have ended before.

    Args:
        failed: the run.
        file: its path in the bundle.
        home: the unpacked bundle.
        split: the bundle's split that has its digest; None without such.
    """
    if PurePosixPath(file).parent.name != failed.key:
        yield f"its folder is not its key, {failed.key}"
    if home.result(failed.key).is_file():
        yield f"the same run has a result, results/{failed.key}.json"
    for check in (system, recipe, seeds, weights):
        yield from check(failed)
    yield from declared_identity(failed.identity)
    yield from split_of_identity(failed.identity, split)
    if split is not None:
        yield from _data_faults(failed, split)
    if not has_been(failed.when):
        yield f"it ended {failed.when!r}, expected a time that has been"
    if profile_of(failed) is None:
        return
    yield from _rate_faults(failed.identity["recipe"], failed.diverged)
    if failed.diverged and len(failed.diverged) != len(failed.identity["recipe"]["rates"]):
        yield "it diverged under a part of its recipe's rates, and the others would have given a result"


def _data_faults(failed: FailedRun, split: RebuiltSplit) -> Iterator[str]:
    """Yield what it says of its data, and its split denies; it may say nothing."""
    known = run_data_record(split.full, split.used(failed.identity))
    for name, value in failed.data.items():
        if name not in known or known[name] != value or type(known[name]) is not type(value):
            yield f"it says of its data {name} = {str(value)[:60]}, its split gives {str(known.get(name))[:60]}"


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
