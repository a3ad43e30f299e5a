"""Read one tile out of large rasters by windowed reads: memory depends on the tile, never on the raster.

Images are averaged in area, exactly, whatever the ratio of pixel sizes. Labels are read at the centre of each prepared
pixel, which keeps areas unbiased and invents no class. Drawing the outlines at the lower resolution gives the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.io import DatasetReader
from rasterio.windows import Window
from scipy.sparse import csr_array

from data_prep.images.decode import BadPicture
from data_prep.images.geotiff import GDAL_ERRORS, colour_bands, image_data, label_data, opened
from data_prep.images.masks import Mask
from data_prep.prepare.resize_or_tile import padded
from data_prep.prepare.tiles import LabelRaster, Tile
from rssam.contract import IGNORE

READ_AT_ONCE = 1 << 18
"""Pixels of a raster read at once, at least one row of prepared pixels."""

MAX_WINDOW = 1 << 22
"""Pixels of a label raster read at once."""

TIE = 1e-3
"""Pixels by which a centre on the border of two is moved to the right and down: rounding must not decide."""


@dataclass(frozen=True)
class TilePixels:
    """Tile as prepared: image uint8 [side, side, 3], and a mask of labels 0, 1 and 255."""

    image: NDArray[np.uint8]
    mask: Mask


kept_open = lru_cache(maxsize=8)(opened)
"""Rasters stay open between tiles, else GDAL would forget the blocks that the next tile shares."""


def close_rasters() -> None:
    """Close what `read_tile` left open in this process."""
    kept_open.cache_clear()


def read_tile(tile: Tile) -> TilePixels | None:
    """Return the tile's pixels; None if it has no data or no label at all. Raises BadPicture for a damaged raster."""
    name, values = tile.name, set[str]()
    with rasterio.Env(GDAL_CACHEMAX=tile.cache):
        try:
            raster = kept_open(tile.image)
            image, covered = average(raster, tile)
            if not covered.any():
                return None
            labels = np.full((tile.side, tile.side), IGNORE, np.uint8)
            for label in tile.labels:
                name = label.name
                values |= _fill(labels, label, kept_open(label.path), _to_label(raster, tile, label))
        except (*GDAL_ERRORS, OSError) as error:
            close_rasters()
            raise BadPicture(f"{name}: cannot be decoded in tile {tile.row}, {tile.column} ({error})") from error
    labels[~covered] = IGNORE
    if (labels == IGNORE).all():
        return None
    height, width = _within(tile, raster)
    image, labels = padded(image[:height, :width], labels[:height, :width], labels.shape)
    return TilePixels(image, Mask(labels, tuple(sorted(values))))


def _within(tile: Tile, raster: DatasetReader) -> tuple[int, int]:
    """Return the rows and columns of the tile that lie in the raster by half a prepared pixel or more, at least one."""
    places = zip((tile.row, tile.column), tile.factor, raster.shape, strict=True)
    rows, columns = (
        min(max(math.floor(end / step - number * tile.side + 0.5), 1), tile.side) for number, step, end in places
    )
    return rows, columns


