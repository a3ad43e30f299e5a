"""Names and grid arithmetic of the tiles that pictures and large rasters are divided into; reads no pixel."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from data_prep.manifest import AffineCoefficients, Manifest
from data_prep.rules import EdgeTiles

SNAP = 1e-3
"""A ratio of pixel sizes this near to a whole number, relatively, is taken as whole: files round their pixel sizes."""

MOST_PADDING = 0.2
"""Share of padding from which the side that pads least is named."""

SIDES = range(256, 1025, 32)
"""Sides in pixels that it is chosen from."""


@dataclass(frozen=True)
class LabelRaster:
    """Raster of labels: 0 is background, `foreground` the class, all else was refused when it was first read."""

    path: Path
    name: str
    foreground: int


@dataclass(frozen=True)
class Tile:
    """Square piece of an image raster, with the rasters that label it. Picklable, for other processes."""

    image: Path
    name: str  # how messages call the image raster
    labels: tuple[LabelRaster, ...]  # where several overlap, the first that has data counts
    by_pixels: bool  # labels lie pixel on pixel, without a georeference
    row: int  # place in the grid of tiles
    column: int
    side: int  # of the prepared tile, in pixels
    factor: tuple[float, float]  # pixels of the raster for one prepared pixel, along (rows, columns)
    raster: str  # stem of the image raster it comes from
    crs: str | None  # as WKT
    transform: AffineCoefficients | None  # prepared pixels of this tile to coordinates
    cache: int  # bytes of decoded blocks that GDAL may keep in this process
    digests: tuple[str, str]  # of the image raster and of all label rasters that serve it

    @property
    def source_size(self) -> tuple[int, int]:
        """Return (height, width) of the tile in pixels of the raster, to the nearest whole one."""
        return round(self.side * self.factor[0]), round(self.side * self.factor[1])


def tile_stem(stem: str, top: int, left: int) -> str:
    """Return the stem of a tile: that of its picture, and its first row and column there, in prepared pixels."""
    return f"{stem}_y{top:05}_x{left:05}"


def whole_or_exact(ratio: float) -> float:
    """Return the ratio, or the whole number that it nearly is."""
    whole = round(ratio)
    return float(whole) if whole and abs(ratio / whole - 1) < SNAP else ratio


def padding(sizes: Iterable[tuple[int, int]], side: int) -> float:
    """Return the share of the pixels of square tiles that lies beyond images of these (height, width), 0..1."""
    inside = cut = 0
    for height, width in sizes:
        inside += height * width
        cut += math.ceil(height / side) * math.ceil(width / side) * side**2
    return 1 - inside / cut if cut else 0.0


def padding_advice(manifest: Manifest) -> str:
    """Return a sentence with the side that pads least if tiles of this one are mostly padding; otherwise nothing."""
    sizes = {entry.tile_of: entry.source_size for entry in manifest.entries if entry.tile_of is not None}.values()
    height, width = manifest.image_size
    if height != width or manifest.expected_pairs is not None or (now := padding(sizes, height)) <= MOST_PADDING:
        return ""
    best = min(reversed(SIDES), key=lambda side: padding(sizes, side))
    return (
        f"padding: {now:.1%} with tiles of {height} pixels; least with --side {best}: {padding(sizes, best):.1%}. To "
        "change it, delete the folder and run prepare again"
    )


def tile_counts(size: tuple[int, int], factor: tuple[float, float], side: int, edges: EdgeTiles) -> tuple[int, int]:
    """Count the rows and columns of tiles over a raster, from its upper left corner.

    Args:
        size: (height, width) of the raster in its pixels.
        factor: pixels of the raster for one prepared pixel, along (rows, columns).
        side: of a tile, in prepared pixels.
        edges: whether tiles that reach beyond the raster count.
    """
    down, across = (extent / (step * side) for extent, step in zip(size, factor, strict=True))
    if edges == "pad":
        return math.ceil(down - 1e-9), math.ceil(across - 1e-9)
    return math.floor(down + 1e-9), math.floor(across + 1e-9)
