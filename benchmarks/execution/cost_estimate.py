"""Estimate a plan before it runs: the state of each run, what it lacks, hours and memory, and how they are known.

Nothing is trained and nothing fails here: data or weights that are missing are a state like any other. Imports no
torch on a CPU.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any, Literal

from benchmarks.execution.run_status import RunState, run_status
from benchmarks.execution.session import Session
from benchmarks.protocol.run import Run, canonical, plain_fields, resolve_run
from benchmarks.results.provenance import device_name
from benchmarks.results.result import Result
from benchmarks.results.store import read_results
from benchmarks.speed.step_time import StepTime, read_step_time
from data_prep.errors import NotPrepared
from data_prep.manifest import Manifest
from data_prep.manifest_file import load_manifest
from data_prep.registry import DATASETS
from data_prep.splits import SPLITS, exact_counts
from rssam.contract import Model, Task
from rssam.weights.folder import WeightsNotFound

SUSTAINED = 40e12
"""Floating-point operations a second that a GPU is taken to sustain in bf16 training. An assumption, not measured."""

COUNTED_COSTS = Path(__file__).with_name("counted_costs.json")
"""The fields of `Cost` by `cost_key`: to count them anew takes 20 seconds.

Made by `python -m tests.benchmarks.execution.test_cost_estimate`.
"""

ForecastState = RunState | Literal["no data", "no weights"]
Basis = Literal["runs", "steps", "operations", "unknown"]
"""How hours are known: from finished runs or steps of this machine, or by operation count for an assumed GPU."""


@dataclass(frozen=True)
class Forecast:
    """Forecast of a run of a plan.

    `key` is None as long as data or weights are missing; `remedy` is what mends that.
    """

    run: Run
    key: str | None
    state: ForecastState
    remedy: str
    gpu_hours: float | None  # of the whole run by operation count, whatever is done of it; None if never counted
    hours: float | None  # of the whole run as far as is known
    basis: Basis
    left: float | None  # of these hours, for what is not done
    memory: int | None  # bytes at the peak of training, from a finished run or steps on this machine
    outcome: str = ""  # of a finished run, in words

    @property
    def measured(self) -> bool:
        """Return whether the hours are those of this machine."""
        return self.basis in ("runs", "steps")

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "key": self.key, "model": self.run.model.name, "dataset": self.run.dataset.name, "state": self.state,
            "gpu_hours": _rounded(self.gpu_hours, 3), "hours": _rounded(self.hours, 4), "left": _rounded(self.left, 4),
            "measured": self.measured, "basis": self.basis, "memory": self.memory, "remedy": self.remedy,
            "declared": self.run.declared(),
        }  # fmt: skip


def forecast(runs: Sequence[Run], session: Session) -> list[Forecast]:
    """Return state and cost of every run; each manifest is read once. Raises DataError if one is damaged."""
    manifests = {name: _manifest(name, session) for name in {run.dataset.name for run in runs}}
    results = [result for result in read_results(session.store.results) if isinstance(result, Result)]
    device = device_name(session.device)
    return [_forecast(run, manifests[run.dataset.name], session, results, device) for run in runs]


def _manifest(name: str, session: Session) -> Manifest | None:
    try:
        return load_manifest(session.data_folder(name), name)
    except NotPrepared:
        return None


def _forecast(
    run: Run, manifest: Manifest | None, session: Session, results: Sequence[Result], device: str
) -> Forecast:
    images = _images(run, manifest)
    by_operations = gpu_hours(run, images)
    hours, basis, memory = _estimate(run, images, results, session, device)
    if manifest is None:
        remedy = f"rssam-bench prepare {run.dataset.name}"
        return Forecast(run, None, "no data", remedy, by_operations, hours, basis, hours, memory)
    try:
        resolved = resolve_run(run, manifest, session.weights, session.precision)
    except WeightsNotFound:
        needed = next(name for name in run.model.weights_needed() if not session.weights.path(name).is_file())
        remedy = f"rssam-bench prepare weights {needed}"
        return Forecast(run, None, "no weights", remedy, by_operations, hours, basis, hours, memory)
    status = run_status(session.store, resolved.key)
    left = 0.0 if status.state in ("finished", "damaged") else hours
    if left != 0 and status.progress is not None:
        if status.progress.seconds_left is not None and status.progress.device == session.device:
            left, basis = status.progress.seconds_left / 3600, "runs"
        elif left is not None:
            left *= 1 - status.progress.done
    outcome = status.text if status.state == "finished" else ""
    return Forecast(run, resolved.key, status.state, status.reason, by_operations, hours, basis, left, memory, outcome)


def _estimate(
    run: Run, images: tuple[int, int, int], results: Sequence[Result], session: Session, device: str
) -> tuple[float | None, Basis, int | None]:
    """Return hours and memory: from finished runs, from steps timed here, or by operation count on a GPU."""
    step = read_step_time(session.home, run, device, session.precision)
    same = _finished_alike(run, results, device)
    memory = max((result.peak_memory for result in same), default=step.memory if step else None)
    if same:
        return median(_hours_as(result, run, images) for result in same), "runs", memory
    if step is not None:
        return hours_by_step(run, images, step), "steps", memory
    by_operations = gpu_hours(run, images)
    return by_operations, "unknown" if by_operations is None else "operations", None


def _finished_alike(run: Run, results: Sequence[Result], device: str) -> list[Result]:
    """Return the finished runs of the same system at the same size on the same device."""
    declared, alike = run.declared(), []
    for result in results:
        recipe, dataset = result.identity["recipe"], DATASETS.get(result.identity["dataset"]["name"])
        if (
            result.identity["model"] == declared["model"]
            and dataset is not None
            and (dataset.image_size, recipe["crop"]) == (run.dataset.image_size, run.recipe.crop)
            and result.provenance.get("device") == device
        ):
            alike.append(result)
    return alike


def _hours_as(result: Result, run: Run, images: tuple[int, int, int]) -> float:
    """Return hours of `run` by the seconds of `result`: time is taken to grow with the images that pass."""
    recipe, windows = result.identity["recipe"], _windows(run)
    train, val, test = (int(result.data[split]) for split in SPLITS)
    passes = len(recipe["rates"]) * recipe["epochs"] * (train * recipe["crops"] * _STEP + val * windows)
    return float(_passes(run, images, _STEP) * result.seconds / (passes + test * windows) / 3600)


def hours_by_step(run: Run, images: tuple[int, int, int], step: StepTime) -> float:
    """Return hours of `run` by the seconds of a training pass; a pass forward is taken for a third of that."""
    return _passes(run, images, _STEP) / _STEP * step.seconds_an_image / 3600


_STEP = 3.0
"""Cost of a training pass against a forward pass, where only their ratio to others of their kind matters."""


def _images(run: Run, manifest: Manifest | None) -> tuple[int, int, int]:
    """Return the images in train, val and test: as prepared, otherwise as the published set would be."""
    if manifest is None:
        sizes = list(run.dataset.official_sizes or exact_counts(run.dataset.expected_pairs or 0))
    else:
        splits = manifest.splits(run.split_seed, run.split_rule)
        sizes = [len(splits[split]) for split in SPLITS]
    limit = run.recipe.limit
    train, val, test = (size if limit is None else min(size, limit) for size in sizes)
    return train, val, test


def gpu_hours(run: Run, images: tuple[int, int, int]) -> float | None:
    """Return hours at SUSTAINED, from multiply-accumulates; `images` counts train, val and test. None if never counted.

    A training step costs a forward pass and a backward pass of the same size through the activations. Another backward
    pass goes through the weights that train.
    """
    if (counted := kept_cost(run.model, run.task)) is None:
        return None
    passes = _passes(run, images, 2 + counted["trainable"] / counted["total"])
    return float(passes * 2e9 * counted["gmacs"] / SUSTAINED / 3600)


def _passes(run: Run, images: tuple[int, int, int], step: float) -> float:
    """Forward passes of one image that the run costs, if a training step costs `step` of them."""
    recipe, windows = run.recipe.for_model(run.model), _windows(run)
    train, val, test = images
    return recipe.epochs * (train * recipe.crops * step + val * windows) * len(recipe.rates) + test * windows


def _windows(run: Run) -> int:
    """Return the windows of the grid that covers an image."""
    crop, (height, width) = run.recipe.crop, run.dataset.image_size
    return 1 if crop is None else (height // crop) * (width // crop)


def cost_key(model: Model, task: Task) -> str:
    """Return what decides parameters and operations: the system with its options, the number of classes, the size."""
    height, width = task.image_size
    return f"{model.name} {model.version} {canonical(plain_fields(model))} {len(task.classes)} {height}x{width}"


def kept_cost(model: Model, task: Task) -> dict[str, float] | None:
    """Return the fields of `Cost` as they were counted for this version, without torch; None if they never were."""
    return _counted_costs().get(cost_key(model, task))


def trained_parameters(model: Model, task: Task) -> int:
    """Return how many parameters train, as they were counted.

    Of a size or of classes that were never counted those of the system elsewhere; of another system the most of all.
    """
    if (counted := kept_cost(model, task)) is not None:
        return int(counted["trainable"])
    key = cost_key(model, task)
    size = " ".join(key.split(" ")[-2:])
    alike = [cost for other, cost in _counted_costs().items() if other.startswith(key.removesuffix(size))]
    return int(max(cost["trainable"] for cost in alike or _counted_costs().values()))


@cache
def _counted_costs() -> dict[str, dict[str, float]]:
    counted: dict[str, dict[str, float]] = json.loads(COUNTED_COSTS.read_text())
    return counted


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
