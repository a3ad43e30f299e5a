"""Regions of equal label as polygons, strip by strip, without seams where strips meet.

Each strip's regions (pixels that share an edge, as GDAL polygonises) are numbered and outlined; those that touch the
next strip wait for it, and are joined once the whole region has been passed. In memory are one strip and the outlines
of regions that cross its lower edge. Coordinates stay whole pixels until a region is complete, so the joins are exact.
Imports no torch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int32]

STRIP = 512
"""Rows outlined at once."""


@dataclass(frozen=True)
class Region:
    """A region of one label; its outline in pixels, (column, row) from the upper left corner."""

    label: int
    outline: shapely.Polygon


@dataclass
class _Open:
    """Outlines of one region so far."""

    label: int
    pieces: list[shapely.Polygon] = field(default_factory=list)


def regions(
    read: Callable[[int, int], Bytes], size: tuple[int, int], labels: Sequence[int], strip: int = STRIP
) -> Iterator[Region]:
    """All regions of the wanted labels in a raster of (height, width) pixels.

    `read(top, bottom)` gives its rows [bottom - top, width]; each is asked for once, in order.
    """
    height, width = size
    waiting: list[_Open] = []  # regions that touch the upper edge of the strip to come
    above: Numbers = np.zeros(width, np.int32)  # 1 + place in `waiting` along that edge, 0 for none
    for top in range(0, height, strip):
        pixels = read(top, min(top + strip, height))
        numbers, found = _outlined(pixels, labels, top)
        # One graph over the regions from above and those of this strip; edges where equal labels meet at the seam.
        meet = (above > 0) & (numbers[0] > 0)
        meet[meet] = [
            waiting[a - 1].label == found[b - 1].label for a, b in zip(above[meet], numbers[0][meet], strict=True)
        ]
        total = len(waiting) + len(found)
        edges = above[meet] - 1, numbers[0][meet] - 1 + len(waiting)
        _, parts = connected_components(
            coo_array((np.ones(len(edges[0])), edges), shape=(total, total)), directed=False
        )
        joined: dict[int, _Open] = {}
        for part, region in zip(parts.tolist(), [*waiting, *found], strict=True):
            joined.setdefault(part, _Open(region.label)).pieces.extend(region.pieces)
        last = numbers[-1]  # a region from above alone cannot touch the lower edge
        on = parts[last[last > 0] - 1 + len(waiting)] if top + strip < height else np.zeros(0, int)
        kept = {part: place for place, part in enumerate(dict.fromkeys(on.tolist()))}
        for part, region in joined.items():
            if part not in kept:
                yield Region(region.label, _whole(region.pieces))
        above = np.zeros(width, np.int32)
        above[last > 0] = [kept[part] + 1 for part in on.tolist()] if kept else 0
        waiting = [joined[part] for part in kept]


def _outlined(pixels: Bytes, labels: Sequence[int], top: int) -> tuple[Numbers, list[_Open]]:
    """Number of each pixel's region [rows, width], from 1, 0 for other labels, and the regions by number."""
    numbers: Numbers = np.zeros(pixels.shape, np.int32)
    owners: list[int] = []
    for label in labels:
        mine, count = ndimage.label(pixels == label)  # neighbours share an edge
        inside = mine > 0
        numbers[inside] = mine[inside] + len(owners)
        owners += [label] * count
    pieces: dict[int, list[shapely.Polygon]] = defaultdict(list)
    shapes = rasterio.features.shapes(numbers, numbers > 0, connectivity=4, transform=Affine.translation(0, top))
    for shape, number in shapes:
        shell, *holes = shape["coordinates"]
        pieces[int(number)].append(shapely.Polygon(shell, holes))
    return numbers, [_Open(label, pieces[number]) for number, label in enumerate(owners, start=1)]


def _whole(pieces: Sequence[shapely.Polygon]) -> shapely.Polygon:
    """The pieces as one; corners that only a seam made are taken out."""
    return pieces[0] if len(pieces) == 1 else shapely.simplify(shapely.union_all(pieces), 0)
