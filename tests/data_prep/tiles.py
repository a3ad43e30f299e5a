"""Invented scenes cut into tiles, whose neighbours are therefore known."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image

from data_prep.checks.fingerprints import Fingerprint, fingerprint
from data_prep.synthetic.building_scenes import roof_scene
from data_prep.synthetic.road_scenes import road_scene

SIDE, ACROSS = 256, 3


@cache
def scene(number: int) -> np.ndarray:
    """Roads for even numbers, roofs for odd ones."""
    rng = np.random.default_rng([7, number])
    return (roof_scene if number % 2 else road_scene)(SIDE * ACROSS, rng).image


def tiles(number: int, brightness: float = 0.0) -> dict[str, np.ndarray]:
    """The nine tiles of a scene by name; with `brightness`, each is stretched in its own way."""
    rng, whole = np.random.default_rng(number), scene(number)
    cut = {}
    for row, column in np.ndindex(ACROSS, ACROSS):
        tile = whole[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]
        gain, offset = 1 + brightness * rng.uniform(-0.3, 0.3), brightness * rng.uniform(-30, 30)
        cut[f"s{number}_{row}{column}"] = (tile * gain + offset).clip(0, 255).astype(np.uint8)
    return cut


def neighbours(number: int) -> set[tuple[str, str, str]]:
    found = set()
    for row, column in np.ndindex(ACROSS, ACROSS):
        if column + 1 < ACROSS:
            found.add((f"s{number}_{row}{column}", f"s{number}_{row}{column + 1}", "right"))
        if row + 1 < ACROSS:
            found.add((f"s{number}_{row}{column}", f"s{number}_{row + 1}{column}", "below"))
    return found


def seen(pixels: np.ndarray) -> Fingerprint:
    return fingerprint(Image.fromarray(pixels))
