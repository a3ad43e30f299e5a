"""Number the units that intervals over a test set rest on: its scenes where they are recorded, else its images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.metrics.counts import Counts, IntArray
from benchmarks.results.counted_test import CountedTest
from reports.formatting import plural
from reports.statistics.jackknife import FEWEST_UNITS, Jackknife, effective_needed, jackknife_dice


@dataclass(frozen=True, eq=False)
class Units:
    """Units of some tests together: the number of its unit for each image."""

    number: Mapping[str, int]
    count: int
    known: bool  # whether scenes were looked for

    @property
    def scenes(self) -> bool:
        """Return whether some unit is a scene of several images."""
        return self.count < len(self.number)

    @property
    def noun(self) -> str:
        """Return the name of a unit."""
        return "test scene" if self.scenes else "test image"

    def owners(self, tests: Sequence[CountedTest]) -> list[IntArray]:
        """Return the number of the unit of each image, int [images], by test."""
        return [np.array([self.number[image] for image in test.images], dtype=np.int64) for test in tests]

    def dice(self, tests: Sequence[CountedTest]) -> tuple[Jackknife, ...]:
        """Estimate the mean over the tests of the Dice of each class, and last of the Dice of the whole.

        Units that hold none of their images do not count.
        """
        return jackknife_dice([test.counts for test in tests], self.owners(tests), self.count)


@dataclass(frozen=True)
class Interval:
    """The 95 % interval of a score over its test units, as `count_interval` and `dice_interval` return it.

    Attributes:
        low: lower limit in 0..1; NaN if there is no interval.
        high: upper limit in 0..1; NaN if there is no interval.
        units: what it rests on, images or scenes with something to score, in words: "934 test images".
        scenes: whether a unit is a scene of several images.
        why: why there is no interval; empty if there is one.

    Examples:
        >>> import numpy as np
        >>> from benchmarks import count_masks
        >>> from reports import count_interval
        >>> mask = np.ones((2, 2), int)
        >>> count_interval(count_masks([mask] * 25, [mask] * 25)).why
        '25 test images, all alike, so they show no spread'
    """

    low: float
    high: float
    units: str
    scenes: bool
    why: str


def number_units(tests: Sequence[CountedTest]) -> Units:
    """Return the units of all images of some tests.

    A scene that one test recorded holds for all. An image without a recorded scene is a unit by itself, named like a
    scene after the image.
    """
    scene_of: dict[str, str] = {}
    for test in tests:
        scenes = test.data.get("test_scenes")
        if isinstance(scenes, list) and len(scenes) == len(test.images):
            scene_of |= dict(zip(test.images, map(str, scenes), strict=True))
    images = sorted({image for test in tests for image in test.images})
    place = {name: index for index, name in enumerate(dict.fromkeys(scene_of.get(image, image) for image in images))}
    looked_for = bool(scene_of) or all("train_neighbours" in test.data for test in tests)
    return Units({image: place[scene_of.get(image, image)] for image in images}, len(place), looked_for)


def interval(estimate: Jackknife, units: Units) -> Interval:
    """Return the interval of one estimate over these units, or why there is none."""
    low, high = estimate.interval
    number = f"{estimate.units:,} {plural(estimate.units, units.noun)}"
    why = lacking(estimate, units, FEWEST_UNITS, "an interval")
    if not why and math.isnan(low):
        why = f"{number}, all alike, so they show no spread" if estimate.alike else "no score"
    return Interval(low, high, number, units.scenes, why)


def lacking(estimate: Jackknife, units: Units, fewest: int, wanted: str) -> str:
    """Return why units are too few or too unequal for what is wanted, an interval or a test; otherwise empty.

    Args:
        estimate: the score over the units.
        units: of the test.
        fewest: units that are needed.
        wanted: the name of what is wanted.
    """
    if estimate.suffices(fewest):
        return ""
    number = f"{estimate.units} {plural(estimate.units, units.noun)}"
    if estimate.units < fewest:
        return f"{number} with something to score, where {wanted} takes {fewest}"
    equal = math.floor(estimate.effective)
    return (
        f"{number}, but so unequal that they tell as much as {equal} equal {plural(equal, 'one')}, where {wanted} "
        f"takes {effective_needed(fewest)}"
    )


def dice_interval(test: CountedTest) -> Interval:
    """Return the 95 % interval of the Dice of a finished run, by the jackknife over its test scenes or images.

    Scenes are taken if the run recorded them, otherwise images. The Dice is that of `test.scores`. The interval covers
    which images were tested, not the luck of split and training.

    Args:
        test: a `benchmarks.Result`, such as `outcome.result`. For masks of other origin see `count_interval`.

    Returns:
        The interval; NaN with the reason in `why` if units are fewer than 20, too unequal or all alike.

    Examples:
        The run of docs/python.md has too few test images for an interval:

        >>> from benchmarks import fine_tune
        >>> from reports import dice_interval
        >>> outcome = fine_tune("roads", profile="demo", home="example", progress=False)
        >>> dice_interval(outcome.result).why
        '1 test image with something to score, where an interval takes 20'
    """
    units = number_units([test])
    return interval(units.dice([test])[-1], units)


def count_interval(counts: Counts, scenes: Sequence[str] | None = None) -> Interval:
    """Return the 95 % interval of the Dice of counts, by the jackknife over images or scenes.

    The Dice is pooled over the images and averaged over the classes in truth or prediction, as `benchmarks.scores`
    computes it. It is no mean over images.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 11; see docs/numbers.md.

    Args:
        counts: of every image, as `benchmarks.count_masks` gives them.
        scenes: the scene of each image, because tiles of one scene err alike; every image by itself if None.

    Returns:
        The interval, limits in 0..1; NaN with the reason in `why` if units are fewer than 20, too unequal or all alike.

    Raises:
        ValueError: There are not as many scenes as images.

    Examples:
        Forty images of four pixels; in every fourth image one pixel is missed:

        >>> import numpy as np
        >>> from benchmarks import count_masks
        >>> from reports import count_interval
        >>> truth = np.ones((2, 2), int)
        >>> missed = np.array([[1, 1], [1, 0]])
        >>> counts = count_masks([truth] * 40, [missed, truth, truth, truth] * 10)
        >>> found = count_interval(counts)
        >>> round(found.low, 3), round(found.high, 3), found.units
        (0.949, 0.986, '40 test images')
        >>> count_interval(count_masks([truth], [missed])).why
        '1 test image with something to score, where an interval takes 20'
    """
    named = [str(number) for number in range(counts.images)] if scenes is None else [*map(str, scenes)]
    if len(named) != counts.images:
        raise ValueError(f"expected the scene of each of {counts.images} images, found {len(named)}")
    place = {name: number for number, name in enumerate(dict.fromkeys(named))}
    units = Units({str(image): place[name] for image, name in enumerate(named)}, len(place), scenes is not None)
    owners = np.array([place[name] for name in named], dtype=np.int64)
    return interval(jackknife_dice([counts], [owners], len(place))[-1], units)
