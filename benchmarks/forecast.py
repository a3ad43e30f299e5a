"""What a plan would do before it does it: the state of each run, what it lacks, and hours of GPU by arithmetic.

Nothing is trained and nothing fails here: data or weights that are missing are a state like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from benchmarks.session import Session
from benchmarks.spec import Run, resolve
from data_prep.base import SPLITS, Manifest, NotPrepared, exact_counts, load_manifest
from rssam.contract import Model, Task
from rssam.weights import WeightsNotFound

SUSTAINED = 40e12
"""Floating-point operations a second that a GPU is taken to sustain in bf16 training. An assumption, not measured."""

State = Literal["finished", "begun", "missing", "no data", "no weights"]


@dataclass(frozen=True)
class Forecast:
    """One run of a plan. `key` is None as long as data or weights are missing; `remedy` is what mends that."""

    run: Run
    key: str | None
    state: State
    remedy: str
    gpu_hours: float  # of the whole run by operation count, whatever is done of it

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "key": self.key, "model": self.run.model.name, "dataset": self.run.dataset.name, "state": self.state,
            "gpu_hours": round(self.gpu_hours, 3), "remedy": self.remedy, "declared": self.run.declared(),
        }  # fmt: skip


def forecast(runs: Sequence[Run], session: Session) -> list[Forecast]:
    """State and cost of every run; each manifest is read once. Raises DataError if one is damaged."""
    manifests = {name: _manifest(name, session) for name in {run.dataset.name for run in runs}}
    return [_forecast(run, manifests[run.dataset.name], session) for run in runs]


def _manifest(name: str, session: Session) -> Manifest | None:
    try:
        return load_manifest(session.data_folder(name), name)
    except NotPrepared:
        return None


def _forecast(run: Run, manifest: Manifest | None, session: Session) -> Forecast:
    hours = gpu_hours(run, _images(run, manifest))
    if manifest is None:
        return Forecast(run, None, "no data", f"rssam-bench prepare {run.dataset.name} --source DIR", hours)
    try:
        resolved = resolve(run, manifest, session.weights, session.precision)
    except WeightsNotFound:
        needed = next(one for one in run.model.weights_needed() if not session.weights.path(one).is_file())
        return Forecast(run, None, "no weights", f"rssam-bench prepare weights {needed}", hours)
    state: State = "missing"
    if session.store.path(resolved.key).is_file():
        state = "finished"
    elif any(session.store.work(resolved.key).rglob("last.safetensors")):
        state = "begun"
    return Forecast(run, resolved.key, state, "", hours)


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
    recipe, (height, width) = run.recipe.resolve(run.model), run.dataset.image_size
    windows = 1 if recipe.crop is None else (height // recipe.crop) * (width // recipe.crop)
    train, val, test = images
    step = 2 + cost.trainable / cost.total
    passes = recipe.epochs * (train * recipe.crops * step + val * windows) * len(recipe.rates) + test * windows
    return float(passes * 2e9 * cost.gmacs / SUSTAINED / 3600)


@cache
def _cost(model: Model, task: Task) -> Any:
    from benchmarks.profile import measure  # imports torch

    return measure(model, task)
