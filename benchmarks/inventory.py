"""What there is, as plain values: systems with their cost, data sets with their state, results of a home.

Imports torch only to count systems.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.paper import PUBLISHED_PARAMETERS
from benchmarks.spec import plain_fields
from benchmarks.store import ResultDamaged, Store, read_results
from benchmarks.zoo import variants
from data_prep.base import DataError, NotPrepared, load_manifest
from data_prep.catalog import DATASETS
from rssam.contract import Task


def systems(task: Task) -> list[dict[str, Any]]:
    """Every system at every size the paper runs: parameters counted three ways, the paper's count, and cost."""
    from benchmarks.profile import measure

    records = []
    for model in variants():
        options = plain_fields(model)
        encoder = options.get("encoder")
        # The option that names the size is the first of every system that has one.
        records.append({
            "name": model.name, "title": model.title, "version": model.version, "encoder": encoder,
            "size": str(next(iter(options.values()), "")), "options": options,
            "classes": len(task.classes), "image_size": list(task.image_size), **asdict(measure(model, task)),
            "paper_m": PUBLISHED_PARAMETERS.get((model.name, encoder or "")),
        })  # fmt: skip
    return records


def data_sets(home: Path) -> list[dict[str, Any]]:
    """Every data set: its declaration, and whether and how completely it is prepared in this home."""
    records = []
    for name, data in DATASETS.items():
        try:
            state = load_manifest(home / "data" / name, name).describe()
        except NotPrepared:
            state = "not prepared"
        except DataError as error:
            state = str(error)
        records.append({
            "name": name, "title": data.title, "classes": list(data.classes), "image_size": list(data.image_size),
            "average": data.average, "expected_pairs": data.expected_pairs, "state": state,
        })  # fmt: skip
    return records


def results(home: Path) -> dict[str, Any]:
    """Finished results of a home, runs that were begun, and result files that cannot be used."""
    store = Store(home)
    found = list(read_results(store.results))
    finished = [item for item in found if not isinstance(item, ResultDamaged)]
    keys = {result.key for result in finished}
    begun = {path.relative_to(home / "runs").parts[0] for path in home.glob("runs/**/last.safetensors")}
    return {
        "home": str(home),
        "finished": [
            {"key": result.key, "recipe": result.identity["recipe"]["name"], "dice": result.scores.dice,
             "collapsed": result.collapsed}
            for result in finished
        ],
        "begun": sorted(begun - keys),
        "damaged": [str(item) for item in found if isinstance(item, ResultDamaged)],
    }  # fmt: skip
