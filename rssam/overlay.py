"""Draw classes over an image so that both are seen: a veil, outlines, saturated colours and a legend.

For the quicklook of a prediction, and for the masks of a data card.
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from rssam.contract import IGNORE, Colour

VEIL = 0.45
"""How much of its class's colour a pixel has over the image; outlines have all of it."""

SATURATED = 0.5
"""Saturation and brightness below which a colour cannot be told from ground, roofs and shadow."""

LINE, SWATCH, MARGIN = 18, 12, 6
"""Pixels of the legend: height of a line, side of a swatch, space around."""


def drawn_over(
    pixels: NDArray[np.uint8], labels: NDArray[np.uint8], colours: Mapping[int, Colour]
) -> NDArray[np.uint8]:
    """Return pixels uint8 [H, W, 3] with each region filled and outlined in the colour of its class.

    The fill is translucent, 45 % colour and 55 % image. The outline is opaque: the pixels of the region that touch
    another label at an edge.

    Args:
        pixels: an image, uint8 [H, W, 3] in 0..255; it is not changed.
        labels: its labels, uint8 [H, W].
        colours: (R, G, B) in 0..255 of each label to show. Pixels of other labels stay as they are.

    Raises:
        ValueError: Height and width of pixels and labels differ.

    Examples:
        The green channel of a grey row whose right half is of class 1. Its third pixel is outline, its fourth fill:

        >>> import numpy as np
        >>> from rssam import drawn_over
        >>> image, labels = np.full((1, 4, 3), 100, np.uint8), np.array([[0, 0, 1, 1]], np.uint8)
        >>> drawn_over(image, labels, {1: (255, 0, 255)})[0, :, 1].tolist()
        [100, 100, 0, 55]
    """
    table = np.zeros((IGNORE + 1, 3), np.float32)
    share = np.zeros(IGNORE + 1, np.float32)
    for label, colour in colours.items():
        table[label], share[label] = colour, VEIL
    weight = share[labels]  # [h, w]
    weight[outlined(labels) & (weight > 0)] = 1
    weight = weight[..., None]
    mixed: NDArray[np.uint8] = np.rint(pixels * (1 - weight) + table[labels] * weight).astype(np.uint8)
    return mixed


def outlined(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which pixels [h, w] touch another label at an edge."""
    differs = np.zeros(labels.shape, bool)
    down, right = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    differs[1:] |= down
    differs[:-1] |= down
    differs[:, 1:] |= right
    differs[:, :-1] |= right
    return differs


def told_apart(colours: Sequence[Colour]) -> list[Colour]:
    """Return the colours, pale, grey and dark ones replaced by saturated ones of hues that are not taken."""
    found = [colorsys.rgb_to_hsv(*(part / 255 for part in colour)) for colour in colours]
    taken = [hue for hue, saturation, value in found if min(saturation, value) >= SATURATED]
    shown = []
    for colour, (_, saturation, value) in zip(colours, found, strict=True):
        if min(saturation, value) < SATURATED:
            hue = _free_hue(taken)
            taken.append(hue)
            red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, 1, 1))
            colour = (red, green, blue)
        shown.append(colour)
    return shown


def _free_hue(taken: Sequence[float]) -> float:
    """Return the hue farthest from those taken; magenta, which ground and roofs do not have, if none is."""
    if not taken:
        return 5 / 6
    ordered = sorted(taken)
    gaps = [(after - before, before) for before, after in zip(ordered, [*ordered[1:], ordered[0] + 1], strict=True)]
    gap, before = max(gaps)
    return (before + gap / 2) % 1


def legend(entries: Sequence[tuple[str, Colour]], width: int) -> Image.Image:
    """Return a strip of swatches with their names, in as many lines as they need."""
    font = ImageFont.load_default(SWATCH)
    places, left, top = [], MARGIN, MARGIN
    for name, _ in entries:
        needed = SWATCH + MARGIN + round(font.getlength(name)) + 2 * MARGIN
        if left > MARGIN and left + needed > width:
            left, top = MARGIN, top + LINE
        places.append((left, top))
        left += needed
    strip = Image.new("RGB", (width, top + LINE), "white")
    draw = ImageDraw.Draw(strip)
    for (name, colour), (left, top) in zip(entries, places, strict=True):
        draw.rectangle((left, top, left + SWATCH, top + SWATCH), fill=colour, outline="black")
        draw.text((left + SWATCH + MARGIN, top), name, fill="black", font=font)
    return strip
