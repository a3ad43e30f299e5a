"""Write a small PNG of a prediction: the raster beside its class map. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import Resampling

from rssam.contract import IGNORE, Colour
from rssam.inference.raster_input import RasterSource, open_quietly

LONG_SIDE = 1024
"""Pixels of the longer side of each picture, at most."""

VEIL = 0.6
"""How much of its class's colour a pixel has over the image."""


def write_quicklook(source: RasterSource, class_map: Path, palette: Sequence[Colour], out: Path) -> None:
    """Write two pictures side by side: the pixels as the network saw them, and veiled in the colours of their classes.

    Label 0 of a palette that starts with black, the background, is left clear, and pixels without data are grey.
    """
    height, width = source.size
    shrunk = max(height, width) / min(LONG_SIDE, max(height, width))
    shape = max(round(height / shrunk), 1), max(round(width / shrunk), 1)
    image, valid = source.read_small(shape)  # [3, h, w]
    with open_quietly(class_map) as raster:
        labels = raster.read(1, out_shape=shape, resampling=Resampling.nearest)  # from an overview
    pixels = image.transpose(1, 2, 0).copy()  # [h, w, 3]
    pixels[~valid] = 128
    Image.fromarray(np.concatenate([pixels, _veiled(pixels, labels, palette)], axis=1)).save(out, "PNG")


def _veiled(pixels: NDArray[np.uint8], labels: NDArray[np.uint8], palette: Sequence[Colour]) -> NDArray[np.uint8]:
    colours = np.zeros((IGNORE + 1, 3), np.float32)
    colours[: len(palette)] = palette
    share = np.full(IGNORE + 1, VEIL, np.float32)
    share[IGNORE] = 0
    if palette[0] == (0, 0, 0):
        share[0] = 0
    weight = share[labels][..., None]  # [h, w, 1]
    mixed: NDArray[np.uint8] = np.rint(pixels * (1 - weight) + colours[labels] * weight).astype(np.uint8)
    return mixed
