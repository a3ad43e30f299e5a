"""List systems with their cost, data sets with their state, and the runs of a home, as plain values.

Imports torch only to count systems whose cost is not kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.earlier_version import left_by_0_1
from benchmarks.execution.run_status import RunState, RunStatus, StatusFiles, run_status
from benchmarks.find_run import MOST_SHOWN, names_run
from benchmarks.protocol.paper_numbers import PUBLISHED_PARAMETERS
from benchmarks.protocol.registry import variants
from benchmarks.protocol.run import Run, plain_fields, resolve_run
from benchmarks.protocol.run_names import run_name
from benchmarks.results.home import Home
from benchmarks.results.store import Store
from data_prep.errors import DataError, NotPrepared
from data_prep.manifest import Manifest
from data_prep.manifest_file import load_manifest
from data_prep.registry import DATASETS
from rssam.amounts import shortened
from rssam.contract import Model, Task
from rssam.errors import UserError

if TYPE_CHECKING:
    from benchmarks.execution.session import Session

STATES: tuple[RunState, ...] = ("running", "diverged", "failed", "damaged", "begun", "finished", "missing")
"""In the order in which they are listed."""


def systems(task: Task, own: Sequence[Model] = ()) -> list[dict[str, Any]]:
    """Return every system at every size the paper runs, and `own` systems of the user.

    Each has its parameters counted three ways, the paper's count, and its cost.
    """
    from benchmarks.execution.cost_estimate import kept_cost

    records = []
    for model in (*variants(), *own):
        options = plain_fields(model)
        if (cost := kept_cost(model, task)) is None:
            from benchmarks.protocol.cost import measure

            cost = asdict(measure(model, task))
        encoder = options.get("encoder")
        # The option that names the size is the first of every system that has one.
        records.append({
            "name": model.name, "title": model.title, "version": model.version, "encoder": encoder,
            "size": str(next(iter(options.values()), "")), "options": options,
            "classes": len(task.classes), "image_size": list(task.image_size), **cost,
            "paper_m": PUBLISHED_PARAMETERS.get((model.name, encoder or "")),
        })  # fmt: skip
    return records


def data_sets(home: Path) -> list[dict[str, Any]]:
    """Return every data set: its declaration, and whether and how completely it is prepared in this home."""
    records = []
    for name, data in DATASETS.items():
        try:
            state = load_manifest(Home(home).dataset(name), name).describe()
        except NotPrepared:
            state = "not prepared"
        except DataError as error:
            state = str(error)
        records.append({
            "name": name, "title": data.title, "classes": list(data.classes), "image_size": list(data.image_size),
            "average": data.average, "expected_pairs": data.expected_pairs, "state": state,
        })  # fmt: skip
    return records


def run_statuses(home: Path) -> list[RunStatus]:
    """Return every run with a result or a work folder in this home, by state and key; not those of rssam-bench 0.1."""
    store = Store(home)
    keys = {*store.keys} | {path.name for path in Home(home).runs.glob("*/")}
    statuses = [run_status(store, key) for key in keys - left_by_0_1(home).keys]
    return sorted(statuses, key=lambda status: (STATES.index(status.state), status.key))


def without_result(home: Path, text: str) -> str:
    """Return the message for a name that no finished run has, see `find_run`: which runs have it, and their state."""
    store = Store(home)
    named = [
        f"{status.key} is {status.state}" + (f" ({status.text})" if status.text else "")
        for status in run_statuses(home)
        if names_run(text, status.key, StatusFiles(store.work(status.key)).identity())
    ]
    if not named:
        return store.no_result(text)
    return f"no finished run {text!r} in {home}: {shortened(named, MOST_SHOWN)}. {store.list_command}"


def by_state(statuses: Sequence[RunStatus]) -> dict[str, list[dict[str, Any]]]:
    """Return the same for a program: every state with its runs."""
    return {state: [status.to_json() for status in statuses if status.state == state] for state in STATES}


def planned_statuses(runs: Sequence[Run], session: Session) -> list[RunStatus]:
    """Return the state of every run of a plan, in its order; a run without data or weights is missing, and says why."""

    @cache
    def read(name: str) -> Manifest | DataError:
        try:
            return load_manifest(session.data_folder(name), name)
        except DataError as error:
            return error

    def status(run: Run) -> RunStatus:
        manifest = read(run.dataset.name)
        if isinstance(manifest, DataError):
            return RunStatus("", "missing", reason=str(manifest))
        try:
            key = resolve_run(run, manifest, session.weights, session.precision).key
        except UserError as error:
            return RunStatus("", "missing", reason=str(error))
        return run_status(session.store, key)

    return [replace(status(run), name=run_name(run.declared())) for run in runs]
