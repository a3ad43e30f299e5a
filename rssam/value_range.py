"""Decide which values of images become 0 and 255, the bytes that networks are trained on: once for all files.

- 8 bits are taken as they are, and so are whole and real numbers of which a sample lies within 0..255;
- real numbers within 0..1 are taken times 255;
- for all others the range must be declared: by the user, or by the data that a network was trained on.

Files that disagree are refused. A guess for each file would give one scene another map in another file. Imports no
torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rssam.amounts import shortened
from rssam.errors import UserError

PERCENTILES = (2.0, 98.0)
SAMPLE_SIDE = 48
"""Pixels of a window of a sample."""

SHOWN = 10
"""Files that a message lists."""

Triple = tuple[float, float, float]
Place = tuple[int, int, int, int]
"""Top, left, height and width of a window."""


class RangeUnknown(UserError):
    """Values of which nothing says what is black and what is white."""


@dataclass(frozen=True)
class ValueRange:
    """Values that become 0 and 255, for each of the three bands."""

    low: Triple
    high: Triple

    @classmethod
    def alike(cls, low: float, high: float) -> ValueRange:
        """Return one range for all three bands. Raises UserError unless both are finite and `low` is the lower one."""
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise UserError(f"--scale {low:g},{high:g}: expected two numbers MIN,MAX with MIN below MAX")
        with np.errstate(over="ignore"):
            width = np.float32(high) - np.float32(low)  # as `to_bytes` computes
        if not 0 < width < np.inf:
            raise UserError(
                f"--scale {low!r},{high!r}: expected ends that 32 bits tell apart, found equal or infinite ones; "
                "subtract an offset first: gdal_calc.py"
            )
        return cls((low, low, low), (high, high, high))

    @classmethod
    def parsed(cls, text: str) -> ValueRange:
        """Return the range that a user wrote as MIN,MAX. Raises UserError."""
        try:
            low, high = map(float, text.split(","))
        except ValueError as error:
            raise UserError(
                f"--scale {text}: expected 2 numbers with a comma between, such as 0,3000, or auto"
            ) from error
        return cls.alike(low, high)

    @property
    def text(self) -> str:
        """Return the range in words."""
        ranges = [f"{low:g} to {high:g}" for low, high in zip(self.low, self.high, strict=True)]
        return ranges[0] if len(set(ranges)) == 1 else ", ".join(ranges)

    def to_bytes(self, pixels: NDArray[Any]) -> NDArray[np.uint8]:
        """Stretch, clip and round pixels [3, h, w] to bytes; what is no number becomes 0."""
        low = np.asarray(self.low, np.float32)[:, None, None]
        step = 255 / (np.asarray(self.high, np.float32)[:, None, None] - low)
        with np.errstate(over="ignore", invalid="ignore"):
            stretched = (pixels.astype(np.float32) - low) * step
            shown: NDArray[np.uint8] = np.nan_to_num(np.clip(np.rint(stretched), 0, 255)).astype(np.uint8)
        return shown

    def count_outside(self, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> int:
        """Count the values of pixels [3, h, w] that are clipped, where `valid` [h, w]."""
        low, high = (np.asarray(end)[:, None, None] for end in (self.low, self.high))
        return int((((pixels < low) | (pixels > high)) & valid).sum())


BYTES = ValueRange.alike(0, 255)
UNIT = ValueRange.alike(0, 1)


@dataclass(frozen=True, eq=False)
class Sample:
    """Types and values that were seen in a file."""

    name: str
    types: frozenset[str]  # of its bands, as numpy names them
    ends: tuple[float, float] | None  # lowest and highest value; None where nothing has data, or nothing was read
    values: NDArray[np.float64] | None = None  # [3, pixels]; kept for percentiles alone

    @property
    def eight_bits(self) -> bool:
        """Return whether every band has bytes."""
        return self.types == {"uint8"}

    @property
    def text(self) -> str:
        """Return types and values in words."""
        found = "" if self.ends is None else " from {:g} to {:g}".format(*self.ends)
        return f"{self.name} ({' and '.join(sorted(self.types))}{found})"

    def recognised(self) -> ValueRange | Literal["any"] | None:
        """Return the range that the values show; None if they show none, "any" if they would fit every one."""
        if self.eight_bits:
            return BYTES
        if self.ends is None:
            return "any"
        low, high = self.ends
        if low < 0 or high > 255:
            return None
        if any(kind.startswith("float") for kind in self.types) and high <= 1:
            return UNIT if high > 0 else "any"
        return BYTES


@dataclass(frozen=True)
class Decision:
    """Range for all files of a command, and what is said of it; no note where 8 bits stay as they are."""

    range: ValueRange
    note: str | None = None


def sampled_places(size: tuple[int, int], across: int) -> Iterator[Place]:
    """Yield at most `across` times `across` windows of a file of (height, width), in a regular grid."""
    height, width = size
    tops, lefts = (
        sorted({int(place) for place in np.linspace(0, max(side - SAMPLE_SIDE, 0), across)}) for side in size
    )
    for top in tops:
        for left in lefts:
            yield top, left, min(SAMPLE_SIDE, height - top), min(SAMPLE_SIDE, width - left)


def decide(samples: Sequence[Sample], recorded: ValueRange | None = None) -> Decision:
    """Return the range that all files share, or that of the data which a network was trained on.

    Raises RangeUnknown if the files disagree, or if neither their values nor `recorded` say it.

    Args:
        samples: what was seen of each file.
        recorded: the declared range of the training data, for files that have not 8 bits.
    """
    if recorded is not None:
        return _with_recorded(samples, recorded)
    shown = [(sample, range_) for sample in samples if (range_ := sample.recognised()) != "any"]
    unknown = [sample for sample, range_ in shown if range_ is None]
    if unknown:
        raise RangeUnknown(
            "expected values of 8 bits, within 0..255, or real numbers within 0..1, found "
            f"{_listed(unknown)}{_together(unknown)}. {_HOW_TO_SAY}"
        )
    as_bytes, as_unit = ([sample for sample, range_ in shown if range_ == ends] for ends in (BYTES, UNIT))
    if as_bytes and as_unit:
        raise _disagreeing(f"within 0..255 {_listed(as_bytes)}; within 0..1 {_listed(as_unit)}")
    if as_unit:
        return Decision(UNIT, f"values of {_types(as_unit)} within 0..1: 0 and 1 become black and white (--scale)")
    wide = [sample for sample in as_bytes if not sample.eight_bits]
    if not wide:
        return Decision(BYTES)
    return Decision(BYTES, f"values of {_types(wide)} within 0..255 are taken as 8 bits (--scale)")


def percentiles(samples: Sequence[Sample], *, alike: bool = False) -> Decision:
    """Return the 2nd to 98th percentile of each band over the samples of all files, or with `alike` of all bands.

    Pixels that are 0 in all bands are left out: borders of scenes are so, and often not declared as no data.
    """
    read = [sample.values for sample in samples if sample.values is not None]
    values = np.concatenate(read, axis=1) if read else np.zeros((3, 0))
    values = values[:, (values != 0).any(axis=0)]
    if not values.size:
        return Decision(BYTES, "no value of a sample differs from 0: there is nothing to stretch")
    if alike:
        values = np.broadcast_to(values.ravel(), (3, values.size))
    low, high = np.percentile(values, PERCENTILES, axis=1)
    high = np.maximum(high, low + 1e-6 * np.maximum(np.abs(low), 1))  # a band of one value
    chosen = ValueRange(_triple(low), _triple(high))
    ends = f"the {PERCENTILES[0]:g}nd and {PERCENTILES[1]:g}th percentiles of a sample of all files"
    return Decision(chosen, f"values of {chosen.text} ({ends}) become 0 to 255")


def _with_recorded(samples: Sequence[Sample], recorded: ValueRange) -> Decision:
    eight = [sample for sample in samples if sample.eight_bits]
    wide = [sample for sample in samples if not sample.eight_bits]
    trained = f"the network was trained on values of {recorded.text}, stretched to 8 bits"
    if eight and wide:
        raise _disagreeing(f"{trained}, and of the files 8 bits have {_listed(eight)}; others {_listed(wide)}")
    if eight:
        return Decision(BYTES, f"{trained}; these files have 8 bits and are taken as they are (--scale)")
    return Decision(recorded, f"{trained}, and so are these: {_listed(wide)} (--scale)")


_HOW_TO_SAY = (
    "Say which values become black and white: --scale MIN,MAX (such as 0,3000), or --scale auto for the 2nd to 98th "
    "percentile of each band over all files"
)


def _disagreeing(found: str) -> RangeUnknown:
    return RangeUnknown(
        f"the files differ in their range of values, and all files of a command are stretched alike: {found}. Take "
        "them apart, or give one range for all: --scale MIN,MAX"
    )


def _listed(samples: Sequence[Sample]) -> str:
    return shortened([sample.text for sample in samples], SHOWN)


def _together(samples: Sequence[Sample]) -> str:
    """Return the range of several files together, as the end of a list of them."""
    ends = [sample.ends for sample in samples if sample.ends is not None]
    if len(ends) < 2:
        return ""
    return f"; all together from {min(low for low, _ in ends):g} to {max(high for _, high in ends):g}"


def _types(samples: Sequence[Sample]) -> str:
    return " and ".join(sorted(set().union(*(sample.types for sample in samples))))


def _triple(values: NDArray[np.float64]) -> Triple:
    red, green, blue = values.tolist()
    return red, green, blue
