"""Read a sample of the values of an image, for the decision which of them become black and white."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_prep.images.decode import PNG_BITS, UNDECODABLE, is_deep_png
from data_prep.images.tiff_header import tiff_header_of
from rssam.value_range import Sample, sampled_places


def is_wide(path: Path) -> bool | None:
    """Return whether an image has other values than bytes, by its header; None if that cannot be read."""
    if path.suffix.lower() in (".tif", ".tiff"):
        header = tiff_header_of(path)
        return None if header is None else header.bits > 8 or not header.unsigned
    try:
        if not path.is_file():  # a pipe would wait for ever
            return None
        return path.suffix.lower() == ".png" and _is_deep_png(path)
    except OSError:
        return None


def _is_deep_png(path: Path) -> bool:
    with path.open("rb") as stream:
        return is_deep_png(stream.read(PNG_BITS + 1))


def sample_of(path: Path, name: str, across: int, named: Sequence[int] | None = None) -> Sample | None:
    """Read at most `across` times `across` windows of an image that `is_wide`; None for one that cannot be read.

    Pixels without data are left out: of a no-data value, a mask or alpha, and what is no finite number.
    """
    from rasterio.windows import Window

    from data_prep.images import geotiff  # rasterio is slow to import

    try:
        with geotiff.opened(path, "PNG" if _is_deep_png(path) else geotiff.DRIVER) as raster:
            bands = geotiff.image_bands(raster, named)
            if any(raster.dtypes[band - 1].startswith("complex") for band in bands):
                return None
            no_mask = geotiff.alpha_is_no_mask(raster, named)
            read: list[NDArray[np.float64]] = []
            for top, left, height, width in sampled_places(raster.shape, across):
                window = Window(left, top, width, height)
                pixels = raster.read(bands, window=window).astype(np.float64)  # [1 or 3, h, w]
                valid = np.isfinite(pixels).all(axis=0)
                for empty in geotiff.without_data(raster, window, named, no_mask=no_mask):
                    valid &= True if empty is None else ~empty
                read.append(pixels[:, valid])
            types = frozenset(raster.dtypes[band - 1] for band in bands)
    except (*geotiff.GDAL_ERRORS, *UNDECODABLE):  # a fault, which preparing lists
        return None
    values = np.concatenate(read, axis=1)
    ends = (float(values.min()), float(values.max())) if values.size else None
    return Sample(name, types, ends, np.broadcast_to(values, (3, values.shape[1])))
