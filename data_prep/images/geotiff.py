"""Open GeoTIFFs, and PNG of 16 bits, with GDAL, and tell where they have data; whole, or by windows of any raster.

A foreign file may bring others: a virtual raster under the name of a TIFF, overviews in its metadata, a mask or
overview beside it. GDAL would open those, over the network too. So only its TIFF driver is asked, also of the files
beside a raster. A file that names an overview file is refused before GDAL looks for masks or overviews.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio._err import CPLE_BaseError  # what some headers raise; of no public class
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NodataShadowWarning, NotGeoreferencedWarning, RasterioError, RasterioIOError
from rasterio.io import DatasetReader, MemoryFile
from rasterio.windows import Window

from data_prep.images.alpha import AlphaCount
from data_prep.images.decode import BadPicture
from data_prep.images.masks import LISTED
from data_prep.images.place import Place, placed
from data_prep.images.tiff_header import MAGIC
from rssam.amounts import shortened

DRIVER = "GTiff"

GDAL_ERRORS = (RasterioError, CPLE_BaseError)
"""What damaged files raise."""

MAX_BLOCK = 128 << 20
"""Bytes of one block of a file: a block is decoded as a whole, so a file of a single huge one would fill the memory."""

IN_MEMORY = re.compile(r"(/vsimem/)?[0-9a-f]{8}-[0-9a-f-]{27}[^\s:,']*")
"""How GDAL calls the bytes of a file."""

BESIDE = (".msk", ".ovr")
"""What GDAL opens beside a raster on its own."""


def opened(path: Path, driver: str = DRIVER) -> DatasetReader:
    """Open a GeoTIFF for windows, without a warning if it has no georeference.

    Raises RasterioIOError for another format, and for files that name others.
    """
    for ending in BESIDE:
        beside = path.with_name(path.name + ending)
        if beside.is_file():
            with beside.open("rb") as file:
                if file.read(4) not in MAGIC:
                    raise RasterioIOError(f"expected a TIFF as {beside.name}, found another format; remove it")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            return _of_itself(rasterio.open(path, driver=driver))
        except UnicodeDecodeError as error:
            raise RasterioIOError(f"names in its header are no UTF-8 ({error})") from error


@contextmanager
def opened_content(content: bytes, driver: str = DRIVER) -> Iterator[DatasetReader]:
    """Open the bytes of a GeoTIFF: nothing beside the file is seen. Raises BadPicture if it is damaged, then too."""
    try:
        with warnings.catch_warnings(), MemoryFile(content) as file:
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with _of_itself(file.open(driver=driver)) as raster:
                yield raster
    except BadPicture:
        raise
    except (*GDAL_ERRORS, ValueError, MemoryError) as error:  # ValueError: of names that are no UTF-8
        raise BadPicture(f"cannot be decoded ({_reason(error)})") from error


def _of_itself(raster: DatasetReader) -> DatasetReader:
    """Return the raster. Raises RasterioIOError if its metadata name a file of overviews, which GDAL would open."""
    if any(name.upper() == "OVERVIEW_FILE" for name in raster.tags(ns="OVERVIEWS")):
        raster.close()
        raise RasterioIOError("its metadata name another file; rewrite it: gdal_translate -co PROFILE=GeoTIFF OLD NEW")
    return raster


def _reason(error: Exception) -> str:
    """Return GDAL's own words, without the name that it gives to bytes in memory."""
    return " ".join(IN_MEMORY.sub("the file", str(error.__cause__ or error)).split())


def place_of(raster: DatasetReader) -> Place | None:
    """Return where a raster lies; None if it does not say."""
    # GDAL gives the identity to rasters that have no place on the ground.
    return None if raster.transform.is_identity else placed(raster.transform, raster.crs)


