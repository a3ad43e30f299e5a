"""Resample the test images of a score (bootstrap): percentile intervals and p-values. Arrays in, numbers out.

This covers which images were tested, or which scenes of new imagery, and not the luck of split and training:
`reports.statistics.replicates` does that, and corrects for many tests at once.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.metrics.counts import Average, Counts, FloatArray, IntArray
from benchmarks.metrics.quotient import quotient
from reports.statistics.replicates import LEVEL, LEVEL_TEXT

DRAWS = 10_000
BLOCK = 1_000_000
"""Weights drawn at once: 8 MB."""

RESAMPLES = f"{LEVEL_TEXT} of {DRAWS:,} resamples"
"""For sentences on intervals: "hold 95 % of 10,000 resamples of the test images"."""


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
    """Return pooled Dice of resampled test sets, float [systems, draws].

    Args:
        systems: see `resampled_class_dice`.
        average: under "classes" Dice is the mean over the classes present in a draw.
        clusters: see `resampled_class_dice`.
        draws: see there.
        seed: see there.

    Raises:
        ValueError: the average is "foreground" for several classes.
    """
    drawn = resampled_class_dice(systems, clusters=clusters, draws=draws, seed=seed)
    if average == "foreground" and drawn.shape[1] != 1:
        raise ValueError(f'the average "foreground" needs one class, these counts have {drawn.shape[1]}')
    return mean_over_classes(drawn)


def mean_over_classes(scores: FloatArray) -> FloatArray:
    """Return means over the second axis, the classes, without those that are NaN; NaN where all are.

    From [systems, classes, draws] to [systems, draws], from [images, classes] to [images].
    """
    present = ~np.isnan(scores)
    sums, numbers = np.where(present, scores, 0).sum(axis=1), present.sum(axis=1)
    return quotient(sums, numbers)


def image_places(image_lists: Sequence[Sequence[str]]) -> tuple[list[str], list[IntArray]]:
    """Return the images of several test sets, sorted and each once, and where those of each test set stand there.

    For `places` of `resampled` and `resampled_class_dice`.
    """
    images = sorted({image for listed in image_lists for image in listed})
    index = {image: number for number, image in enumerate(images)}
    return images, [np.array([index[image] for image in listed], dtype=np.int64) for listed in image_lists]


def resampled_class_dice(
    systems: Sequence[Counts],
    *,
    clusters: Sequence[str] | None = None,
    places: Sequence[IntArray] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> FloatArray:
    """Return Dice of each class pooled over resampled test sets, float [systems, classes, draws].

    A test set of n images gives n images drawn with replacement. Draw k takes the same images for every system, and
    for every call with as many images and the same seed: so rows may be subtracted. A class absent from a draw's
    prediction and truth is NaN. Sums are of integers, exact in float64.

    Args:
        systems: counts of each system, [images, classes].
        clusters: the scene of each image; with it whole scenes are drawn, as many as there are.
        places: where the images of each system stand in one list of images that a draw takes from, if systems were
            counted on different parts of it (see `image_places`).
        draws: number of resampled test sets.
        seed: of the draws.

    Raises:
        ValueError: the systems do not agree on images and classes.
    """
    shapes = {counts.tp.shape for counts in systems}
    if len(shapes) != 1 and (places is None or len({classes for _, classes in shapes}) != 1):
        raise ValueError(f"systems compared need counts of the same images and classes, found {sorted(shapes)}")
    tables = []  # of each system [images, 2 * classes]: numerators and denominators of Dice
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
    """Return a score of resampled test sets, float [systems, draws, values], for anything that has sums of each image.

    Args:
        tables: sums of each system, [images, columns].
        score: computes values [..., values] from pooled sums [..., columns].
        clusters: see `resampled_class_dice`; with the same images and seed the same images are drawn.
        places: see there.
        draws: see there.
        seed: see there.
    """
    places = [np.arange(len(table)) for table in tables] if places is None else places
    images = max((int(place.max()) + 1 for place in places if place.size), default=0)
    if images == 0:
        raise ValueError("no test image to resample")
    owner = np.arange(images) if clusters is None else _owners(clusters, images)
    units = int(owner.max()) + 1
    by_place: dict[bytes, list[int]] = defaultdict(list)  # systems counted on the same images share their sums
    for system, place in enumerate(places):
        by_place[place.tobytes()].append(system)
    summed = [
        (*_summed([tables[system] for system in alike], owner[places[alike[0]]]), alike) for alike in by_place.values()
    ]
    generator = np.random.default_rng(seed)
    drawn: FloatArray | None = None
    block = max(1, BLOCK // units)
    for start in range(0, draws, block):
        count = min(block, draws - start)
        chosen = generator.integers(0, units, (count, units), dtype=np.int32)
        flat = (chosen + units * np.arange(count)[:, None]).ravel()
        weights = np.bincount(flat, minlength=count * units).reshape(count, units)
        for own_units, table, alike in summed:
            own_weights = weights if len(own_units) == units else weights[:, own_units]
            sums = (own_weights.astype(np.float64) @ table).reshape(count, len(alike), -1)  # [draws, systems, columns]
            values = score(sums)
            if drawn is None:
                drawn = np.empty((len(tables), draws, values.shape[-1]))
            drawn[alike, start : start + count] = values.swapaxes(0, 1)
    assert drawn is not None
    return drawn


def interval(draws: FloatArray, level: float = LEVEL) -> Interval:
    """Return the percentile interval of one system's draws, float [draws]; NaN where no draw has a score.

    Draws without a score (no class in truth or prediction) are left out and counted in `undefined`.
    """
    defined = draws[~np.isnan(draws)]
    undefined = draws.size - defined.size
    if not defined.size:
        return Interval(math.nan, math.nan, undefined)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), undefined)


def resampling_p(differences: FloatArray) -> float:
    """Return the two-sided p of "no difference" from the draws of a difference, [draws]; at least 2 / (draws + 1).

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
    """The units that these images belong to, and the sums of each unit, [units, systems * columns]."""
    side_by_side = np.concatenate(tables, axis=1)
    units, where = np.unique(owner, return_inverse=True)
    sums = np.zeros((len(units), side_by_side.shape[1]))
    np.add.at(sums, where, side_by_side)
    return units, sums
