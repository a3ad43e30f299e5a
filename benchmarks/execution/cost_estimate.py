"""Estimate a plan before it runs: the state of each run, what it lacks, and hours, measured or by arithmetic.

Nothing is trained and nothing fails here: data or weights that are missing are a state like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median
from typing import Any, Literal

from benchmarks.execution.run_status import RunState, run_status
from benchmarks.execution.session import Session
from benchmarks.protocol.run import Run, resolve_run
from benchmarks.results.result import Result
from benchmarks.results.store import read_results
from data_prep.errors import NotPrepared
from data_prep.manifest import Manifest, load_manifest
from data_prep.registry import DATASETS
from data_prep.splits import SPLITS, exact_counts
from rssam.contract import Model, Task
from rssam.weights.folder import WeightsNotFound

SUSTAINED = 40e12
"""Floating-point operations a second that a GPU is taken to sustain in bf16 training. An assumption, not measured."""

ForecastState = RunState | Literal["no data", "no weights"]


@dataclass(frozen=True)
class Forecast:
    """One run of a plan. `key` is None as long as data or weights are missing; `remedy` is what mends that."""

    run: Run
    key: str | None
    state: ForecastState
    remedy: str
    gpu_hours: float  # of the whole run by operation count, whatever is done of it
    hours: float  # of the whole run as far as is known: measured, else by operation count
    measured: bool
    left: float  # of these hours, for what is not done

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "key": self.key, "model": self.run.model.name, "dataset": self.run.dataset.name, "state": self.state,
            "gpu_hours": round(self.gpu_hours, 3), "hours": round(self.hours, 4), "left": round(self.left, 4),
            "measured": self.measured, "remedy": self.remedy, "declared": self.run.declared(),
        }  # fmt: skip


def forecast(runs: Sequence[Run], session: Session) -> list[Forecast]:
    """State and cost of every run; each manifest is read once. Raises DataError if one is damaged."""
    manifests = {name: _manifest(name, session) for name in {run.dataset.name for run in runs}}
    results = [result for result in read_results(session.store.results) if isinstance(result, Result)]
    return [_forecast(run, manifests[run.dataset.name], session, results) for run in runs]


def _manifest(name: str, session: Session) -> Manifest | None:
    try:
        return load_manifest(session.data_folder(name), name)
    except NotPrepared:
        return None


def _forecast(run: Run, manifest: Manifest | None, session: Session, results: Sequence[Result]) -> Forecast:
    images = _images(run, manifest)
    by_operations = gpu_hours(run, images)
    from_results = measured_hours(run, images, results, _device_name(session.device))
    hours = by_operations if from_results is None else from_results
    measured = from_results is not None
    if manifest is None:
        remedy = f"rssam-bench prepare {run.dataset.name} --source DIR"
        return Forecast(run, None, "no data", remedy, by_operations, hours, measured, hours)
    try:
        resolved = resolve_run(run, manifest, session.weights, session.precision)
    except WeightsNotFound:
        needed = next(name for name in run.model.weights_needed() if not session.weights.path(name).is_file())
        remedy = f"rssam-bench prepare weights {needed}"
        return Forecast(run, None, "no weights", remedy, by_operations, hours, measured, hours)
    status = run_status(session.store, resolved.key)
    left = 0.0 if status.state in ("finished", "damaged") else hours
    if left and status.progress is not None:
        if status.progress.seconds_left is not None and status.progress.device == session.device:
            left, measured = status.progress.seconds_left / 3600, True
        else:
            left *= 1 - status.progress.done
    return Forecast(run, resolved.key, status.state, status.reason, by_operations, hours, measured, left)


def measured_hours(run: Run, images: tuple[int, int, int], results: Sequence[Result], device: str) -> float | None:
    """Hours of `run` from finished runs of the same system at the same size on the same device, None without one.

    Time is taken to grow with the images that pass; of several results the median.
    """
    declared = run.declared()
    hours = []
    for result in results:
        recipe, dataset = result.identity["recipe"], DATASETS.get(result.identity["dataset"]["name"])
        same = (
            result.identity["model"] == declared["model"]
            and dataset is not None
            and (dataset.image_size, recipe["crop"]) == (run.dataset.image_size, run.recipe.crop)
            and result.provenance.get("device") == device
        )
        if not same:
            continue
        train, val, test = (int(result.data[split]) for split in SPLITS)
        windows = _windows(run)
        passes = len(recipe["rates"]) * recipe["epochs"] * (train * recipe["crops"] * _STEP + val * windows)
        hours.append(_passes(run, images, _STEP) * result.seconds / (passes + test * windows) / 3600)
    return median(hours) if hours else None


_STEP = 3.0
"""Cost of a training pass against a forward pass, where only their ratio to others of their kind matters."""


def _device_name(device: str) -> str:
    """As it stands in a result's provenance."""
    import torch

    from benchmarks.results.provenance import device_name

    return device_name(torch.device(device))


def _images(run: Run, manifest: Manifest | None) -> tuple[int, int, int]:
    """Images in train, val and test: as prepared, else as the published set would be."""
    if manifest is None:
        sizes = list(run.dataset.official_sizes or exact_counts(run.dataset.expected_pairs or 0))
    else:
        splits = manifest.splits(run.split_seed, run.split_rule)
        sizes = [len(splits[split]) for split in SPLITS]
    limit = run.recipe.limit
    train, val, test = (size if limit is None else min(size, limit) for size in sizes)
    return train, val, test


def gpu_hours(run: Run, images: tuple[int, int, int]) -> float:
    """Hours at SUSTAINED, from multiply-accumulates; `images` counts train, val and test.

    A training step costs a forward pass, a backward pass of the same size through the activations, and one through
    the weights that train.
    """
    cost = _cost(run.model, run.task)
    return float(_passes(run, images, 2 + cost.trainable / cost.total) * 2e9 * cost.gmacs / SUSTAINED / 3600)


def _passes(run: Run, images: tuple[int, int, int], step: float) -> float:
    """Forward passes of one image that the run costs, if a training step costs `step` of them."""
    recipe, windows = run.recipe.for_model(run.model), _windows(run)
    train, val, test = images
    return recipe.epochs * (train * recipe.crops * step + val * windows) * len(recipe.rates) + test * windows


def _windows(run: Run) -> int:
    """Windows of the grid that covers an image."""
    crop, (height, width) = run.recipe.crop, run.dataset.image_size
    return 1 if crop is None else (height // crop) * (width // crop)


@cache
def _cost(model: Model, task: Task) -> Any:
    from benchmarks.protocol.cost import measure  # imports torch

    return measure(model, task)
