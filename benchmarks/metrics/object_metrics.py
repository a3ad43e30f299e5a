"""Register the object metrics, beside Dice: which there are, on which data set, and one call for a pair.

A metric gives sums for each image, integers where it has them. Its scores are functions of sums pooled over images. So
the mean over a test set, its interval and a comparison need no pixels any more (`reports.statistics`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics.apls import Apls
from benchmarks.metrics.boundary_iou import BoundaryIou
from benchmarks.metrics.cldice import ClDice
from benchmarks.metrics.counts import FloatArray
from benchmarks.metrics.mask_pair import MaskPair
from benchmarks.metrics.relaxed_f1 import RelaxedF1
from rssam.errors import UnknownName, UserError


class ObjectMetric(Protocol):
    """Metric of two binary masks: a frozen dataclass whose fields are its parameters.

    Attributes:
        name: as the command line and files have it.
        version: raised when the same parameters would now give other sums.
        columns: the name of each of the sums.
        integer: whether sums are integers, and so exact.
        headline: the name of the score that tables show with an interval.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    columns: ClassVar[tuple[str, ...]]
    integer: ClassVar[bool]
    headline: ClassVar[str]

    @property
    def title(self) -> str:
        """Return the title of its headline score, as a column's heading."""

    def sums(self, pair: MaskPair) -> tuple[float, ...]:
        """Return the sums of an image, in the order of `columns`."""

    def scores(self, sums: FloatArray) -> dict[str, FloatArray]:
        """Return scores in 0..1 of sums pooled over images [..., columns]; NaN where there is nothing to score."""


METRICS: dict[str, ObjectMetric] = {metric.name: metric for metric in (RelaxedF1(), ClDice(), Apls(), BoundaryIou())}
"""Each with its default parameters."""

DECLARED: dict[str, tuple[str, ...]] = {"deepglobe": ("relaxed", "cldice", "apls"), "whu": ("boundary_iou",)}
"""Metrics by data set: of roads their place and whether they hang together, of buildings their outline."""


def object_metrics(
    truth: NDArray[np.generic], prediction: NDArray[np.generic], metrics: Sequence[ObjectMetric]
) -> dict[str, tuple[float, ...]]:
    """Compute the sums of one image under each metric, by its name.

    Both are labels [H, W], 1 or True in the foreground; where the truth is 255 neither has any. Raises ValueError if
    their shapes differ.
    """
    pair = MaskPair.from_labels(truth, prediction)
    return {metric.name: metric.sums(pair) for metric in metrics}


def choose_metrics(
    dataset: str, classes: Sequence[str], names: Sequence[str] = (), buffer: int | None = None
) -> tuple[ObjectMetric, ...]:
    """Return the named metrics, or those declared for the data set.

    Args:
        dataset: name of the data set.
        classes: its classes, of which there must be one.
        names: metrics by name; none for those declared.
        buffer: buffer of the relaxed scores in pixels.

    Raises UnknownName for a metric that does not exist. Raises UserError for a data set of several classes, and for a
    buffer without the relaxed scores. The same for a data set without a declaration where no metric is named.
    """
    if unknown := [name for name in names if name not in METRICS]:
        raise UnknownName(f"unknown metric {', '.join(unknown)!r}: choose from {', '.join(METRICS)}")
    if len(classes) > 1:
        raise UserError(f"{dataset} has {len(classes)} classes; the metrics of objects are for one class")
    chosen_names = dict.fromkeys(names or DECLARED.get(dataset, ()))
    if not chosen_names:
        raise UserError(f"no metric is declared for {dataset}: name some with --metric, of {', '.join(METRICS)}")
    metrics = {name: METRICS[name] for name in chosen_names}
    if buffer is not None:
        relaxed = metrics.get(RelaxedF1.name)
        if not isinstance(relaxed, RelaxedF1):
            raise UserError(f"--buffer is for the metric {RelaxedF1.name}, which is not among {', '.join(metrics)}")
        metrics[RelaxedF1.name] = replace(relaxed, buffer=buffer)
    return tuple(metrics.values())


def parameters(metric: ObjectMetric) -> dict[str, Any]:
    """Return the fields of a metric."""
    return asdict(metric)  # type: ignore[call-overload, no-any-return]


def with_parameters(name: str, values: Mapping[str, Any]) -> ObjectMetric:
    """Return the metric of that name with these fields.

    Raises KeyError, TypeError or ValueError if there is no such metric.
    """
    return replace(METRICS[name], **values)  # type: ignore[type-var]
