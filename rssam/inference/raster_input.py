"""Read a raster file as pixels for a network: any format of GDAL, three bands of 8 bits, and where it has data.

The rules, which the command prints where they apply:
- bands: those declared red, green and blue, otherwise the first three, or those that were named; a palette gives
colours.
- values: the range that `rssam/value_range.py` decided for all files becomes 0 to 255.
- no data: a nodata value, an alpha band or a mask band, the first beside the second too, and what is no finite number.
  Such pixels are black to the network, as `prepare` makes them, and no data in every output. A band that is named as a
  colour, or whose values are no mask, masks nothing, whatever its tag.

Imports no torch.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.errors import NodataShadowWarning, NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from rssam.inference.raster_bands import (
    BadRaster,
    alpha_band,
    choose_bands,
    is_mask,
    palette_of,
    require_finite_place,
    require_upright,
    require_whole_bytes,
)
from rssam.value_range import BYTES, Sample, ValueRange, sampled_places

SAMPLES = 24
"""Windows of the sample along each side."""

SEARCH_SIDE = 1024
"""Pixels of the windows that are searched one after another where no window of the sample has data."""

CACHE = 128 << 20
"""Bytes of decoded blocks that GDAL keeps; its own default is a share of the whole memory."""


class RasterSource(AbstractContextManager["RasterSource"]):
    """Raster opened for reading. Raises BadRaster if it cannot be read, or has not the bands that a network needs.

    `value_range` becomes 0 to 255. Without it 8 bits stay as they are, and other values can only be sampled.
    """

    def __init__(self, path: Path, bands: Sequence[int] | None = None, value_range: ValueRange | None = None) -> None:
        self.path = path
        self.requested = bands
        self.outside = 0  # values read so far that the range clipped
        self.raster = _opened(path)
        try:
            require_upright(self.raster, path)
            require_finite_place(self.raster, path)
            self.palette = palette_of(self.raster, path) if bands is None else None
            self.bands = [1] if self.palette is not None else choose_bands(self.raster, path, bands)
            if self.palette is None:
                require_whole_bytes(self.raster, path, self.bands)
            kinds = {self.raster.dtypes[band - 1] for band in self.bands}
            if any(kind.startswith("complex") for kind in kinds):
                raise BadRaster(f"{path} has complex numbers: expected bands of whole or real numbers")
            self.types = frozenset({"uint8"} if self.palette is not None else kinds)
            self.floating = any(kind.startswith("float") for kind in kinds)
            self.value_range = None if self.types == {"uint8"} and value_range == BYTES else value_range
            flags = [self.raster.mask_flag_enums[band - 1] for band in self.bands]
            self.full = all(MaskFlags.all_valid in flag for flag in flags)
            self.by_value = any(MaskFlags.nodata in flag for flag in flags)
        except RasterioError as error:
            self.raster.close()
            raise BadRaster(f"{path} cannot be read ({error.__cause__ or error})") from error
        except BaseException:
            self.raster.close()
            raise

    def __exit__(self, *error: object) -> None:
        self.raster.close()

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) in pixels."""
        height, width = self.raster.shape
        return height, width

    @property
    def transform(self) -> Affine | None:
        """Return the transform from (column, row) to map coordinates; None for a plain picture."""
        transform: Affine = self.raster.transform
        return None if transform == Affine.identity() else transform

    @cached_property
    def unmasked(self) -> int | None:
        """Return the number of the band tagged alpha that masks nothing: a colour by --bands, or near infrared."""
        band = alpha_band(self.raster)
        if band is None or band in self.bands:
            return band
        with self._decoding(f"band {band}"):
            values = [self.raster.read(band, window=window).ravel() for window in self._windows()]
        return None if is_mask(np.concatenate(values)) else band

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """Return sentences on what was chosen, and on what the outputs lack."""
        return tuple(note for note in (self._note_on_alpha(), self._note_on_bands(), self._note_on_place()) if note)

    def _note_on_alpha(self) -> str | None:
        if self.unmasked is None:
            return None
        why = "is named in --bands" if self.unmasked in self.bands else "has values that are no mask (near infrared?)"
        return f"{self.path}: band {self.unmasked} is tagged alpha and {why}: it masks nothing"

    def _note_on_bands(self) -> str | None:
        count, with_alpha = self.raster.count, self.unmasked is None and alpha_band(self.raster) is not None
        if self.requested is not None or count <= 3 or (count == 4 and with_alpha):
            return None
        return f"{self.path} has {count} bands: {self.bands} are read as red, green and blue (--bands)"

    def _note_on_place(self) -> str | None:
        """Return what the outputs lack of a place on the ground, with the command that gives it."""
        if self.transform is None and self.raster.gcps[0]:
            return (
                f"{self.path} has ground control points and no transform: the maps keep the points, polygons are in "
                "pixels. For a coordinate system run first: gdalwarp IN OUT"
            )
        if self.transform is None and self.raster.rpcs is not None:
            return (
                f"{self.path} has a camera model (RPC) and no transform: the maps have neither. For a coordinate "
                "system run first: gdalwarp -rpc IN OUT"
            )
        if self.raster.crs is None:
            kept = "" if self.transform is None else ", only its transform"
            return f"{self.path} has no coordinate system: neither have the results{kept}"
        if self.transform is None:
            return f"{self.path} has a coordinate system and no transform, so its place is not known"
        return None

    @property
    def identity(self) -> dict[str, Any]:
        """Return what the pixels depend on: equal for an unchanged file read in the same way."""
        status = self.path.stat()
        return {
            "raster": [str(self.path.resolve()), status.st_size, status.st_mtime_ns, *self.size],
            "bands": self.bands,
            "scale": [self.value_range.low, self.value_range.high] if self.value_range is not None else None,
            "unmasked": self.unmasked,
        }

    def read(self, top: int, bottom: int, left: int, right: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Read pixels uint8 [3, h, w] and where they have data [h, w]. Raises BadRaster if they are damaged."""
        window = Window(left, top, right - left, bottom - top)
        pixels, valid = self._values(f"rows {top} to {bottom - 1}", window=window)
        if self.value_range is not None:
            self.outside += self.value_range.count_outside(pixels, valid)
        return self._shown(pixels, valid), valid

    def read_small(self, shape: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Read the whole raster shrunk to (height, width) by leaving out pixels, from an overview where it has one."""
        pixels, valid = self._values("its overview", out_shape=shape)
        return self._shown(pixels, valid), valid

    def sample(self, most: int = 0) -> Sample:
        """Read windows in a regular grid, or where none of them has data, all windows up to the first that has.

        `most` is how many pixels are kept for percentiles; evenly spaced ones where more were read.
        """
        windows = list(self._windows())
        read = [found for window in windows if (found := self._valid_values(window)).size]
        if not read:
            search = map(self._valid_values, self._all_windows())
            read = list(islice((values for values in search if values.size), 1))
        values = np.concatenate(read, axis=1) if read else np.zeros((3, 0))  # [3, pixels]
        ends = (float(values.min()), float(values.max())) if values.size else None
        kept = values[:, :: -(-values.shape[1] // most)] if most and values.size else None
        return Sample(str(self.path), self.types, ends, None if kept is None else kept.astype(np.float64))

    def _windows(self) -> Iterator[Window]:
        for top, left, height, width in sampled_places(self.size, SAMPLES):
            yield Window(left, top, width, height)

    def _all_windows(self) -> Iterator[Window]:
        height, width = self.size
        for top in range(0, height, SEARCH_SIDE):
            for left in range(0, width, SEARCH_SIDE):
                yield Window(left, top, min(SEARCH_SIDE, width - left), min(SEARCH_SIDE, height - top))

    def _valid_values(self, window: Window) -> NDArray[Any]:
        """Read the pixels [3, n] of a window that have data."""
        pixels, valid = self._values(f"rows from {window.row_off}", window=window)
        return pixels[:, valid]

    def _values(self, where: str, **options: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Read values [3, h, w] as they are, a palette's as colours, and where they have data [h, w]."""
        with self._decoding(where):
            pixels = self.raster.read(self.bands, **options)  # [bands, h, w]
            valid = self._valid(pixels.shape[1:], options)
        if self.floating:
            valid &= np.isfinite(pixels).all(axis=0)
        if self.palette is not None:
            pixels = self.palette[pixels[0]].transpose(2, 0, 1)  # [3, h, w]
        return pixels, valid

    def _valid(self, shape: tuple[int, ...], options: dict[str, Any]) -> NDArray[np.bool_]:
        """Return where the raster has data [h, w]: by its nodata value and by alpha, where it has both."""
        valid: NDArray[np.bool_] = np.ones(shape, bool)
        if self.full:
            return valid
        band = alpha_band(self.raster)
        if band is None:
            return np.asarray(self.raster.dataset_mask(**options) > 0)
        if self.by_value:
            others = [number for number in self.raster.indexes if number != band or self.unmasked is not None]
            valid = np.any([self.raster.read_masks(number, **options) > 0 for number in others], axis=0)
        if self.unmasked is None:
            valid &= self.raster.read(band, **options) > 0
        return valid

    def _shown(self, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
        shown = pixels if self.value_range is None else self.value_range.to_bytes(pixels)
        if not valid.all():
            shown[:, ~valid] = 0
        return shown

    @contextmanager
    def _decoding(self, where: str) -> Iterator[None]:
        """Raise BadRaster for what GDAL raises inside, and read alpha beside a nodata value without a warning."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NodataShadowWarning)
                yield
        except RasterioError as error:
            reason = error.__cause__ or error
            raise BadRaster(f"{self.path} cannot be decoded in {where} ({reason})") from error


def open_quietly(path: Path, mode: str = "r") -> Any:
    """Open a raster in a mode of rasterio, without a warning if it has no georeference."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path, mode)


def _opened(path: Path) -> DatasetReader:
    """Open the raster of a user. Raises BadRaster if it is missing or cannot be opened."""
    if not path.is_file():
        found = "a folder" if path.is_dir() else "a device or a pipe" if path.exists() else "not there"
        raise BadRaster(f"{path} is {found}: expected an image file")
    try:
        raster: DatasetReader = open_quietly(path)
    except RasterioError as error:
        raise BadRaster(
            f"{path} is no image that GDAL {rasterio.__gdal_version__} can open ({error}): expected GeoTIFF, VRT, "
            "JPEG 2000, PNG, JPEG or the like"
        ) from error
    if raster.count == 0:
        inside = raster.subdatasets
        raster.close()
        remedy = f": it holds {', '.join(inside[:4])}; make a GeoTIFF of one with gdal_translate" if inside else ""
        raise BadRaster(f"{path} has no bands{remedy}")
    return raster
