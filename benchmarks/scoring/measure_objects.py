"""Measure object metrics on the maps a run has left in its home, image by image in processes.

Trains and predicts nothing. The masks and maps must give the counts of the run's result, pixel for pixel: so what
is measured is what was scored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.metrics.object_metrics import ObjectMetric, object_metrics
from benchmarks.results.home import Home
from benchmarks.results.json_files import ResultDamaged
from benchmarks.results.metric_store import MeasuredRun, MetricStore
from benchmarks.results.pixels import Labels, read_mask, read_predictions
from benchmarks.results.predictions import PREDICTIONS
from benchmarks.results.result import Result
from benchmarks.results.store import Store
from data_prep.errors import DataError
from data_prep.manifest import Entry
from data_prep.manifest_file import load_manifest
from data_prep.processes import Progress, map_in_processes
from rssam.contract import IGNORE
from rssam.files import require_writable, sha256_file


@dataclass(frozen=True, eq=False)
class _Job:
    folder: Path
    entry: Entry
    packed: Labels  # the prediction, eight pixels of a line in a byte: [H, ceil(W / 8)]
    metrics: tuple[ObjectMetric, ...]


_ImageMeasurement = tuple[dict[str, tuple[float, ...]], list[int]]
"""Sums by metric, and tp, fp, fn, tn in pixels."""

DIED = "a worker process ended abruptly (out of memory?): run again with --workers 1"


def measure_run(
    home: Path,
    result: Result,
    metrics: Sequence[ObjectMetric],
    workers: int,
    progress: Progress,
    *,
    again: bool = False,
) -> tuple[MeasuredRun, tuple[ObjectMetric, ...]]:
    """Measure the test images of a run and store the sums; what is stored already is not measured again.

    Args:
        home: the home folder.
        result: the result of the run.
        metrics: the metrics to compute.
        workers: processes.
        progress: called after each image.
        again: whether stored sums are ignored, and a damaged file is replaced.

    Returns: the sums of the run, and the metrics that had to be measured.

    Raises DataError if maps or masks are missing, damaged, or not those that the result was counted on. Raises
    UserError before anything is measured if the sums could not be stored.
    """
    maps = Store(home).work(result.key) / PREDICTIONS
    if not maps.is_file():
        raise DataError(
            f"{result.key}: expected its maps in {maps}, found none. Delete {Store(home).path(result.key)} and "
            "reproduce its table to test it again"
        )
    folder = Home(home).dataset(result.identity["dataset"]["name"])
    entries = _entries(folder, result)
    digest, masks = sha256_file(maps), _digest(entry.mask_sha256 for entry in entries)
    store = MetricStore(home)
    stored = None if again else store.get(result.key)
    if stored is not None and (stored.maps, stored.masks, stored.images) != (digest, masks, result.images):
        stored = None
    sums = dict(stored.sums) if stored else {}
    fresh = tuple(metric for metric in metrics if metric not in sums)
    if fresh:
        require_writable(home, f"metrics of {result.key}")
        predictions = read_predictions(maps, binary=True)
        if predictions.images != result.images or {entry.size for entry in entries} != {predictions.shape}:
            raise DataError(f"{maps} holds maps of other images, or of another size, than the result {result.key}")
        jobs = (_Job(folder, *pair, fresh) for pair in zip(entries, predictions.stored, strict=True))
        measurements = []
        with closing(map_in_processes(_measure, jobs, min(workers, len(entries)), DIED)) as outcomes:
            for measurement in outcomes:
                measurements.append(measurement)
                progress(len(measurements), len(entries), result.key)
        _require_the_counts(result, [counted for _, counted in measurements], maps)
        for metric in fresh:
            sums[metric] = np.asarray([measurement[metric.name] for measurement, _ in measurements], dtype=np.float64)
        store.put(MeasuredRun(result.key, result.images, digest, masks, sums))
    return MeasuredRun(result.key, result.images, digest, masks, sums), fresh


def _entries(folder: Path, result: Result) -> list[Entry]:
    """Return the prepared pairs of the test images, in the order of the result.

    Raises DataError if some are missing.
    """
    name = result.identity["dataset"]["name"]
    by_stem = {entry.stem: entry for entry in load_manifest(folder, name).entries}
    if missing := [stem for stem in result.images if stem not in by_stem]:
        raise DataError(
            f"{result.key}: {len(missing)} of its {len(result.images)} test images are not in {folder} "
            f"({missing[0]}, ...): prepare the data it was made on"
        )
    return [by_stem[stem] for stem in result.images]


def _measure(job: _Job) -> _ImageMeasurement:
    truth = read_mask(job.folder, job.entry)  # [H, W]
    prediction = np.unpackbits(job.packed, axis=-1, count=truth.shape[1])  # [H, W]
    labelled, is_true, is_predicted = truth != IGNORE, truth == 1, prediction == 1
    parts = (is_true & is_predicted, ~is_true & is_predicted, is_true & ~is_predicted, ~is_true & ~is_predicted)
    return object_metrics(truth, prediction, job.metrics), [int((part & labelled).sum()) for part in parts]


def _require_the_counts(result: Result, counted: Sequence[list[int]], maps: Path) -> None:
    stored = np.stack([getattr(result.counts, part)[:, 0] for part in ("tp", "fp", "fn", "tn")], axis=1)
    pairs = zip(result.images, counted, stored.tolist(), strict=True)
    if wrong := [name for name, ours, theirs in pairs if ours != theirs]:
        raise DataError(
            f"{maps} and the prepared masks do not give the counts of the result {result.key} on {len(wrong)} images "
            f"({wrong[0]}, ...): one of the three was changed since. Nothing was stored"
        )


def _digest(digests: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def read_measured(home: Path, keys: Iterable[str]) -> tuple[dict[str, MeasuredRun], tuple[str, ...]]:
    """Return the stored sums of these runs by key, and a sentence for each file that cannot be used."""
    store, measured, damaged = MetricStore(home), {}, []
    for key in keys:
        try:
            if (stored := store.get(key)) is not None:
                measured[key] = stored
        except ResultDamaged as error:
            # Only the name: a report may be passed on, and the folder of this machine is private.
            damaged.append(str(error).replace(f"{home}/", ""))
    return measured, tuple(damaged)
