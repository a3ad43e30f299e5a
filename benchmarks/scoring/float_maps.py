"""Read maps of floats, and decide whether they are probabilities or logits; refuse what could be two things.

Probabilities that were resized by cubic convolution or Lanczos have values below 0 and above 1. Taken for logits,
nearly all of their pixels would be foreground.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from benchmarks.scoring.encoding import Encoding
from data_prep.images.decode import BadPicture
from data_prep.images.picture import Picture, read_bands
from data_prep.images.source_file import SourceFile
from data_prep.images.tiff_header import read_tiff_header

BEYOND = 0.5
"""How far resized probabilities may get out of 0..1; cubic convolution and Lanczos stay within 0.3."""

SCALED = 50.0
"""From here on the highest value may be one of 0..100 or 0..255, unless the lowest is a fourth of it below 0."""

_CHOICE = "Say what they are: --encoding probabilities or --encoding logits"
_DIVIDE = "Divide them, or say what they are: --encoding logits"


def read_values(source: SourceFile, declared: Encoding | None) -> tuple[NDArray[Any], Picture] | None:
    """Return the bands [bands, H, W] of a picture of floats, or of one that is declared to hold no labels.

    With them comes a picture of where they are not 0, and where there is no data. None for a mask of labels.
    """
    header = read_tiff_header(io.BytesIO(source.content))
    as_declared = declared not in (None, "labels")
    if not as_declared and (header is None or header.unsigned):
        return None
    bands = read_bands(source, ("PNG", "TIFF"))
    if not as_declared and bands.dtype.kind != "f":
        return None
    if source.mask is not None:
        raise BadPicture("expected a value in every pixel, found a mask file beside it (.msk)")
    hidden = nodata = None
    if header is not None and (header.nodata or header.masked):
        from data_prep.images.geotiff import opened_content, without_data  # rasterio is slow to import

        with opened_content(source.content) as raster:
            hidden, nodata = without_data(raster)
    return bands, Picture(Image.fromarray((bands != 0).any(axis=0)), hidden, nodata)


def threshold(ranges: Sequence[tuple[str, float, float]], declared: Encoding | None) -> float:
    """Return the number above which floats are foreground, of the name, lowest and highest value of each file.

    Within 0..1 they are probabilities. Of both signs and more than `BEYOND` out of 0..1 they are logits. Not so if a
    file is within 0..1, or if the highest value is of another scale. Raises BadPicture for anything else, unless
    declared.
    """
    if not ranges or declared == "logits":
        return 0.0
    lowest, low, _ = min(ranges, key=lambda file: file[1])
    highest, _, high = max(ranges, key=lambda file: file[2])
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
