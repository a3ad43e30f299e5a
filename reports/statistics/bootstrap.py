"""Intervals, spreads and tests of scores, from integer counts and from replicates. Arrays in, numbers out.

Three sources of doubt are kept apart, because each answers another question:
- which images were tested: bootstrap over test images (`resampled_dice`), or over whole scenes for new imagery;
- luck of split and training: spread and t over replicates (`pooled_spread`, `tolerance`, `contrast`);
- many questions at once: Holm's family (`holm`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.metrics.counts import Average, Counts, FloatArray, IntArray
from benchmarks.metrics.quotient import quotient
from reports.statistics.replicates import LEVEL

DRAWS = 10_000
BLOCK = 1_000_000
"""Weights drawn at once: 8 MB."""


@dataclass(frozen=True)
class Interval:
    """A percentile interval; `undefined` draws had no score and are left out."""

    low: float
    high: float
    undefined: int = 0


def resampled_dice(
    systems: Sequence[Counts],
    average: Average,
    *,
    clusters: Sequence[str] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> FloatArray:
    """Pooled Dice of resampled test sets, float [systems, draws]; see `resampled_class_dice`.

    Under "classes" the mean over the classes present in that draw. Raises ValueError if "foreground" is asked of
    several classes.
    """
    drawn = resampled_class_dice(systems, clusters=clusters, draws=draws, seed=seed)
    if average == "foreground" and drawn.shape[1] != 1:
        raise ValueError(f'the average "foreground" needs one class, these counts have {drawn.shape[1]}')
    return mean_over_classes(drawn)


def mean_over_classes(drawn: FloatArray) -> FloatArray:
    """Mean over the classes present in each draw, [systems, classes, draws] to [systems, draws]; NaN if none is."""
    present = ~np.isnan(drawn)
    sums, numbers = np.where(present, drawn, 0).sum(axis=1), present.sum(axis=1)
    return quotient(sums, numbers)


def resampled_class_dice(
    systems: Sequence[Counts],
    *,
    clusters: Sequence[str] | None = None,
    places: Sequence[IntArray] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> FloatArray:
    """Dice of each class pooled over resampled test sets, float [systems, classes, draws].

    A test set of n images gives n images drawn with replacement; with `clusters` (the scene of each image), as many
    whole scenes as there are. Draw k takes the same images for every system, and for every call with as many images
    and the same seed: so rows may be subtracted. With `places`, systems may be counted on different parts of one list
    of images: `places[i][j]` is where image j of system i stands in it, each image of the list stands in one of them
    at least, and a draw takes from the whole list. A class absent from a draw's prediction and truth is NaN. Sums are
    of integers, exact in float64. Raises ValueError if the systems do not agree on images and classes.
    """
    shapes = {counts.tp.shape for counts in systems}
    if len(shapes) != 1 and (places is None or len({classes for _, classes in shapes}) != 1):
        raise ValueError(f"systems compared need counts of the same images and classes, found {sorted(shapes)}")
    tables = []  # [images, 2 * classes] each: above and below the stroke of Dice
    for counts in systems:
        doubled = 2 * counts.tp
        tables.append(np.concatenate([doubled, doubled + counts.fp + counts.fn], axis=1))
    drawn = resampled(tables, _dice, clusters=clusters, places=places, draws=draws, seed=seed)
    return drawn.swapaxes(1, 2)


def resampled(
    tables: Sequence[IntArray | FloatArray],
    score: Callable[[FloatArray], FloatArray],
    *,
    clusters: Sequence[str] | None = None,
    places: Sequence[IntArray] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> FloatArray:
    """A score of resampled test sets, float [systems, draws, values], for anything that has sums of each image.

    `tables` are sums [images, columns] of each system, and `score` makes values [..., values] of pooled sums
    [..., columns]. What is drawn is as for `resampled_class_dice`, and the same for the same images and seed.
    """
    places = [np.arange(len(table)) for table in tables] if places is None else places
    images = max((int(place.max()) + 1 for place in places if place.size), default=0)
    if images == 0:
        raise ValueError("no test image to resample")
    owner = np.arange(images) if clusters is None else _owners(clusters, images)
    units = int(owner.max()) + 1
    parts: dict[bytes, list[int]] = defaultdict(list)
    for number, place in enumerate(places):
        parts[place.tobytes()].append(number)
    summed = [
        (*_summed([tables[number] for number in alike], owner[places[alike[0]]]), alike) for alike in parts.values()
    ]
    generator = np.random.default_rng(seed)
    drawn: FloatArray | None = None
    block = max(1, BLOCK // units)
    for start in range(0, draws, block):
        here = min(block, draws - start)
        chosen = generator.integers(0, units, (here, units), dtype=np.int32)
        flat = (chosen + units * np.arange(here)[:, None]).ravel()
        weights = np.bincount(flat, minlength=here * units).reshape(here, units)
        for of, table, alike in summed:
            mine = weights if len(of) == units else weights[:, of]
            sums = (mine.astype(np.float64) @ table).reshape(here, len(alike), -1)  # [draws, systems, columns]
            values = score(sums)
            if drawn is None:
                drawn = np.empty((len(tables), draws, values.shape[-1]))
            drawn[alike, start : start + here] = values.swapaxes(0, 1)
    assert drawn is not None
    return drawn


def interval(draws: FloatArray, level: float = LEVEL) -> Interval:
    """Percentile interval of one system's draws, float [draws]; NaN where no draw has a score.

    Draws without a score (no class in truth or prediction) are left out and counted in `undefined`.
    """
    defined = draws[~np.isnan(draws)]
    undefined = draws.size - defined.size
    if not defined.size:
        return Interval(math.nan, math.nan, undefined)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), undefined)


def resampling_p(differences: FloatArray) -> float:
    """Two-sided p of "no difference" from the draws of one, float [draws]; at least 2 / (draws + 1).

    Twice the smaller share of draws on one side of 0, a draw of exactly 0 on both; NaN draws are left out.
    """
    defined = differences[~np.isnan(differences)]
    if not defined.size:
        return math.nan
    smaller = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    return min(1.0, 2 * (smaller + 1) / (defined.size + 1))


def _owners(clusters: Sequence[str], images: int) -> IntArray:
    """The number of each image's cluster, in the order of their names."""
    if len(clusters) != images:
        raise ValueError(f"each of {images} images needs its cluster, found {len(clusters)}")
    owner: IntArray = np.unique(np.asarray(clusters), return_inverse=True)[1]
    return owner


def _dice(sums: FloatArray) -> FloatArray:
    """Dice [..., classes] of sums [..., 2 * classes]; NaN where a class is in neither truth nor prediction."""
    above, below = np.split(sums, 2, axis=-1)
    return quotient(above, below)


def _summed(tables: Sequence[IntArray | FloatArray], owner: IntArray) -> tuple[IntArray, FloatArray]:
    """Which units these images belong to, and the sums of each, [units, systems * columns]."""
    side_by_side = np.concatenate(tables, axis=1)
    units, where = np.unique(owner, return_inverse=True)
    sums = np.zeros((len(units), side_by_side.shape[1]))
    np.add.at(sums, where, side_by_side)
    return units, sums
