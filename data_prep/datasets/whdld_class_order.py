"""Check the order of class numbers in copies of WHDLD without colours, against the colours of the images.

Two orders of the classes are in circulation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import DataError
from data_prep.images.decode import BadPicture, rgb
from data_prep.prepare.pairs import Pair
from data_prep.processes import Progress

CLASSES = ("building", "road", "pavement", "vegetation", "bare_soil", "water")

KNOWN: tuple[tuple[str, ...], ...] = (CLASSES, tuple(sorted(CLASSES)))
"""The published order, and the alphabetical one of several loaders: numbers 3 and 6 alone mean the same in both."""

GREENER = [("vegetation", other) for other in ("building", "road", "pavement", "bare_soil")]
DARKER = [("water", other) for other in ("building", "pavement", "bare_soil")]
REDDER = [("bare_soil", other) for other in ("road", "pavement")]


@dataclass(frozen=True)
class Colours:
    """Number of pixels [256] and sums of red, green and blue [256, 3] for each number in the labels of a source."""

    pixels: NDArray[np.int64]
    sums: NDArray[np.int64]

    def mean(self, number: int) -> NDArray[np.float64]:
        """Return the mean colour (3), NaN if the number does not occur."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.sums[number] / self.pixels[number], np.float64)


def class_order(text: str) -> tuple[str, ...]:
    """Return the order in "building,road,...". Raises DataError unless it names each class once."""
    names = tuple(name.strip().lower().replace(" ", "_").replace("-", "_") for name in text.split(","))
    if sorted(names) != sorted(CLASSES):
        raise DataError(f"expected each of {', '.join(CLASSES)} once, in the order of the numbers, found {text!r}")
    return names


def measure(pairs: Sequence[Pair], progress: Progress) -> Colours:
    """Sum the colours under each class number over all pairs; unreadable pairs are listed later, by preparing."""
    from data_prep.images.picture import read_image, read_labels
    from data_prep.images.source_file import SourceFile

    counts, sums = np.zeros(256, np.int64), np.zeros((256, 3), np.int64)
    for done, pair in enumerate(pairs, start=1):
        try:
            image = rgb(read_image(SourceFile.read(pair.image), ("JPEG", "PNG", "TIFF"), own=False).pixels)
            label = read_labels(SourceFile.read(pair.mask), ("PNG", "TIFF"), own=False).pixels
        except (BadPicture, OSError):
            continue
        if label.mode == "L" and label.size == image.shape[1::-1]:
            numbers = np.asarray(label).ravel()
            counts += np.bincount(numbers, minlength=256)
            for channel in range(3):  # sums stay far below 2^53: exact
                values = np.bincount(numbers, image[..., channel].ravel(), minlength=256)
                sums[:, channel] += values.astype(np.int64)
        progress(done, len(pairs), "survey the class numbers")
    return Colours(counts, sums)


def first_number(colours: Colours) -> int:
    """Return 0 or 1, whichever the numbers begin with. Raises DataError if the labels do not show it."""
    zeros, sixes = int(colours.pixels[0]), int(colours.pixels[len(CLASSES)])
    if bool(zeros) == bool(sixes) and colours.pixels.any():
        found = ", ".join(map(str, np.flatnonzero(colours.pixels)))
        raise DataError(
            f"expected class numbers 0 to 5 or 1 to 6 in all labels of the source, found {found}: whether they begin "
            "with 0 or 1 cannot be told. Give the colour labels (ImagesPNG) or labels with all six classes."
        )
    return 0 if zeros else 1


def verify_order(order: tuple[str, ...], colours: Colours, first: int) -> None:
    """Raise DataError unless the mean colours fit `order` better than every other known order."""
    fits = {candidate: signs_held(candidate, colours, first) for candidate in (order, *KNOWN)}
    held, total = fits[order]
    rival = max((known for known in KNOWN if known != order), key=lambda known: fits[known][0])
    if fits[rival][0] < held:
        return
    means = "; ".join(
        f"{number}: "
        + (f"red {{:.0f}}, green {{:.0f}}, blue {{:.0f}} ({order[number - first]}?)".format(*colours.mean(number)))
        if colours.pixels[number]
        else f"{number}: no pixels ({order[number - first]}?)"
        for number in range(first, first + len(CLASSES))
    )
    better = "as well" if fits[rival][0] == held else "better"
    raise DataError(
        f"the class order {','.join(order)} is wrong or cannot be verified: of {total} signs (vegetation greener, "
        f"water darker, bare soil redder than others) it meets {held}, but {','.join(rival)} fits {better} with "
        f"{fits[rival][0]}. Mean colours by number: {means}. Give --class-order {','.join(rival)} if that is the order "
        "of your copy, or the colour labels (ImagesPNG)."
    )


def signs_held(order: Sequence[str], colours: Colours, first: int) -> tuple[int, int]:
    """Return how many of the relations between mean colours hold under an order, and how many there are."""
    mean = {name: colours.mean(first + place) for place, name in enumerate(order)}
    green = {name: 2 * g - r - b for name, (r, g, b) in mean.items()}  # "excess green"
    light = {name: r + g + b for name, (r, g, b) in mean.items()}
    red = {name: r - b for name, (r, g, b) in mean.items()}
    held = [green[name] > green[other] for name, other in GREENER]
    held += [light[name] < light[other] for name, other in DARKER]
    held += [red[name] > red[other] for name, other in REDDER]  # comparisons with NaN are false
    return sum(map(bool, held)), len(held)
