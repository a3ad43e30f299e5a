"""Write a small PNG of a prediction: the raster beside the same with its classes drawn over it. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from rasterio.enums import Resampling

from rssam.contract import Colour
from rssam.inference.raster_input import RasterSource, open_quietly
from rssam.overlay import drawn_over, legend, told_apart

LONG_SIDE = 1024
"""Pixels of the longer side of each picture, at most."""

NO_DATA: Colour = (128, 128, 128)
NARROWEST = 240
"""Pixels of width at least, for the legend of a small raster."""


def write_quicklook(
    source: RasterSource, class_map: Path, names: Mapping[int, str], palette: Sequence[Colour], out: Path
) -> None:
    """Write two pictures side by side: the pixels as the network saw them, and under the colours of their classes.

    Args:
        source: the raster.
        class_map: its finished class map.
        names: names of the labels that are drawn; other labels are left clear.
        palette: colours of all labels; those that could be taken for the image are replaced.
        out: the file.
    """
    height, width = source.size
    shrunk = max(height, width) / min(LONG_SIDE, max(height, width))
    shape = max(round(height / shrunk), 1), max(round(width / shrunk), 1)
    image, valid = source.read_small(shape)  # [3, h, w]
    with open_quietly(class_map) as raster:
        labels = raster.read(1, out_shape=shape, resampling=Resampling.nearest)  # from an overview
    pixels = image.transpose(1, 2, 0).copy()  # [h, w, 3]
    pixels[~valid] = NO_DATA
    colours = dict(zip(names, told_apart([palette[label] for label in names]), strict=True))
    pair = np.concatenate([pixels, drawn_over(pixels, labels, colours)], axis=1)
    entries = [(names[label], colour) for label, colour in colours.items()]
    strip = legend([*entries, *([("no data", NO_DATA)] if not valid.all() else [])], max(pair.shape[1], NARROWEST))
    canvas = Image.new("RGB", (strip.width, pair.shape[0] + strip.height), "white")
    canvas.paste(Image.fromarray(pair), (0, 0))
    canvas.paste(strip, (0, pair.shape[0]))
    canvas.save(out, "PNG")
