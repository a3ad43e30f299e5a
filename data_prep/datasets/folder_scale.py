"""Decide for a user's own images of more than 8 bits which values become 0 and 255: once for all files of a source."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from data_prep.errors import DataError
from data_prep.images.bands import Bands
from data_prep.images.value_sample import is_wide, sample_of
from data_prep.prepare.pairs import Pair
from data_prep.rules import Rule, rule
from rssam.amounts import shortened
from rssam.value_range import BYTES, SHOWN, UNIT, Sample, ValueRange, decide, percentiles

Recognised = Literal["0..1", "0..255"]
Scale = tuple[float, float] | Recognised
"""The values that become 0 and 255: declared ones, or what the values themselves show."""

AUTO = "auto"
RECOGNISED: Mapping[Recognised, ValueRange] = {"0..1": UNIT, "0..255": BYTES}

VALUE_RULES = ("bands", "scaled", "values-within")
"""Codes of `value_rules`."""

ACROSS = 24
"""Windows of the sample along each side of a single image; less where there are many."""

FEWEST = 4


def choose_scale(given: str | None, pairs: Sequence[Pair], bands: Bands | None = None) -> Scale | None:
    """Return the scale of a source; None where all its images have 8 bits.

    `given` is what the user says: MIN,MAX or "auto"; `bands` are those that are read. Raises RangeUnknown if neither
    that nor the values say it, DataError if a scale is given for images of 8 bits.
    """
    found = [(is_wide(pair.image), pair) for pair in pairs]
    wide = [pair for is_so, pair in found if is_so]
    narrow = [pair.image_name for is_so, pair in found if is_so is False]  # an unreadable file is a fault, listed later
    if given is None:
        if not wide:
            return None
        samples = [*_samples(wide, bands), *(Sample(name, frozenset({"uint8"}), None) for name in narrow)]
        recognised = decide(samples).range
        return next((name for name, range_ in RECOGNISED.items() if range_ == recognised), None)
    if narrow or not wide:
        raise DataError(
            f"--scale: expected images of more than 8 bits, found 8 bits in {shortened(narrow, SHOWN)}; "
            + ("take those away" if wide else "run it without --scale")
        )
    range_ = percentiles(_samples(wide, bands), alike=True).range if given == AUTO else ValueRange.parsed(given)
    return _written(range_.low[0]), _written(range_.high[0])


def range_of(scale: Scale | None) -> ValueRange | None:
    """Return the scale as a range of values."""
    if scale is None or isinstance(scale, str):
        return None if scale is None else RECOGNISED[scale]
    return ValueRange.alike(*scale)


def value_rules(bands: Bands | None, scale: Scale | None) -> tuple[Rule, ...]:
    """Return the rules of named bands and of a scale, before those on images; none where neither was said."""
    # hashed: part of every run key
    rules = [] if bands is None else [rule("bands", red=bands[0], green=bands[1], blue=bands[2])]
    if isinstance(scale, str):
        rules.append(rule("values-within", range=scale))
    elif scale is not None:
        rules.append(rule("scaled", min=scale[0], max=scale[1]))
    return tuple(rules)


def _samples(pairs: Sequence[Pair], bands: Bands | None) -> list[Sample]:
    across = max(FEWEST, ACROSS // math.isqrt(max(len(pairs), 1)))
    read = (sample_of(pair.image, pair.image_name, across, bands) for pair in pairs)
    return [sample for sample in read if sample is not None]


def _written(value: float) -> float:
    """Return a number as it is written in a declaration: six digits, whole where it is whole."""
    short = float(f"{value:.6g}")
    return int(short) if short.is_integer() else short
