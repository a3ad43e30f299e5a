"""Turn labels and errors into colours, and find where two predictions differ in what is right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from benchmarks.results.pixels import Labels, Picture
from rssam.contract import IGNORE, Colour

HIT: Colour = (255, 255, 255)
BACKGROUND: Colour = (0, 0, 0)
MISSED: Colour = (86, 180, 233)  # Okabe and Ito's sky blue and vermilion: apart for every kind of colour vision,
INVENTED: Colour = (213, 94, 0)  # and in print without colours, where missed is the lighter
UNLABELLED: Colour = (90, 90, 90)
ERROR_COLOURS = {"hit": HIT, "background": BACKGROUND, "missed": MISSED, "invented": INVENTED}
"""Colours of a binary prediction by their names in legends."""

THINNEST = 3
"""Side in pixels of what a change must hold somewhere: along edges, predictions always differ by a pixel or two."""


@dataclass(frozen=True)
class Change:
    """Connected part of an image on which two predictions differ in correctness, as the circle around its box."""

    row: float
    column: float
    radius: float  # pixels, from the centre of the box to its corners
    area: int  # pixels
    better: bool  # whether more of it became right than wrong


def prediction_picture(truth: Labels, labels: Labels, palette: Sequence[Colour]) -> Picture:
    """Return a prediction as a picture: of one class with its errors, of several in the colours of the palette.

    The truth itself has no errors: of one class it is white on black.
    """
    return error_picture(truth, labels) if len(palette) == 1 else class_picture(labels, palette)


def class_picture(labels: Labels, palette: Sequence[Colour]) -> Picture:
    """Return each label in its colour of the palette."""
    colours = np.full((256, 3), UNLABELLED, np.uint8)
    colours[: len(palette)] = palette
    return colours[labels]


def error_picture(truth: Labels, labels: Labels) -> Picture:
    """Return hits, background, and the two kinds of error of a binary prediction; unlabelled pixels are neither."""
    picture = np.empty((*truth.shape, 3), np.uint8)
    predicted, real = labels == 1, truth == 1
    for where, colour in (
        (~predicted & ~real, BACKGROUND), (predicted & real, HIT), (~predicted & real, MISSED),
        (predicted & ~real, INVENTED), (truth == IGNORE, UNLABELLED),
    ):  # fmt: skip
        picture[where] = colour
    return picture


def largest_changes(truth: Labels, before: Labels, after: Labels, count: int) -> list[Change]:
    """Return the `count` largest connected parts on which exactly one of two predictions is right, largest first.

    Pixels that touch by a side or a corner are connected. Parts thinner than THINNEST pixels are no change; ties are in
    the order of rows, then columns.

    Args:
        truth: labels, [H, W].
        before: prediction of the first system, [H, W].
        after: prediction of the second system, [H, W].
        count: most parts to return.
    """
    right_before, right_after = before == truth, after == truth
    differs = (right_before != right_after) & (truth != IGNORE)
    opened = ndimage.binary_opening(differs, np.ones((THINNEST, THINNEST), bool))
    parts, _ = ndimage.label(opened, np.ones((3, 3), bool))
    changes = []
    for number, box in enumerate(ndimage.find_objects(parts), start=1):
        part = parts[box] == number
        rows, columns = box
        area = int(part.sum())
        changes.append(
            Change(
                row=(rows.start + rows.stop - 1) / 2,
                column=(columns.start + columns.stop - 1) / 2,
                radius=math.hypot(rows.stop - rows.start, columns.stop - columns.start) / 2,
                area=area,
                better=2 * int((part & right_after[box]).sum()) >= area,
            )
        )
    return sorted(changes, key=lambda change: -change.area)[:count]
