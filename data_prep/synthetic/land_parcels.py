"""Plan invented country and town at two metres a pixel: plots of land, their use, and the buildings on them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_prep.synthetic.drawing import ASPHALT, CROPS, CROWNS, SOIL, Corners, box, noise, split_fields
from rssam.contract import Colour

BUILDING, ROAD, PAVEMENT, VEGETATION, BARE_SOIL, WATER = range(6)

YARDS = (*ASPHALT, (150, 148, 142), (168, 164, 156), (142, 134, 124))


@dataclass(frozen=True)
class Use:
    """Use of a plot of land: its cover, its tints, and how rough it looks."""

    cover: int
    tints: Sequence[Colour]
    coarse: float  # deviation of brightness over tens of pixels
    fine: float  # over a few pixels
    furrowed: bool = False


CROP = Use(VEGETATION, CROPS, 6, 4, furrowed=True)
WOOD = Use(VEGETATION, CROWNS, 8, 15)
FALLOW = Use(BARE_SOIL, SOIL, 9, 3, furrowed=True)
PONDS = Use(BARE_SOIL, SOIL, 5, 4)
COUNTRY = (CROP, CROP, CROP, WOOD, WOOD, FALLOW, FALLOW, PONDS)

SLABS = Use(PAVEMENT, YARDS, 7, 5)
VILLAGE = Use(PAVEMENT, YARDS, 8, 6)
WORKS = Use(PAVEMENT, YARDS, 6, 3)
SQUARE = Use(PAVEMENT, YARDS, 5, 4)
PARK = Use(VEGETATION, CROPS[:3] + CROWNS, 9, 10)
SITE = Use(BARE_SOIL, (*SOIL, (176, 160, 136)), 12, 6)
TOWN = (SLABS, SLABS, SLABS, VILLAGE, VILLAGE, WORKS, WORKS, SQUARE, PARK, SITE)


@dataclass(frozen=True)
class Plot:
    """Rectangle of land: its corners [4, 2] (x, y) in pixels, and its use."""

    corners: NDArray[np.float64]
    use: Use

    @property
    def sides(self) -> tuple[float, float, float]:
        """Return the length of the longer side, that of the shorter one, and the heading of the longer in radians."""
        first, second = self.corners[1] - self.corners[0], self.corners[3] - self.corners[0]
        long, short = sorted((first, second), key=lambda side: -float(np.hypot(*side)))
        return float(np.hypot(*long)), float(np.hypot(*short)), math.atan2(long[1], long[0])


def plan_plots(size: int, rng: np.random.Generator) -> list[Plot]:
    """Return the plots: town where smooth noise is high, country elsewhere, often both in one scene."""
    town, level = noise(size, rng, (128, 64)), rng.uniform(-1.2, 0.5)
    plots = []
    for corners in split_fields(size, rng, smallest=34):
        column, row = corners.mean(axis=0).clip(0, size - 1).astype(int)
        uses = TOWN if town[row, column] > level else COUNTRY
        plots.append(Plot(corners, uses[int(rng.integers(len(uses)))]))
    return plots


def ground_plans(rng: np.random.Generator, plot: Plot) -> Iterator[tuple[Corners, float]]:
    """Yield the buildings that the use of a plot brings: corners, and height as pixels of shadow."""
    wide, deep, heading = plot.sides
    if plot.use is SLABS:
        long, short, gap_beside, gap_behind, likely = rng.uniform(14, 32), rng.uniform(6, 9), 4.0, 5.0, 0.97
        height = rng.uniform(2, 5)
    elif plot.use is VILLAGE:
        long, short, gap_beside, gap_behind, likely = rng.uniform(6, 10), rng.uniform(6, 9), 1.5, 2.0, 0.9
        height = 1.5
    elif plot.use is WORKS:
        long, short, gap_beside, gap_behind, likely = rng.uniform(24, 50), rng.uniform(16, 32), 5.0, 6.0, 0.95
        height = 2.0
    elif plot.use is PARK:
        long, short, gap_beside, gap_behind, likely = rng.uniform(8, 12), rng.uniform(8, 10), 16.0, 18.0, 0.5
        height = rng.uniform(5, 8)
    else:
        return
    along, across = np.array([math.cos(heading), math.sin(heading)]), np.array([-math.sin(heading), math.cos(heading)])
    columns = max(1, int((wide - 8 + gap_beside) / (long + gap_beside)))
    rows = max(1, int((deep - 8 + gap_behind) / (short + gap_behind)))
    for i, j in np.ndindex(columns, rows):
        if rng.random() < likely:
            place = ((i + 0.5) / columns - 0.5) * (wide - 8) * along + ((j + 0.5) / rows - 0.5) * (deep - 8) * across
            size = long / 2 * rng.uniform(0.8, 1.0), short / 2 * rng.uniform(0.85, 1.0)
            yield box(plot.corners.mean(axis=0) + place, *size, heading), height
