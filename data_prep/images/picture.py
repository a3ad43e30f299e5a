"""Read picture files: an image or a mask with where it has data, and where it lies on the ground.

Files of 8 bits are decoded by Pillow. Files that Pillow cannot give whole (16 bits, floats, LERC, WEBP, several bands)
are decoded by GDAL. Bands are counted as the file states them, because Pillow drops those it has no mode for.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_prep.images.alpha import ONE_BAND, AlphaCount, declared_transparent, refuse_one_hot
from data_prep.images.decode import (
    UNDECODABLE,
    BadPicture,
    decode,
    is_deep_png,
    refuse_turned,
    verify_chunks,
    without_warnings,
)
from data_prep.images.place import Place
from data_prep.images.source_file import SourceFile
from data_prep.images.tiff_header import TiffHeader, read_tiff_header
from data_prep.images.unfit_tiffs import ONLY_GDAL, refuse_unfit, refuse_unwritten
from rssam.value_range import ValueRange

if TYPE_CHECKING:  # rasterio is slow to import
    from rasterio.io import DatasetReader
    from rasterio.windows import Window

MOST_BYTES = 1 << 30
"""Of decoded pixels: a small file may state any size."""


@dataclass(frozen=True)
class Picture:
    """Decoded file. `pixels` has no alpha; the arrays [H, W] are None where no pixel is so."""

    pixels: Image.Image
    hidden: NDArray[np.bool_] | None = None  # pixels that a mask or alpha hides, whatever they hold
    nodata: NDArray[np.bool_] | None = None  # pixels of the value that the file declares as no data
    place: Place | None = None
    outside: int = 0  # values of more than 8 bits that the range clipped
    no_mask: bool = False  # a band tagged alpha masks nothing, see `alpha_is_no_mask`

    @property
    def without_data(self) -> NDArray[np.bool_] | None:
        """Return the pixels without data, for either reason."""
        return _either(self.hidden, self.nodata)


def _either(first: NDArray[np.bool_] | None, second: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    """Return where one of two is true; None stands for nowhere."""
    if first is None or second is None:
        return second if first is None else first
    return first | second


def stated_size(path: Path) -> tuple[int, int] | None:
    """Read (height, width) of a picture from its header; None if it has none that can be read."""
    try:
        with path.open("rb") as stream:
            if (header := read_tiff_header(stream)) is not None:
                return header.size
        with without_warnings(), Image.open(path) as picture:
            return picture.height, picture.width
    except UNDECODABLE:
        return None


def read_image(
    source: SourceFile,
    kinds: tuple[str, ...],
    *,
    own: bool = True,
    value_range: ValueRange | None = None,
    bands: Sequence[int] | None = None,
) -> Picture:
    """Decode an image: RGB, grey or a palette, or three bands of a raster. Raises BadPicture.

    A file of a published set is taken as it was published: alpha is kept, for its reader to refuse.

    Args:
        source: the file.
        kinds: the formats that are accepted, by Pillow's names.
        own: whether it belongs to other data than a published set.
        value_range: the values of more than 8 bits that become 0 and 255.
        bands: the numbers of those that are read as red, green and blue; None: as declared, or the first three.
    """
    return _beside(_read(source, kinds, labels=False, own=own, value_range=value_range, bands=bands), source)


def read_labels(source: SourceFile, kinds: tuple[str, ...], *, own: bool = True, remedy: str = ONE_BAND) -> Picture:
    """Decode a mask of colours or numbers.

    Raises BadPicture, also for more bands.

    Args:
        source: the file's bytes.
        kinds: Pillow's names of the formats.
        own: for other data than a published set: numbers of any width.
        remedy: what to do where each band stands for a class.
    """
    return _beside(_read(source, kinds, labels=True, own=own, remedy=remedy), source)


def read_bands(source: SourceFile, kinds: tuple[str, ...]) -> NDArray[Any]:
    """Return all bands [bands, H, W] of a file, of its own type, whatever they stand for. Raises BadPicture."""
    header = _header(source, kinds)
    if header is None:
        pixels = np.asarray(decode(source.content, *kinds, deep=True))
        return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)
    from data_prep.images.geotiff import opened_content  # rasterio is slow to import

    refuse_unfit(header, labels=False)
    with opened_content(source.content) as raster:
        _refuse_huge(raster)
        bands: NDArray[Any] = raster.read()
        return bands


def _read(
    source: SourceFile,
    kinds: tuple[str, ...],
    *,
    labels: bool,
    own: bool,
    value_range: ValueRange | None = None,
    bands: Sequence[int] | None = None,
    remedy: str = ONE_BAND,
) -> Picture:
    header = _header(source, kinds)
    if bands is not None:
        if header is None:
            raise BadPicture("expected a GeoTIFF with --bands; convert it: gdal_translate OLD NEW.tif")
        refuse_unfit(header, labels=labels, by_gdal=True)
        return _by_gdal(source.content, labels, value_range, bands)
    if header is None:
        if value_range is not None and is_deep_png(source.content):
            verify_chunks(source.content)
            return _by_gdal(source.content, labels, value_range, driver="PNG")
        return _by_pillow(source.content, kinds, labels, own, remedy)
    by_gdal = _needs_gdal(header, own or not labels)
    refuse_unfit(header, labels=labels, remedy=remedy, by_gdal=by_gdal)
    if by_gdal:
        return _by_gdal(source.content, labels, value_range)
    refuse_unwritten(header)
    try:
        picture = _by_pillow(source.content, kinds, labels, own, remedy)
    except BadPicture:
        if _opens_in_pillow(source.content):
            raise
        refuse_unfit(header, labels=labels, remedy=remedy, by_gdal=True)
        return _by_gdal(source.content, labels)
    if header.placed or header.nodata or header.masked:
        return _completed(picture, source.content, header)
    return picture


def _by_pillow(content: bytes, kinds: tuple[str, ...], labels: bool, own: bool, remedy: str) -> Picture:
    pixels = decode(content, *kinds, deep=labels and own)
    if labels and own:
        refuse_turned(pixels)
    return _visible(pixels, labels, remedy) if own else Picture(pixels)


def _opens_in_pillow(content: bytes) -> bool:
    """Return whether Pillow knows the kind of a file; what else is wrong with it is damage."""
    try:
        with without_warnings(), Image.open(io.BytesIO(content)):
            return True
    except UNDECODABLE:
        return False


def _header(source: SourceFile, kinds: tuple[str, ...]) -> TiffHeader | None:
    return read_tiff_header(io.BytesIO(source.content)) if "TIFF" in kinds else None


def _needs_gdal(header: TiffHeader, deep: bool) -> bool:
    """Return whether Pillow would not give a file whole; `deep` if more than 8 bits are used."""
    one_band = header.bands == len(header.extra) + 1 and bool(header.extra) and not header.has_alpha
    return header.compression in ONLY_GDAL or not header.unsigned or (header.bits > 8 and deep) or one_band


def _by_gdal(
    content: bytes,
    labels: bool,
    value_range: ValueRange | None = None,
    bands: Sequence[int] | None = None,
    driver: str = "GTiff",
) -> Picture:
    from data_prep.images import geotiff  # rasterio is slow to import

    with geotiff.opened_content(content, driver) as raster:
        _refuse_huge(raster)
        if bands is None and (alpha := geotiff.alpha_band(raster)) is not None:
            AlphaCount().add(alpha).refuse_other(raster.count, nameable=not labels and driver == geotiff.DRIVER)
        no_mask = geotiff.alpha_is_no_mask(raster, bands)
        picture = read_window(raster, labels=labels, value_range=value_range, bands=bands, no_mask=no_mask)
        return replace(picture, place=geotiff.place_of(raster))


def read_window(
    raster: DatasetReader,
    window: Window | None = None,
    *,
    labels: bool,
    value_range: ValueRange | None = None,
    bands: Sequence[int] | None = None,
    no_mask: bool = False,
) -> Picture:
    """Return an image or a mask, or a window of it, of an opened GeoTIFF; without its place, see `read_image`.

    `no_mask` is what `alpha_is_no_mask` says of the whole raster.
    """
    from data_prep.images import geotiff  # rasterio is slow to import

    hidden, nodata = geotiff.without_data(raster, window, bands, no_mask=no_mask)
    if not labels:
        values, outside = raster.read(geotiff.image_bands(raster, bands), window=window), 0  # [1 or 3, H, W]
        if values.dtype != np.uint8 and value_range is not None:
            finite = np.isfinite(values).all(axis=0)
            hidden = hidden if finite.all() else _either(hidden, ~finite)
            empty = _either(hidden, nodata)
            outside = value_range.count_outside(values, finite if empty is None else ~empty)
            values = value_range.to_bytes(values)[: len(values)]
        return Picture(geotiff.image_of(raster, values), hidden, nodata, outside=outside, no_mask=no_mask)
    pixels, no_number = geotiff.label_pixels(raster, _either(hidden, nodata), window)
    if nodata is not None and no_number is not None:  # stored as 0 here, which is no value of theirs
        nodata = nodata & ~no_number
    return Picture(pixels, _either(hidden, no_number), nodata)


def _completed(picture: Picture, content: bytes, header: TiffHeader) -> Picture:
    """Return a TIFF that Pillow decoded with its place, and with where its tags or mask say that it has no data."""
    from data_prep.images import geotiff  # rasterio is slow to import

    with geotiff.opened_content(content) as raster:
        hidden, nodata = picture.hidden, picture.nodata
        if header.nodata or header.masked:
            hidden, nodata = geotiff.without_data(raster)
        return replace(picture, hidden=hidden, nodata=nodata, place=geotiff.place_of(raster))


def _beside(picture: Picture, source: SourceFile) -> Picture:
    """Return the picture with what lies beside its file, where it does not say the same itself."""
    place = source.place if picture.place is None else picture.place
    if source.mask is None:
        return replace(picture, place=place)
    from data_prep.images.geotiff import opened_content  # rasterio is slow to import

    with opened_content(source.mask) as raster:
        hidden = raster.read(1) == 0
    if hidden.shape != (picture.pixels.height, picture.pixels.width):
        found, expected = "{1}x{0}".format(*hidden.shape), f"{picture.pixels.width}x{picture.pixels.height}"
        raise BadPicture(f"expected a mask file beside it (.msk) of its size, {expected}, found {found}")
    return replace(picture, hidden=_either(picture.hidden, hidden if hidden.any() else None), place=place)


def _visible(pixels: Image.Image, labels: bool, remedy: str) -> Picture:
    """Return a picture without its alpha, and what that hides."""
    if pixels.mode in ("RGBA", "LA"):
        values = np.asarray(pixels)
        if labels:
            refuse_one_hot(values, remedy)
        alpha = AlphaCount().add(values[..., -1])
        alpha.refuse_other(values.shape[-1], nameable=not labels and pixels.format == "TIFF")
        opaque = pixels.convert(pixels.mode[:-1])
        opaque.format = pixels.format
        return Picture(opaque, hidden=values[..., -1] == 0 if alpha.none else None)
    transparent = pixels.info.get("transparency")
    if transparent is None or pixels.mode not in ("1", "L", "P", "RGB", "I;16"):
        return Picture(pixels)
    nodata = declared_transparent(pixels, transparent)
    return Picture(pixels, nodata=nodata if nodata.any() else None)


def _refuse_huge(raster: DatasetReader) -> None:
    height, width = raster.shape
    itemsize = max(np.dtype(kind).itemsize for kind in raster.dtypes)
    if height * width * raster.count * itemsize > MOST_BYTES:
        raise BadPicture(
            f"expected at most {MOST_BYTES >> 20} MB of pixels, found {width}x{height} in {raster.count} bands of "
            f"{8 * itemsize} bits; cut it: gdal_retile.py -ps 4096 4096 -targetDir NEW OLD"
        )
