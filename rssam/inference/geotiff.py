"""Write finished rows as a cloud-optimised GeoTIFF: georeference, palette, class names, overviews; whole or not at all.

GDAL's COG driver copies block by block, so memory does not grow with the raster. What it wrote is read back and
compared, because GDAL reports a full disk late. Imports no torch.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio.shutil
from affine import Affine
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError  # what a copy raises; of no public class
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.windows import Window

from rssam.contract import IGNORE, Colour
from rssam.errors import UserError
from rssam.inference.partial_output import PartialOutput
from rssam.inference.raster_input import RasterSource, open_quietly

COG = {
    "compress": "deflate", "level": "6", "blocksize": "512", "bigtiff": "if_safer", "overview_compress": "deflate",
    "overviews": "auto",
}  # fmt: skip
ROWS = 512
LEVELS = 254
"""A probability is stored as the nearest of so many steps from 0 to 1; 255 is no data."""


@dataclass(frozen=True)
class Georeference:
    """Place of the pixels on the ground; all fields are empty for a plain picture."""

    crs: CRS | None
    transform: Affine | None
    points: tuple[GroundControlPoint, ...] = ()
    points_crs: CRS | None = None

    @classmethod
    def of(cls, source: RasterSource) -> Georeference:
        """Return that of a raster: its ground control points only where it has no transform."""
        points, crs = source.raster.gcps if source.transform is None else ([], None)
        return cls(source.raster.crs, source.transform, tuple(points), crs)


@dataclass(frozen=True)
class LayerStyle:
    """Band names, tags and colours that a layer has as a file."""

    names: tuple[str, ...]  # of the bands
    tags: Mapping[str, str]
    palette: tuple[Colour, ...] | None = None  # of the labels, from 0
    scale: float | None = None  # from stored numbers to what they stand for


def as_steps(probabilities: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Turn probabilities [C, rows, width] into bytes: steps of 1 / LEVELS, 255 without data."""
    steps = np.rint(np.clip(probabilities, 0, 1) * LEVELS).astype(np.uint8)
    steps[:, ~valid] = IGNORE
    return steps


def write_cog(partial: PartialOutput, layer: str, georeference: Georeference, style: LayerStyle, out: Path) -> None:
    """Write a layer as a GeoTIFF and compare it with the rows. Raises UserError, and leaves no file, if that fails.

    Args:
        partial: the finished rows.
        layer: the name of one of its layers.
        georeference: where the pixels lie.
        style: band names, tags and colours.
        out: the file.
    """
    virtual_raster = _describe(partial, layer, georeference, style)
    resampling = "nearest" if style.palette is not None else "average"
    try:
        rasterio.shutil.copy(virtual_raster, out, driver="COG", overview_resampling=resampling, **COG)
        _compare(partial, layer, out)
    except (CPLE_BaseError, RasterioError, OSError) as error:
        for path in (out, *out.parent.glob(f"{out.name}.*")):
            path.unlink(missing_ok=True)
        free = shutil.disk_usage(out.parent).free >> 20
        reason = error.__cause__ or error
        raise UserError(
            f"{out.name} could not be written whole ({reason}; {free} MiB are free on the disk): all rows "
            "are kept; free some space and run the same command again"
        ) from error


def count_labels(partial: PartialOutput, layer: str) -> NDArray[np.int64]:
    """Count the pixels [256] of each label of a layer of one band."""
    counts = np.zeros(256, np.int64)
    for top in range(0, partial.height, ROWS):
        counts += np.bincount(partial.read(layer, top, min(top + ROWS, partial.height)).ravel(), minlength=256)
    return counts


def _compare(partial: PartialOutput, layer: str, out: Path) -> None:
    with open_quietly(out) as raster:
        for top in range(0, partial.height, ROWS):
            bottom = min(top + ROWS, partial.height)
            if not np.array_equal(
                raster.read(window=Window(0, top, partial.width, bottom - top)), partial.read(layer, top, bottom)
            ):
                raise OSError(f"rows {top} to {bottom - 1} read back differently")


def _describe(partial: PartialOutput, layer: str, georeference: Georeference, style: LayerStyle) -> Path:
    """Write a GDAL virtual raster of the layer, with its georeference and style; return its path."""
    path, width, bands = partial.folder / f"{layer}.vrt", partial.width, partial.layers[layer]
    # Bytes row by row, in a row band by band. GDAL's own format for that, ENVI, refuses a file of one byte.
    described = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band + 1}" subClass="VRTRawRasterBand">'
        f'<SourceFilename relativeToVRT="1">{partial.path(layer).name}</SourceFilename>'
        f"<ImageOffset>{band * width}</ImageOffset><PixelOffset>1</PixelOffset>"
        f"<LineOffset>{bands * width}</LineOffset></VRTRasterBand>"
        for band in range(bands)
    )
    path.write_text(
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{partial.height}">{described}</VRTDataset>', "ascii"
    )
    with open_quietly(path, "r+") as raster:
        raster.nodata = IGNORE
        raster.descriptions = style.names
        raster.update_tags(**style.tags)
        if georeference.crs is not None:
            raster.crs = georeference.crs
        if georeference.transform is not None:
            raster.transform = georeference.transform
        if georeference.points:
            raster.gcps = list(georeference.points), georeference.points_crs or CRS()
        if style.scale is not None:
            raster.scales = [style.scale] * bands
        if style.palette is not None:
            clear = {IGNORE: (0, 0, 0, 0)}
            raster.write_colormap(1, dict.fromkeys(range(IGNORE), (0, 0, 0)) | dict(enumerate(style.palette)) | clear)
    return path
