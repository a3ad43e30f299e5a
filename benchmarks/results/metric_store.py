"""Store the object metrics of a run: HOME/metrics/<key>.json, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.metrics.counts import FloatArray
from benchmarks.metrics.object_metrics import METRICS, ObjectMetric, parameters, with_parameters
from benchmarks.results.home import Home
from benchmarks.results.json_files import decoding, read_keyed, require_schema, write_record
from rssam.kinds import COUNT, LINE, LISTS, OPTION, PLAIN, STEM, WORD, Each

METRICS_SCHEMA = 1
METRICS_KINDS = {
    "schema": COUNT,
    "key": WORD,
    "maps": LINE,
    "masks": LINE,
    "images": [STEM],
    "metrics": [{"name": LINE, "version": COUNT, "parameters": Each(OPTION, PLAIN), "sums": LISTS}],
}


@dataclass(frozen=True, eq=False)
class MeasuredRun:
    """Sums of every test image of one run by metric; a metric with other parameters is another metric."""

    key: str  # of the run
    images: tuple[str, ...]  # stems of the test images
    maps: str  # SHA-256 of the file of predictions that was measured
    masks: str  # SHA-256 over the digests of the truth's files
    sums: Mapping[ObjectMetric, FloatArray] = field(default_factory=dict)  # [images, columns] each

    def to_json(self) -> dict[str, Any]:
        """Return plain values; integers stay integers."""
        metrics = [
            {
                "name": metric.name,
                "version": metric.version,
                "parameters": parameters(metric),
                "columns": list(metric.columns),
                "sums": (sums.astype(np.int64) if metric.integer else sums).tolist(),
            }
            for metric, sums in self.sums.items()
        ]
        head = {"schema": METRICS_SCHEMA, "key": self.key, "maps": self.maps, "masks": self.masks}
        return {**head, "images": list(self.images), "metrics": metrics}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> MeasuredRun:
        """Read the sums that this version still measures so; others are left out, to be measured again.

        Raises ResultDamaged if a part is missing, malformed, or of another format.
        """
        require_schema(raw, METRICS_SCHEMA, "metrics")
        with decoding(raw, METRICS_KINDS):
            images = tuple(raw["images"])
            sums = {}
            for stored in raw["metrics"]:
                declared = METRICS.get(stored["name"])
                if declared is None or declared.version != stored["version"]:
                    continue
                metric = with_parameters(stored["name"], stored["parameters"])
                sums[metric] = _table(stored["sums"], metric, len(images))
            return cls(raw["key"], images, raw["maps"], raw["masks"], sums)


@dataclass(frozen=True)
class MetricStore:
    """Store of the metrics below a home folder."""

    home: Path

    def get(self, key: str) -> MeasuredRun | None:
        """Return the sums of that run, or None. Raises ResultDamaged, naming the file, if it cannot be used."""
        path = Home(self.home).metrics(key)
        return read_keyed(path, MeasuredRun.from_json) if os.path.lexists(path) else None

    def put(self, measured: MeasuredRun) -> None:
        """Write the sums down to the disk; a reader sees all of them or nothing."""
        write_record(Home(self.home).metrics(measured.key), measured.to_json(), allow_nan=False)


def _table(rows: Any, metric: ObjectMetric, images: int) -> FloatArray:
    """Return sums [images, columns]. Raises ValueError if they do not fit the metric."""
    sums = np.asarray(rows)
    if sums.shape != (images, len(metric.columns)) or sums.dtype.kind not in ("i" if metric.integer else "if"):
        kind = "integers" if metric.integer else "numbers"
        raise ValueError(f"{metric.name} needs {len(metric.columns)} {kind} for each of {images} images")
    if not np.isfinite(sums).all() or (sums < 0).any():
        raise ValueError(f"the sums of {metric.name} cannot be negative or infinite")
    return sums.astype(np.float64)
