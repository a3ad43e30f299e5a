"""Plan invented suburbs: slightly bent parallel streets, and the lots along them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_prep.synthetic.drawing import box
from data_prep.synthetic.streets import Street

Vector = NDArray[np.float64]

LARGEST_HOME = 100.0
"""Width of a lot in pixels beyond which it holds a hall with a car park."""


@dataclass(frozen=True)
class Lot:
    """Piece of ground on a street: the middle of its front and its size in pixels."""

    front: Vector
    heading: float  # of the street, with the lot on its left
    wide: float
    deep: float
    drive: int  # -1 or 1: the side of the drive

    def at(self, along: float, inward: float) -> Vector:
        """Return the point `along` pixels beside the middle and `inward` pixels behind the front."""
        c, s = math.cos(self.heading), math.sin(self.heading)
        return self.front + along * np.array([c, s]) + inward * np.array([-s, c])

    def area(self, along: float, inward: float, long: float, deep: float) -> list[tuple[float, float]]:
        """Return the corners of a rectangle of half sizes `long` and `deep` around the point of `at`."""
        return box(self.at(along, inward), long, deep, self.heading)

    def outline(self, margin: float = 0.0) -> list[tuple[float, float]]:
        """Return the corners of the whole lot, or of what lies `margin` pixels inside."""
        return self.area(0, self.deep / 2, self.wide / 2 - margin, self.deep / 2 - margin)


def suburb(size: int, rng: np.random.Generator) -> tuple[list[Street], list[Lot]]:
    """Return slightly bent parallel streets with lots on both sides, and a street or two across."""
    turn = rng.uniform(0, math.pi)
    axes = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    bow, half = rng.normal(0, 0.15) / size, 0.8 * size

    def place(u: float, v: float) -> Vector:
        spot: Vector = np.array([u, v + bow * u * u]) @ axes + size / 2
        return spot

    pitch, width = rng.uniform(150, 200), rng.uniform(20, 32)
    streets, lots = [], []
    for v in np.arange(-half + rng.uniform(0, pitch), half, pitch):
        streets.append(Street(np.array([place(u, v) for u in np.arange(-half, half, 24)]), width, paved=True))
        for side in (1, -1):
            u = -half
            while u < half:
                wide = rng.uniform(120, 190) if rng.random() < 0.12 else rng.uniform(48, 76)
                middle = u + wide / 2
                tangent = place(middle + 1, v) - place(middle - 1, v)
                heading = math.atan2(side * tangent[1], side * tangent[0])
                front = place(middle, v + side * (width / 2 + 8))
                drive = int(rng.choice([-1, 1]))
                lots.append(Lot(front, heading, wide, (pitch - width) / 2 - 8, drive))
                u += wide
    for u in rng.uniform(-half, half, rng.integers(1, 3)):
        streets.append(Street(np.array([place(u, v) for v in np.arange(-half, half, 24)]), width, paved=True))
    return streets, lots
