"""Read a raster file as pixels for a network: any format of GDAL, three bands of 8 bits, and where it has data.

The rules, which the command prints where they apply:
- bands: those declared red, green and blue, else the first three, or the ones that were named; a palette gives colours.
- values: 8 bits stay as they are. Others are stretched linearly so that `scale`, or else the 2nd and 98th percentile of
  each band in a sample of windows, become 0 and 255, and rounded: networks here are trained on 8 bits.
- no data: a nodata value, an alpha band or a mask band, by GDAL's own rules, and what is no finite number. Such pixels
  are black to the network, as `prepare` makes them, and no data in every output.

Imports no torch.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from rssam.errors import UserError

PERCENTILES = (2.0, 98.0)
SAMPLES = 24
"""Windows of the sample along each side."""

SAMPLE_SIDE = 48
"""Pixels of one of them."""

CACHE = 128 << 20
"""Bytes of decoded blocks that GDAL keeps; its own default is a share of the whole memory."""


class BadRaster(UserError):
    """A raster that cannot be predicted, with the reason."""


@dataclass(frozen=True)
class Scale:
    """The values that become 0 and 255, for each of the three bands."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]

    def bytes_of(self, pixels: NDArray[Any]) -> NDArray[np.uint8]:
        """Stretch, clip and round pixels [3, h, w] to bytes; what is no number becomes 0."""
        low = np.asarray(self.low, np.float32)[:, None, None]
        step = 255 / (np.asarray(self.high, np.float32)[:, None, None] - low)
        stretched = (pixels.astype(np.float32) - low) * step
        shown: NDArray[np.uint8] = np.nan_to_num(np.clip(np.rint(stretched), 0, 255)).astype(np.uint8)
        return shown


