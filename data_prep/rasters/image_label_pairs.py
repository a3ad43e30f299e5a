"""Match label rasters to image rasters, and check that they fit together on the ground.

Label rasters lie in a folder `label` (or `labels`, `mask`, `masks`), or have that word in their names; all others are
images. A label raster belongs to the image raster of the same name without that word. Where names do not tell, label
rasters serve all image rasters under them on the ground.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from data_prep.errors import DataError
from data_prep.file_names import nfc
from data_prep.prepare.tiles import whole_or_exact
from data_prep.processes import Progress
from data_prep.rasters.headers import Raster, read_headers

MAX_FACTOR = 64
"""Ratio of pixel sizes up to which they are believed; above, the unit is probably wrong."""


@dataclass(frozen=True)
class RasterPair:
    """Image raster with the label rasters that serve it."""

    image: Raster
    labels: tuple[Raster, ...]
    factor: tuple[float, float]  # see Tile
    by_pixels: bool


def find_raster_pairs(
    source: Path, resolution: tuple[float, float], progress: Progress
) -> tuple[list[RasterPair], list[str]]:
    """Return all image rasters with their labels, ordered by name, and a line for each raster that does not fit.

    `resolution` is that of `prepare_rasters`. Raises DataError if there is no image raster at all.
    """
    images, labels, faults = read_headers(source, progress)
    stems = [nfc(image.path.stem) for image in images]
    pairs = []
    for image in images:
        try:
            if stems.count(nfc(image.path.stem)) > 1:
                raise ValueError("another image raster has the same name")
            pairs.append(_pair(image, _labels_of(image, images, labels), resolution))
        except ValueError as error:
            faults.append(f"{image.name}: {error}")
    if not faults and not pairs:
        raise DataError(f"expected image rasters beside the label rasters in {source}, found none.")
    if not faults:  # else a label raster may have lost its image to another fault
        used = {label for pair in pairs for label in pair.labels}
        faults += [f"{label.name}: there is no image raster for these labels" for label in labels if label not in used]
    return pairs, faults


def overlapping(pairs: Sequence[RasterPair], margin: float) -> int:
    """Count the pairs of image rasters whose bounds overlap by more than `margin`, in the unit of the coordinates."""
    return sum(a.crs == b.crs and a.overlaps(b, margin) for a, b in combinations([pair.image for pair in pairs], 2))


def _labels_of(image: Raster, images: Sequence[Raster], labels: Sequence[Raster]) -> tuple[Raster, ...]:
    named = [label for label in labels if label.key == image.key]
    if named:
        return tuple(named)
    if len(images) == len(labels) == 1:
        return tuple(labels)
    image_keys = {raster.key for raster in images}
    unclaimed = [label for label in labels if label.key not in image_keys]
    return tuple(label for label in unclaimed if label.crs != image.crs or image.overlaps(label))


def _pair(image: Raster, labels: tuple[Raster, ...], resolution: tuple[float, float]) -> RasterPair:
    """Return the pair. Raises ValueError, without the image's name, if the rasters do not fit together."""
    if not labels:
        raise ValueError("there is no label raster for it: expected one of the same name in a folder label")
    by_pixels = any(raster.transform is None for raster in (image, *labels))
    for label in labels:
        if by_pixels and (label.size != image.size or len(labels) > 1):
            sizes = " and ".join("{1}x{0}".format(*raster.size) for raster in (image, *labels))
            raise ValueError(
                f"expected a georeference, or a label raster of equal size, found {label.name} with neither "
                f"({sizes}, width x height); set it: gdal_edit -a_srs CRS -a_ullr LEFT TOP RIGHT BOTTOM FILE"
            )
        if not by_pixels and label.crs != image.crs:
            raise ValueError(
                f"expected one coordinate system, found {image.crs_name}, and {label.crs_name} in {label.name}; "
                f"reproject it: gdalwarp -t_srs {image.crs_name} -r near OLD NEW"
            )
        if not by_pixels and not image.overlaps(label):
            raise ValueError(f"expected labels of the same place, found {label.name} elsewhere")
    return RasterPair(image, labels, _factor(image, resolution), by_pixels)


def _factor(image: Raster, resolution: tuple[float, float]) -> tuple[float, float]:
    """Return the pixels of the raster for one prepared pixel, along (rows, columns)."""
    prepared, assumed = resolution
    if image.transform is None:
        return whole_or_exact(prepared / assumed), whole_or_exact(prepared / assumed)
    if image.crs is not None and image.crs.is_geographic:
        raise ValueError(f"expected coordinates in metres, found degrees ({image.crs_name}); reproject with gdalwarp")
    metres = image.crs.linear_units_factor[1] if image.crs is not None else 1.0
    a, b, _, d, e, _ = image.transform[:6]
    across, down = math.hypot(a, d) * metres, math.hypot(b, e) * metres
    if abs(a * b + d * e) * metres**2 > 1e-3 * across * down:
        raise ValueError("expected rows at right angles to columns, found a sheared raster; use gdalwarp")
    factor = whole_or_exact(prepared / down), whole_or_exact(prepared / across)
    if min(factor) < 1 or max(factor) > MAX_FACTOR:
        raise ValueError(
            f"expected pixels of {prepared / MAX_FACTOR:.4f} to {prepared} m, found {across:.4g} x {down:.4g} m"
        )
    return factor