def average(raster: DatasetReader, tile: Tile) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return means over the area of each prepared pixel, uint8 [side, side, 3], and where at least half of it has data.

    Pixels without data (beyond the edge, nodata, transparent) are left out of the means, and black where there is no
    other.
    """
    side, (down, across) = tile.side, tile.factor
    bands = colour_bands(raster)
    # Sums over whole pixels, of at most 64 x 64 of them, are exact in 32 bits, and twice as fast.
    kind = np.float32 if down.is_integer() and across.is_integer() else np.float64
    first, last = _extent(tile.column * side * across, side * across, raster.width)
    over_columns = overlaps(tile.column * side * across, across, side, first, last).astype(kind)
    image, covered = np.zeros((side, side, 3), np.uint8), np.zeros((side, side), bool)
    step = max(1, int(READ_AT_ONCE / (down * max(last - first, 1))))
    for row in range(0, side, step):
        rows = slice(row, min(row + step, side))
        count, start = rows.stop - rows.start, (tile.row * side + row) * down
        top, bottom = _extent(start, count * down, raster.height)
        if top >= bottom or first >= last:
            continue
        window = Window(first, top, last - first, bottom - top)
        over_rows = overlaps(start, down, count, top, bottom).astype(kind)
        pixels = raster.read(bands, window=window)  # [3, bottom - top, last - first]
        valid = image_data(raster, window)
        pixels *= valid
        area = over_columns @ (over_rows @ valid.astype(kind)).T  # [side, count]
        stacked = pixels.transpose(1, 0, 2).reshape(bottom - top, -1).astype(kind)
        reduced = (over_rows @ stacked).reshape(count, 3, -1).transpose(2, 0, 1).reshape(last - first, -1)
        total = (over_columns @ reduced).reshape(side, count, 3)
        means = np.floor(total / np.maximum(area, 1e-9)[..., None] + 0.5)
        image[rows] = means.transpose(1, 0, 2)
        covered[rows] = (area >= down * across / 2 - 1e-9).T
    return image, covered


def overlaps(start: float, step: float, count: int, first: int, last: int) -> csr_array:
    """Compute the lengths [count, last - first] that intervals share with pixels first..last-1.

    Args:
        start: where the first interval begins, in pixels.
        step: length of an interval in pixels.
        count: number of intervals, one after another.
        first: first pixel.
        last: one after the last pixel.
    """
    low = start + step * np.arange(count)[:, None]
    pixel = np.floor(low).astype(int) + np.arange(math.ceil(step) + 1)
    shared = np.minimum(low + step, pixel + 1) - np.maximum(low, pixel)
    used = (shared > 1e-9) & (pixel >= first) & (pixel < last)
    rows = np.broadcast_to(np.arange(count)[:, None], pixel.shape)
    return csr_array((shared[used], (rows[used], pixel[used] - first)), shape=(count, last - first))


def _extent(start: float, length: float, limit: int) -> tuple[int, int]:
    """Return the first pixel, and one after the last, that an interval touches, within 0..limit."""
    return max(math.floor(start + 1e-9), 0), min(math.ceil(start + length - 1e-9), limit)


def _to_label(raster: DatasetReader, tile: Tile, label: LabelRaster) -> Affine:
    """Return the transform from pixels of the tile to pixels of the label raster."""
    down, across = tile.factor
    to_image = Affine.scale(across, down) @ Affine.translation(tile.column * tile.side, tile.row * tile.side)
    return to_image if tile.by_pixels else ~kept_open(label.path).transform @ raster.transform @ to_image


def _fill(labels: NDArray[np.uint8], label: LabelRaster, raster: DatasetReader, to_label: Affine) -> set[str]:
    """Set labels [h, w] that are still unknown to what the raster shows at their centres; return its values there.

    A piece that needs too large a window is halved until it does not.
    """
    height, width = labels.shape
    rows, columns = np.arange(height)[:, None] + 0.5, np.arange(width) + 0.5
    x = np.floor(to_label.a * columns + to_label.b * rows + to_label.c + TIE).astype(int)
    y = np.floor(to_label.d * columns + to_label.e * rows + to_label.f + TIE).astype(int)
    inside = (x >= 0) & (x < raster.width) & (y >= 0) & (y < raster.height) & (labels == IGNORE)
    if not inside.any():
        return set()
    x, y = x[inside], y[inside]
    left, top, right, bottom = x.min(), y.min(), x.max() + 1, y.max() + 1
    if (right - left) * (bottom - top) > MAX_WINDOW and labels.size > 1:
        axis, middle = (0, height // 2) if height >= width else (1, width // 2)
        near, far = np.split(labels, [middle], axis)  # views
        further = to_label @ Affine.translation(*((0, middle) if axis == 0 else (middle, 0)))
        return _fill(near, label, raster, to_label) | _fill(far, label, raster, further)
    window = Window(left, top, right - left, bottom - top)
    stored = raster.read(1, window=window)[y - top, x - left]
    has_data = label_data(raster, window)[y - top, x - left]
    values = np.unique(stored[has_data])
    if not set(values.tolist()) <= {0, label.foreground}:
        raise BadPicture(f"{label.name}: changed while it was read")
    labels[inside] = np.where(has_data, (stored == label.foreground).astype(np.uint8), IGNORE)
    return {f"{value:g}" for value in values}