class RasterSource(AbstractContextManager["RasterSource"]):
    """A raster, opened. Raises BadRaster if it cannot be read, or has not the bands that a network needs."""

    def __init__(
        self, path: Path, bands: Sequence[int] | None = None, scale: tuple[float, float] | None = None
    ) -> None:
        self.path = path
        self.notes: list[str] = []
        self.raster = _opened(path)
        try:
            self.palette = self._palette() if bands is None else None
            self.bands = [1] if self.palette is not None else self._bands(bands)
            kinds = {self.raster.dtypes[band - 1] for band in self.bands}
            if any(kind.startswith("complex") for kind in kinds):
                raise BadRaster(f"{path} has complex numbers: expected bands of whole or real ones")
            self.full = all(MaskFlags.all_valid in self.raster.mask_flag_enums[band - 1] for band in self.bands)
            self.floating = any(kind.startswith("float") for kind in kinds)
            self.scale = self._scale(kinds, scale)
            if self.raster.crs is None:
                self.notes.append(f"{path} has no coordinate system: neither have the results")
        except BaseException:
            self.raster.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.raster.close()

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        height, width = self.raster.shape
        return height, width

    @property
    def transform(self) -> Affine | None:
        """From (column, row) to map coordinates; None for a plain picture."""
        transform: Affine = self.raster.transform
        return None if transform == Affine.identity() else transform

    @property
    def identity(self) -> dict[str, Any]:
        """What the pixels depend on: equal for an unchanged file read in the same way."""
        status = self.path.stat()
        return {
            "raster": [str(self.path.resolve()), status.st_size, status.st_mtime_ns, *self.size],
            "bands": self.bands,
            "scale": [self.scale.low, self.scale.high] if self.scale is not None else None,
        }

    def read(self, top: int, bottom: int, left: int, right: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Read pixels uint8 [3, h, w] and where they have data [h, w]. Raises BadRaster if they are damaged."""
        return self._shown(f"rows {top} to {bottom - 1}", window=Window(left, top, right - left, bottom - top))

    def read_small(self, shape: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Read the whole raster shrunk to (height, width) by leaving out pixels, from an overview where it has one."""
        return self._shown("its overview", out_shape=shape)

    def _shown(self, where: str, **options: Any) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        try:
            pixels = self.raster.read(self.bands, **options)  # [bands, h, w]
            valid = np.ones(pixels.shape[1:], bool) if self.full else self.raster.dataset_mask(**options) > 0
        except RasterioError as error:
            reason = error.__cause__ or error
            raise BadRaster(f"{self.path} cannot be decoded in {where} ({reason})") from error
        if self.floating:
            valid &= np.isfinite(pixels).all(axis=0)
        if self.palette is not None:
            pixels = self.palette[pixels[0]].transpose(2, 0, 1)  # [3, h, w]
        shown = pixels if self.scale is None else self.scale.bytes_of(pixels)
        if not valid.all():
            shown[:, ~valid] = 0
        return shown, valid

    def _palette(self) -> NDArray[np.uint8] | None:
        """Colours [256, 3] of a single band whose values stand for colours."""
        if self.raster.count != 1 or self.raster.colorinterp[0] != ColorInterp.palette:
            return None
        colours = np.zeros((256, 3), np.uint8)
        for value, colour in self.raster.colormap(1).items():
            colours[value] = colour[:3]
        return colours

    def _bands(self, requested: Sequence[int] | None) -> list[int]:
        count = self.raster.count
        if requested is None:
            if count < 3:
                raise BadRaster(
                    f"{self.path} has {count} band{'s' if count > 1 else ''}, expected at least 3 (red, green, blue): "
                    f"name three with --bands, which may repeat: --bands {','.join(['1', '1', str(count)])}"
                )
            colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
            meanings = self.raster.colorinterp
            declared = all(colour in meanings for colour in colours)
            chosen = [meanings.index(colour) + 1 for colour in colours] if declared else [1, 2, 3]
            if count > 3 and not (count == 4 and ColorInterp.alpha in meanings):
                self.notes.append(f"{self.path} has {count} bands: {chosen} are read as red, green and blue (--bands)")
            return chosen
        if len(requested) != 3 or not all(1 <= band <= count for band in requested):
            raise BadRaster(
                f"--bands {','.join(map(str, requested))} does not fit {self.path}: expected three numbers "
                f"from 1 to {count}"
            )
        return list(requested)

    def _scale(self, kinds: set[str], requested: tuple[float, float] | None) -> Scale | None:
        if requested is not None:
            low, high = requested
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise BadRaster(f"--scale {low:g},{high:g}: expected two numbers MIN,MAX with MIN below MAX")
            return Scale((low, low, low), (high, high, high))
        if kinds == {"uint8"}:
            return None
        scale = self._percentiles()
        ranges = ", ".join(f"{low:g} to {high:g}" for low, high in zip(scale.low, scale.high, strict=True))
        self.notes.append(
            f"{self.path} has values of {', '.join(sorted(kinds))}: {ranges} (the {PERCENTILES[0]:g}nd and "
            f"{PERCENTILES[1]:g}th percentiles of a sample) become 0 to 255; choose others with --scale MIN,MAX"
        )
        return scale

    def _percentiles(self) -> Scale:
        """Return the percentiles of windows in a regular grid over the raster, without pixels that have no data."""
        windows = []
        tops, lefts = (
            sorted({int(place) for place in np.linspace(0, max(side - SAMPLE_SIDE, 0), SAMPLES)}) for side in self.size
        )
        for top in tops:
            for left in lefts:
                window = Window(left, top, min(SAMPLE_SIDE, self.size[1] - left), min(SAMPLE_SIDE, self.size[0] - top))
                try:
                    pixels = self.raster.read(self.bands, window=window).astype(np.float64)  # [3, h, w]
                    valid = self.raster.dataset_mask(window=window) > 0
                except RasterioError as error:
                    reason = error.__cause__ or error
                    raise BadRaster(f"{self.path} cannot be decoded near row {top} ({reason})") from error
                windows.append(pixels[:, valid & np.isfinite(pixels).all(axis=0)])
        sample = np.concatenate(windows, axis=1)  # [3, pixels]
        if not sample.size:
            raise BadRaster(f"{self.path}: no pixel of a sample has data, so give its range of values: --scale MIN,MAX")
        low, high = np.percentile(sample, PERCENTILES, axis=1)
        high = np.maximum(high, low + 1e-6 * np.maximum(np.abs(low), 1))  # a band of one value
        return Scale(_three(low), _three(high))


def _three(values: NDArray[np.float64]) -> tuple[float, float, float]:
    red, green, blue = values.tolist()
    return red, green, blue


def open_quietly(path: Path) -> DatasetReader:
    """Open a raster, without a warning if it has no georeference."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path)


def _opened(path: Path) -> DatasetReader:
    """Open the raster of a user. Raises BadRaster if it is missing or cannot be opened."""
    if not path.is_file():
        raise BadRaster(f"{path} is {'a folder' if path.is_dir() else 'not there'}: expected an image file")
    try:
        raster = open_quietly(path)
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