def too_large_block(raster: DatasetReader) -> str | None:
    """Return why a raster cannot be read in windows, or None."""
    itemsize = max(np.dtype(kind).itemsize for kind in raster.dtypes)
    height, width = raster.block_shapes[0]
    if height * width * raster.count * itemsize <= MAX_BLOCK:
        return None
    return (
        f"expected blocks of at most {MAX_BLOCK >> 20} MB, found one of {width}x{height}; "
        f"rewrite it: gdal_translate -co TILED=YES -co COMPRESS=DEFLATE OLD NEW"
    )


def colour_bands(raster: DatasetReader) -> list[int]:
    """Return the numbers of the red, green and blue bands as declared, otherwise the first three."""
    colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    if all(colour in raster.colorinterp for colour in colours):
        return [raster.colorinterp.index(colour) + 1 for colour in colours]
    return [1, 2, 3]


def image_data(raster: DatasetReader, window: Window | None = None) -> NDArray[np.bool_]:
    """Return where an image has data, by its mask or alpha, or without them by its no-data value."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NodataShadowWarning)
        mask: NDArray[np.bool_] = raster.dataset_mask(window=window) > 0
    return mask


def label_data(raster: DatasetReader, window: Window) -> NDArray[np.bool_]:
    """Return where a label raster has data. Many rasters with drawn outlines declare 0, the background, as nodata."""
    flags = raster.mask_flag_enums[0]
    if MaskFlags.all_valid in flags or (MaskFlags.nodata in flags and raster.nodata == 0):
        return np.ones((window.height, window.width), bool)
    mask: NDArray[np.bool_] = raster.read_masks(1, window=window) > 0
    return mask


def without_data(
    raster: DatasetReader,
    window: Window | None = None,
    named: Sequence[int] | None = None,
    *,
    no_mask: bool = False,
) -> tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None]:
    """Return where a mask or alpha hides pixels [H, W], and where they have the no-data value; None where nowhere.

    A band tagged alpha hides nothing if it is one of the `named` bands, which are read as colours, or is `no_mask`.
    """
    if all(MaskFlags.all_valid in flags for flags in raster.mask_flag_enums):
        return None, None
    declared = any(MaskFlags.nodata in flags for flags in raster.mask_flag_enums)
    number = _alpha_number(raster)
    as_colour = no_mask or (named is not None and number in named)
    if as_colour and any(MaskFlags.alpha in flags for flags in raster.mask_flag_enums):
        return None, None
    if declared and number is not None:
        transparent = np.zeros((), bool) if as_colour else raster.read(number, window=window) == 0
        bands = [band for band in raster.indexes if as_colour or band != number]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NodataShadowWarning)
            unset = ~raster.read_masks(bands, window=window).any(axis=0)
        return (transparent if transparent.any() else None), (unset if unset.any() else None)
    empty = ~image_data(raster, window)
    if not empty.any():
        return None, None
    return (None, empty) if declared else (empty, None)


def image_bands(raster: DatasetReader, named: Sequence[int] | None = None) -> list[int]:
    """Return the numbers of the bands that are an image: those `named`, else red, green and blue, or one.

    Raises BadPicture for others.
    """
    if named is not None:
        if max(named) > raster.count:
            numbers = ",".join(map(str, named))
            raise BadPicture(f"expected the bands {numbers} (--bands), found {raster.count} in all")
        return list(named)
    bands = [number for number, colour in enumerate(raster.colorinterp, start=1) if colour != ColorInterp.alpha]
    if ColorInterp.cyan in raster.colorinterp or len(bands) == 2:
        found = "print colours (CMYK)" if len(bands) > 2 else "2 bands"
        raise BadPicture(
            f"expected an image in RGB or grey, found {found}; save it as RGB, or keep one band: "
            "gdal_translate -b 1 OLD NEW"
        )
    if len(bands) == 1 and raster.colorinterp[0] == ColorInterp.palette and raster.dtypes[0] != "uint8":
        raise BadPicture(
            f"expected a palette of 8 bits, found {raster.dtypes[0]}; save it as RGB: "
            "gdal_translate -expand rgb OLD NEW"
        )
    return bands if len(bands) == 1 else colour_bands(raster)


def image_of(raster: DatasetReader, pixels: NDArray[np.generic]) -> Image.Image:
    """Return bytes [1 or 3, H, W] as an image in RGB, grey or a palette. Raises BadPicture for wider values."""
    if pixels.dtype != np.uint8:
        raise BadPicture(
            f"expected 8 bits a band, found {pixels.dtype} from {pixels.min():g} to {pixels.max():g}; scale all images "
            "alike: gdal_translate -ot Byte -scale LOW HIGH 0 255 OLD NEW"
        )
    if len(pixels) == 1:
        return _with_palette(Image.fromarray(pixels[0]), raster)
    return Image.fromarray(pixels.transpose(1, 2, 0))


def label_pixels(
    raster: DatasetReader, empty: NDArray[np.bool_] | None, window: Window | None = None
) -> tuple[Image.Image, NDArray[np.bool_] | None]:
    """Return a mask of whole numbers of any width, or of colours; and where it holds no number (NaN).

    `empty` are pixels without data: what they hold need not be whole. Raises BadPicture where others are not.
    """
    bands = [number for number, colour in enumerate(raster.colorinterp, start=1) if colour != ColorInterp.alpha]
    values = raster.read(bands, window=window)  # [1 or 3, H, W]
    no_number = np.isnan(values).any(axis=0) if values.dtype.kind == "f" else np.zeros(values.shape[1:], bool)
    seen = values[:, ~(no_number if empty is None else no_number | empty)]
    if (broken := seen[seen != np.rint(seen)]).size:
        found = shortened([f"{value:g}" for value in np.unique(broken)], LISTED)
        raise BadPicture(f"expected whole numbers, found {found}")
    limits = np.iinfo(np.int32)
    if (far := seen[(seen < limits.min) | (seen > limits.max)]).size:
        found = shortened([f"{value:.0f}" for value in np.unique(far)], LISTED)
        raise BadPicture(f"expected numbers of a class, found {found}")
    whole = np.clip(np.nan_to_num(values), limits.min, limits.max).astype(np.int32)
    small = whole.min() >= 0 and whole.max() <= 255
    missing = no_number if no_number.any() else None
    if len(bands) == 1:
        pixels = Image.fromarray(whole[0].astype(np.uint8) if small else whole[0])
        return (_with_palette(pixels, raster) if values.dtype == np.uint8 else pixels), missing
    if len(bands) != 3 or not small:
        raise BadPicture(f"expected colours of 8 bits, found {values.dtype} from {whole.min()} to {whole.max()}")
    return Image.fromarray(whole.astype(np.uint8).transpose(1, 2, 0)), missing


def _with_palette(pixels: Image.Image, raster: DatasetReader) -> Image.Image:
    """Return a picture of one band with the raster's colours, where its values stand for some."""
    if raster.colorinterp[0] == ColorInterp.palette:
        colours = raster.colormap(1)
        pixels.putpalette([channel for value in range(256) for channel in colours.get(value, (0, 0, 0))[:3]])
    return pixels


def alpha_band(raster: DatasetReader, window: Window | None = None) -> NDArray[np.generic] | None:
    """Return the values [H, W] of the alpha band; None without one."""
    number = _alpha_number(raster)
    alpha: NDArray[np.generic] | None = None if number is None else raster.read(number, window=window)
    return alpha


def alpha_is_no_mask(raster: DatasetReader, named: Sequence[int] | None) -> bool:
    """Return whether a band is tagged alpha whose values are no mask, near infrared mostly.

    It is asked only where the bands of colours are `named`, and this band is none of them.
    """
    number = _alpha_number(raster)
    if number is None or named is None or number in named:
        return False
    count = AlphaCount()
    for _, window in raster.block_windows(number):
        count.add(raster.read(number, window=window))
    return not count.is_mask


def _alpha_number(raster: DatasetReader) -> int | None:
    return raster.colorinterp.index(ColorInterp.alpha) + 1 if ColorInterp.alpha in raster.colorinterp else None
