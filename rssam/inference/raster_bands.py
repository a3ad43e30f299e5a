"""Choose what of a raster is red, green and blue, and which of its pixels have data. Imports no torch."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader

from rssam.errors import UserError

STRUCTURE = "IMAGE_STRUCTURE"
"""GDAL's domain of what a file says of its bits."""

ORIENTATION = 274
"""The tag of EXIF and of TIFF that says how a viewer turns a picture; 1 is upright."""

TURNED = range(2, 9)
BIGTIFF = 43
"""The version of TIFF files with long offsets."""

COLOURS = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
FOREIGN = {
    "CMYK": {ColorInterp.cyan, ColorInterp.magenta, ColorInterp.yellow, ColorInterp.black},
    "HSL": {ColorInterp.hue, ColorInterp.saturation, ColorInterp.lightness},
    "YCbCr": {ColorInterp.Y, ColorInterp.Cb, ColorInterp.Cr},
}
"""Colour spaces whose bands are no red, green and blue."""


class BadRaster(UserError):
    """Raised for a raster that cannot be predicted; the message has the reason."""


def choose_bands(raster: DatasetReader, path: Path, requested: Sequence[int] | None) -> list[int]:
    """Return the numbers of three bands: those requested, or those declared red, green and blue, or the first.

    Raises BadRaster if the raster has not enough, or other colours.
    """
    count = raster.count
    if requested is not None:
        if len(requested) != 3 or not all(1 <= band <= count for band in requested):
            raise BadRaster(
                f"--bands {','.join(map(str, requested))} does not fit {path}: expected three numbers from 1 to {count}"
            )
        return list(requested)
    meanings = raster.colorinterp
    for space, colours in FOREIGN.items():
        if colours & set(meanings):
            raise BadRaster(f"{path} has colours in {space}, expected red, green and blue: convert it to RGB first")
    if count < 3:
        second = ", one of them a mask (alpha)," if ColorInterp.alpha in meanings else ","
        raise BadRaster(
            f"{path} has {count} band{'s' if count > 1 else ''}{second} expected at least 3 (red, green, blue): "
            "name three with --bands, which may repeat: --bands 1,1,1 for grey"
        )
    declared = all(colour in meanings for colour in COLOURS)
    return [meanings.index(colour) + 1 for colour in COLOURS] if declared else [1, 2, 3]


def palette_of(raster: DatasetReader, path: Path) -> NDArray[np.uint8] | None:
    """Return the colours [values, 3] of a single band whose values stand for colours, otherwise None."""
    if raster.count != 1 or raster.colorinterp[0] != ColorInterp.palette:
        return None
    if raster.dtypes[0] not in ("uint8", "uint16"):
        raise BadRaster(f"{path} has a palette for values of {raster.dtypes[0]}: expected uint8 or uint16")
    colours = np.zeros((np.iinfo(raster.dtypes[0]).max + 1, 3), np.uint8)
    for value, colour in raster.colormap(1).items():
        colours[value] = colour[:3]
    return colours


def alpha_band(raster: DatasetReader) -> int | None:
    """Return the number of the band that is tagged alpha; None where a mask beside the bands has its place."""
    tagged = [number for number, meaning in enumerate(raster.colorinterp, start=1) if meaning == ColorInterp.alpha]
    used = {MaskFlags.alpha, MaskFlags.nodata} & set(raster.mask_flag_enums[0])
    return tagged[0] if tagged and used else None


def is_mask(values: NDArray[Any]) -> bool:
    """Return whether values of a band can be a mask: at least half of those above 0 are the largest.

    At soft borders a mask has some in between; an infrared band has many.
    """
    above = values[values > 0]
    return not above.size or bool((above == above.max()).mean() >= 0.5)


def require_whole_bytes(raster: DatasetReader, path: Path, bands: Sequence[int]) -> None:
    """Raise BadRaster for grey of fewer than 8 bits, and where 0 is white: GDAL gives the numbers as they are stored.

    `prepare` shows such grey as viewers do, so a map of the stored numbers would be of another picture.
    """
    bits = min(int(raster.tags(band, ns=STRUCTURE).get("NBITS", 8)) for band in bands)
    inverted = raster.tags(ns=STRUCTURE).get("MINISWHITE") == "YES"
    if bits >= 8 and not inverted:
        return
    most = (1 << bits) - 1 if bits < 8 else np.iinfo(raster.dtypes[bands[0] - 1]).max
    found, ends = ("0 as white", "255 0 -co PHOTOMETRIC=MINISBLACK") if inverted else (f"{bits} bits a band", "0 255")
    raise BadRaster(
        f"{path}: expected 8 bits a band and 0 as black, found {found}. Run first: gdal_translate -ot Byte "
        f"-scale 0 {most} {ends} -co NBITS=8 IN OUT"
    )


def require_finite_place(raster: DatasetReader, path: Path) -> None:
    """Raise BadRaster if a number of the transform is NaN or infinite: no map and no polygon could have a place."""
    if not np.isfinite(raster.transform[:6]).all():
        raise BadRaster(
            f"{path}: expected a transform of finite numbers, found {tuple(raster.transform[:6])}. Drop it: "
            "gdal_edit.py -unsetgt FILE"
        )


def require_upright(raster: DatasetReader, path: Path) -> None:
    """Raise BadRaster for a picture that viewers turn, as `prepare` does: a map of it would lie on its side.

    A georeferenced file is upright by its transform.
    """
    if raster.crs is not None or not raster.transform.is_identity or raster.gcps[0]:
        return
    turned = _orientation(raster, path)
    if turned in TURNED:
        raise BadRaster(
            f"{path}: expected an upright picture, found EXIF orientation {turned}: viewers turn it. Save it upright, "
            f"for instance: magick {path.name} -auto-orient upright_{path.name}"
        )


def _orientation(raster: DatasetReader, path: Path) -> object:
    """Return the orientation that a file declares, None where it cannot be read. GDAL gives that of JPEG alone."""
    if raster.driver == "JPEG":
        declared = raster.tags().get("EXIF_Orientation", "")
        return int(declared) if declared.isdecimal() else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _tagged(raster.driver, path)
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError):
        return None  # GDAL opens files whose tags Pillow does not read


def _tagged(driver: str, path: Path) -> object:
    if driver == "GTiff":
        with path.open("rb") as stream:
            start = stream.read(8)
            directory = ImageFileDirectory_v2(start + stream.read(8) if start[2] == BIGTIFF else start)
            stream.seek(directory.next)
            directory.load(stream)
            return directory.get(ORIENTATION)
    if driver in ("PNG", "WEBP"):
        with Image.open(path) as picture:
            exif = Image.Exif()
            exif.load(picture.info.get("exif", b""))
            return exif.get(ORIENTATION)
    return None
