"""Plan invented street networks: curved country roads with junctions and districts of parallel streets."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STEP = 12.0
"""Pixels between the points of a street."""

MARGIN = 40.0
"""Pixels a street runs on past the border, so that its end is never seen there."""


@dataclass(frozen=True)
class Street:
    """Centre line of a street as points [N, 2] (x, y) in pixels, with its full width in pixels."""

    points: NDArray[np.float64]
    width: float
    paved: bool


def street_network(size: int, rng: np.random.Generator, urban: float) -> list[Street]:
    """Return the streets of a square scene of `size` pixels; `urban` in 0..1 moves it from farmland to suburb."""
    streets = [_through_road(size, rng, urban) for _ in range(1 + int(rng.random() < 0.6))]
    if rng.random() < 0.25 + 0.75 * urban:
        streets += _district(size, rng, urban)
    for _ in range(round(rng.integers(5, 13) * size / 1024)):
        _add_side_road(streets, size, rng, urban)
    return streets


def _through_road(size: int, rng: np.random.Generator, urban: float) -> Street:
    """Return a road that runs from border to border."""
    angle = rng.uniform(0, 2 * math.pi)
    middle = rng.uniform(0.2, 0.8, 2) * size
    onward, back = (_march(middle, angle + turn, size, rng, bend=0.02) for turn in (0, math.pi))
    points = np.concatenate([back[:0:-1], onward])
    wide = rng.random() < 0.25 + 0.4 * urban
    width = rng.uniform(13, 22) if wide else rng.uniform(7, 12)
    return Street(points, width, paved=wide or rng.random() < 0.7)


def _add_side_road(streets: list[Street], size: int, rng: np.random.Generator, urban: float) -> None:
    """Add a narrow road that leaves an existing one and ends in a field, at another road or at the border."""
    parent = streets[rng.integers(len(streets))]
    inside = np.flatnonzero(((parent.points > 0) & (parent.points < size)).all(axis=1))
    if len(inside) < 4:
        return
    junction = int(inside[rng.integers(1, len(inside) - 1)])
    along = parent.points[min(junction + 1, len(parent.points) - 1)] - parent.points[junction - 1]
    angle = math.atan2(along[1], along[0]) + rng.choice([-1, 1]) * (math.pi / 2 + rng.normal(0, 0.25))
    existing = np.concatenate([street.points for street in streets])
    length = math.inf if rng.random() < 0.7 else rng.uniform(0.1, 0.45) * size
    points = _march(parent.points[junction], angle, size, rng, bend=0.035, length=length, joins=existing)
    if len(points) >= 5:
        streets.append(Street(points, rng.uniform(2, 10), paved=rng.random() < 0.15 + 0.8 * urban))


def _district(size: int, rng: np.random.Generator, urban: float) -> list[Street]:
    """Return parallel streets with a few cross streets, turned and slightly warped as one."""
    angle = rng.uniform(0, math.pi)
    half = rng.uniform(0.15, 0.25 + 0.3 * urban) * size
    centre = rng.uniform(0.2, 0.8, 2) * size
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    bow = rng.normal(0, 0.12) / half
    width = rng.uniform(5, 10)
    streets = []
    for axis, low, high in ((0, 75, 130), (1, 180, 340)):
        offset = -half + rng.uniform(0, low)
        while offset < half:
            ends = -half * rng.uniform(0.6, 1.0), half * rng.uniform(0.6, 1.0)
            along = np.arange(*ends, STEP)
            flat = np.stack([along, np.full_like(along, offset)], axis=1)
            flat = flat if axis == 0 else flat[:, ::-1]
            warped = flat + np.stack([np.zeros(len(flat)), bow * flat[:, 0] ** 2], axis=1)
            if len(along) > 3:
                streets.append(Street(warped @ turn + centre, width * rng.uniform(0.8, 1.2), paved=True))
            offset += rng.uniform(low, high)
    return streets


def _march(
    start: NDArray[np.float64],
    angle: float,
    size: int,
    rng: np.random.Generator,
    *,
    bend: float,
    length: float = math.inf,
    joins: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Walk from `start` with slowly changing curvature until the border, `length`, or a point of `joins` is reached.

    `bend` is the deviation of the heading a step, in radians.
    """
    points = [start]
    curvature = 0.0
    for step in range(int(min(length, 3.0 * size) / STEP)):
        curvature = 0.85 * curvature + rng.normal(0, bend * 0.5)
        angle += curvature
        point = points[-1] + STEP * np.array([math.cos(angle), math.sin(angle)])
        points.append(point)
        if not ((point > -MARGIN) & (point < size + MARGIN)).all():
            break
        if joins is not None and step > 4:
            distance = np.hypot(*(joins - point).T)
            if distance.min() < STEP:
                points.append(joins[distance.argmin()])
                break
    return np.stack(points)
