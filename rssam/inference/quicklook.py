"""Write a small PNG of a prediction: the raster beside the same with its classes drawn over it. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rasterio.enums import Resampling

from rssam.contract import Colour
from rssam.inference.class_overlay import draw_over, told_apart
from rssam.inference.raster_input import RasterSource, open_quietly

LONG_SIDE = 1024
"""Pixels of the longer side of each picture, at most."""

NO_DATA: Colour = (128, 128, 128)
LINE, SWATCH, MARGIN = 18, 12, 6
"""Pixels of the legend: height of a line, side of a swatch, space around."""

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
    pair = np.concatenate([pixels, draw_over(pixels, labels, colours)], axis=1)
    entries = [(names[label], colour) for label, colour in colours.items()]
    legend = _legend([*entries, *([("no data", NO_DATA)] if not valid.all() else [])], max(pair.shape[1], NARROWEST))
    canvas = Image.new("RGB", (legend.width, pair.shape[0] + legend.height), "white")
    canvas.paste(Image.fromarray(pair), (0, 0))
    canvas.paste(legend, (0, pair.shape[0]))
    canvas.save(out, "PNG")


def _legend(entries: Sequence[tuple[str, Colour]], width: int) -> Image.Image:
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
