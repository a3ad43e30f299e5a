"""Decide whether maps of floats are probabilities or logits, by the ranges of all files; refuse what could be two.

Probabilities that were resized by cubic convolution or Lanczos have values below 0 and above 1. Taken for logits,
nearly all of their pixels would be foreground.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from data_prep.images.decode import BadPicture

Encoding = Literal["probabilities", "logits", "labels", "one-hot"]
"""What a user declares the values of all files to be."""

BEYOND = 0.5
"""How far resized probabilities may get out of 0..1; cubic convolution and Lanczos stay within 0.3."""

SCALED = 50.0
"""From here on the highest value may be one of 0..100 or 0..255, unless the lowest is a fourth of it below 0."""

_CHOICE = "Say what they are: --encoding probabilities or --encoding logits"
_DIVIDE = "Divide them, or say what they are: --encoding logits"


def threshold(ranges: Sequence[tuple[str, float, float]], declared: Encoding | None) -> float:
    """Return the number above which floats are foreground, of the name, lowest and highest value of each file.

    Within 0..1 they are probabilities. Of both signs and more than `BEYOND` out of 0..1 they are logits, if no file is
    within 0..1 and the highest value is none of another scale. Raises BadPicture for anything else, unless declared.
    """
    if not ranges or declared == "logits":
        return 0.0
    lowest, low, _ = min(ranges, key=lambda each: each[1])
    highest, _, high = max(ranges, key=lambda each: each[2])
    found = f"floats from {low:g} ({lowest}) to {high:g} ({highest})"
    near = low >= -BEYOND and high <= 1 + BEYOND
    if declared == "probabilities":
        if not near:
            raise BadPicture(f"expected probabilities, as --encoding says, found {found}")
        return 0.5
    if low >= 0 and high <= 1:
        return 0.5
    if near:
        raise BadPicture(f"{found}: probabilities that were resized, or logits. {_CHOICE}")
    if low >= 0:
        raise BadPicture(f"{found}: neither probabilities (0 to 1) nor logits (of both signs). {_DIVIDE}")
    if high >= SCALED and -low < high / 4:
        raise BadPicture(f"{found}: probabilities of another scale that were resized, or logits. {_DIVIDE}")
    if within := [name for name, least, most in ranges if least >= 0 and most <= 1]:
        raise BadPicture(f"{found}, but {within[0]} is within 0 to 1: are all of one kind? {_CHOICE}")
    return 0.0
