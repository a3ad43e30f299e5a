"""Draw classes over an image, each with a veil and an outline in a colour that ground and roofs do not have."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rssam.contract import IGNORE, Colour

VEIL = 0.45
"""How much of its class's colour a pixel has over the image; outlines have all of it."""

SATURATED = 0.5
"""Saturation and brightness below which a colour cannot be told from ground, roofs and shadow."""


def draw_over(pixels: NDArray[np.uint8], labels: NDArray[np.uint8], colours: Mapping[int, Colour]) -> NDArray[np.uint8]:
    """Return the pixels [h, w, 3] with a veil over each region, and its outline, in the colour of its class."""
    table = np.zeros((IGNORE + 1, 3), np.float32)
    share = np.zeros(IGNORE + 1, np.float32)
    for label, colour in colours.items():
        table[label], share[label] = colour, VEIL
    weight = share[labels]  # [h, w]
    weight[_outlined(labels) & (weight > 0)] = 1
    weight = weight[..., None]
    mixed: NDArray[np.uint8] = np.rint(pixels * (1 - weight) + table[labels] * weight).astype(np.uint8)
    return mixed


def _outlined(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
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
