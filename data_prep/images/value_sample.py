"""Read a sample of the values of an image, for the decision which of them become black and white."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_prep.images.decode import UNDECODABLE, BadPicture
from data_prep.images.tiff_header import read_tiff_header
from rssam.value_range import Sample, sampled_places


def is_wide(path: Path) -> bool | None:
    """Return whether an image has other values than bytes, by its header; None if that cannot be read."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        return False
    try:
        with path.open("rb") as stream:
            header = read_tiff_header(stream)
    except (OSError, BadPicture):
        return None
    return None if header is None else header.bits > 8 or not header.unsigned


def sample_of(path: Path, name: str, across: int) -> Sample | None:
    """Read at most `across` times `across` windows of a GeoTIFF; None if it cannot be read.

    Pixels without data are left out: of a no-data value, a mask or alpha, and what is no finite number.
    """
    from rasterio.windows import Window

    from data_prep.images import geotiff  # rasterio is slow to import

    try:
        with geotiff.opened(path) as raster:
            bands = geotiff.image_bands(raster)
            read: list[NDArray[np.float64]] = []
            for top, left, height, width in sampled_places(raster.shape, across):
                window = Window(left, top, width, height)
                pixels = raster.read(bands, window=window).astype(np.float64)  # [1 or 3, h, w]
                valid = np.isfinite(pixels).all(axis=0)
                for empty in geotiff.without_data(raster, window):
                    valid &= True if empty is None else ~empty
                read.append(pixels[:, valid])
            types = frozenset(raster.dtypes[band - 1] for band in bands)
    except (*geotiff.GDAL_ERRORS, *UNDECODABLE):  # a fault, which preparing lists
        return None
    values = np.concatenate(read, axis=1)
    ends = (float(values.min()), float(values.max())) if values.size else None
    return Sample(name, types, ends, np.broadcast_to(values, (3, values.shape[1])))
