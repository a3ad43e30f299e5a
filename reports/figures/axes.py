"""Make the axes of a chart: round ticks, and the pixel of a value."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

STEPS = (1.0, 2.0, 5.0, 10.0)

FEWEST_TICKS = 3
"""Ticks from which the scale of a logarithmic axis can be read."""


@dataclass(frozen=True)
class Axis:
    """Values `low`..`high` on the pixels `start`..`end`; where `end` is the smaller, values grow upwards."""

    low: float
    high: float
    start: float
    end: float
    marks: tuple[tuple[float, str], ...]  # value and text
    log: bool = False

    @property
    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Return pixel and text of each mark."""
        return tuple((self.at(value), text) for value, text in self.marks)

    def at(self, value: float) -> float:
        """Return the pixel of a value, to a tenth."""
        low, high = self.low, self.high
        if self.log:
            value, low, high = (math.log10(number) for number in (value, low, high))
        return round(self.start + (value - low) / (high - low) * (self.end - self.start), 1)

    def at_known(self, value: float | None) -> float | None:
        """Return the pixel of a value, to a tenth; None for None and NaN."""
        return None if value is None or math.isnan(value) else self.at(value)


def linear(values: Iterable[float], start: float, end: float, count: int = 5) -> Axis:
    """Return an axis over all finite values that begins and ends on a tick.

    Args:
        values: to cover; without a finite value 0 and 1.
        start: pixel of the lowest tick.
        end: pixel of the highest tick.
        count: about how many ticks there are.
    """
    known = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(known), max(known)
    if low == high:
        low, high = low - 0.05, high + 0.05
    step = round_step((high - low) / count)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    marks = [number * step for number in range(first, last + 1)]
    return Axis(marks[0], marks[-1], start, end, tuple((mark, f"{mark:.{decimals}f}") for mark in marks))


def logarithmic(values: Iterable[float], start: float, end: float) -> Axis:
    """Return an axis over all positive values; ticks at round numbers, as fine as it takes to have FEWEST_TICKS."""
    known = [value for value in values if math.isfinite(value) and value > 0] or [1.0]
    low, high = min(known) / 1.25, max(known) * 1.25
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    marks: list[float] = []
    for steps in (STEPS[:3], range(1, 10), np.arange(1, 10, 0.2).round(1).tolist()):
        marks = [mark for power in powers for step in steps if low <= (mark := step * 10.0**power) <= high]
        if len(marks) >= FEWEST_TICKS:
            break
    return Axis(low, high, start, end, tuple((mark, f"{mark:g}") for mark in marks), log=True)


def round_step(rough: float) -> float:
    """Return the least of 1, 2 and 5 times a power of ten that is not below `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in STEPS if step * power >= rough * (1 - 1e-9))
