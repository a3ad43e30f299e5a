"""Write the regions of a class map as polygons to a GeoPackage: class, area and perimeter on the ground.

Area and perimeter are geodesic, on the ellipsoid of the raster's coordinate system, so that degrees and Web Mercator
give square metres too. Outlines follow pixel edges: the perimeter of a slanting edge is that of its steps, up to 1.41
times the edge. Without a coordinate system both are in pixels. Imports no torch.
"""

from __future__ import annotations

import itertools
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyogrio
import pyogrio.errors
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import ProjError
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from rssam.errors import UserError
from rssam.inference.geotiff import Georeference

AT_ONCE = 5000
"""Regions written at once."""

STRIP = 512
"""Rows outlined at once."""

RingMeasure = Callable[[NDArray[np.float64], NDArray[np.float64]], tuple[float, float]]
"""Signed area and length of a closed ring, from x and y."""

UNWRITABLE = (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.FeatureError)


@dataclass(frozen=True)
class Region:
    """A region of one label; its outline in pixels, (column, row) from the upper left corner."""

    label: int
    outline: shapely.Polygon


@dataclass
class _OpenRegion:
    """The outlines so far of a region that may go on below."""

    label: int
    pieces: list[shapely.Polygon] = field(default_factory=list)


class Ground:
    """Converts pixels to map coordinates, and measures rings in metres."""

    def __init__(self, georeference: Georeference) -> None:
        self.transform = georeference.transform or Affine.identity()
        self.wkt = georeference.crs.to_wkt() if georeference.crs is not None else None
        self.geod: Geod | None = None
        if self.wkt is not None:
            crs = CRS.from_user_input(self.wkt)
            self.geod = crs.get_geod()
            if self.geod is not None and crs.geodetic_crs is not None:
                self.degrees = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)

    @property
    def units(self) -> tuple[str, str]:
        """Names of the fields of area and perimeter."""
        return ("area_m2", "perimeter_m") if self.geod is not None else ("area_px", "perimeter_px")

    def on_map(self, outlines: NDArray[np.object_]) -> NDArray[np.object_]:
        """Convert outlines in pixels to map coordinates; without any, rows count downwards as negative y."""
        a, b, c, d, e, f = self.transform[:6]
        if self.transform == Affine.identity():
            e = -1.0
        matrix = np.array([[a, d], [b, e]])
        converted: NDArray[np.object_] = shapely.transform(outlines, lambda pixels: pixels @ matrix + (c, f))
        return converted

    def sizes(self, outlines: NDArray[np.object_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Measure area and perimeter of each outline on the map; holes reduce the area and add to the perimeter."""
        rings, owners = shapely.get_rings(outlines, return_index=True)
        points, ring_of = shapely.get_coordinates(rings, return_index=True)
        if self.geod is not None:
            points = np.stack(self.degrees.transform(points[:, 0], points[:, 1]), axis=1)
        if not len(rings):
            return np.zeros(0), np.zeros(0)
        measure: RingMeasure = self.geod.polygon_area_perimeter if self.geod is not None else _planar
        areas, perimeters = np.zeros(len(outlines)), np.zeros(len(outlines))
        ends = np.flatnonzero(np.diff(ring_of)) + 1
        previous = -1
        for ring, owner in zip(np.split(points, ends), owners.tolist(), strict=True):
            area, length = measure(ring[:, 0], ring[:, 1])
            areas[owner] += abs(area) if owner != previous else -abs(area)  # the outer ring is the first
            perimeters[owner] += length
            previous = owner
        return areas, perimeters


def write_vectors(
    read: Callable[[int, int], NDArray[np.uint8]],
    size: tuple[int, int],
    classes: Mapping[int, str],
    georeference: Georeference,
    out: Path,
) -> int:
    """Write the regions of a class map to a new GeoPackage; return their number.

    Raises UserError, and leaves no file, if it cannot be written.

    Args:
        read: returns the labels [bottom - top, width] of rows top..bottom - 1.
        size: (height, width) of the class map in pixels.
        classes: names of the labels whose regions are written.
        georeference: where the pixels lie.
        out: the file.
    """
    ground = Ground(georeference)
    count = 0
    try:
        for batch in _batches(regions(read, size, list(classes))):
            _append(batch, classes, ground, out, new=count == 0)
            count += len(batch)
        if not count:
            _append([], classes, ground, out, new=True)
    except UNWRITABLE as error:
        raise UserError(
            f"{out.name} could not be written ({error}): free some space and run the same command again"
        ) from error
    except ProjError as error:
        raise UserError(
            f"areas in the raster's coordinate system cannot be found ({error}): leave out --vectors"
        ) from error
    return count


def _append(batch: Sequence[Region], classes: Mapping[int, str], ground: Ground, out: Path, *, new: bool) -> None:
    outlines = ground.on_map(np.array([region.outline for region in batch], dtype=object))
    areas, perimeters = ground.sizes(outlines)
    labels = np.array([region.label for region in batch], np.int32)
    names = np.array([classes[region.label] for region in batch], dtype=object)
    fields = ["class", "label", *ground.units]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided")  # the command says so in its own words
        pyogrio.raw.write(
            out, shapely.to_wkb(outlines), [names, labels, areas, perimeters], fields, layer="classes", driver="GPKG",
            geometry_type="Polygon", crs=ground.wkt, append=not new,
        )  # fmt: skip


def _batches(all_regions: Iterator[Region]) -> Iterator[list[Region]]:
    while batch := list(itertools.islice(all_regions, AT_ONCE)):
        yield batch


def _planar(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Area and length of a closed ring in a plane."""
    area = float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2
    return area, float(np.hypot(np.diff(x), np.diff(y)).sum())


def regions(
    read: Callable[[int, int], NDArray[np.uint8]], size: tuple[int, int], labels: Sequence[int], strip: int = STRIP
) -> Iterator[Region]:
    """Yield all regions of `labels` in a raster.

    Args:
        read: returns the labels [bottom - top, width] of rows top..bottom - 1; called for each row once, in order.
        size: (height, width) in pixels.
        labels: those whose regions are outlined.
        strip: rows outlined at once.
    """
    height, width = size
    waiting: list[_OpenRegion] = []  # regions that touch the upper edge of the strip to come
    above: NDArray[np.int32] = np.zeros(width, np.int32)  # 1 + place in `waiting` along that edge, 0 for none
    for top in range(0, height, strip):
        pixels = read(top, min(top + strip, height))
        numbers, outlined = _outline(pixels, labels, top)
        # One graph over the regions from above and those of this strip; edges where equal labels meet at the seam.
        meet = (above > 0) & (numbers[0] > 0)
        meet[meet] = [
            waiting[a - 1].label == outlined[b - 1].label for a, b in zip(above[meet], numbers[0][meet], strict=True)
        ]
        total = len(waiting) + len(outlined)
        edges = above[meet] - 1, numbers[0][meet] - 1 + len(waiting)
        _, components = connected_components(
            coo_array((np.ones(len(edges[0])), edges), shape=(total, total)), directed=False
        )
        joined: dict[int, _OpenRegion] = {}
        for component, region in zip(components.tolist(), [*waiting, *outlined], strict=True):
            joined.setdefault(component, _OpenRegion(region.label)).pieces.extend(region.pieces)
        last = numbers[-1]  # a region from above alone cannot touch the lower edge
        continuing = components[last[last > 0] - 1 + len(waiting)] if top + strip < height else np.zeros(0, int)
        kept = {component: place for place, component in enumerate(dict.fromkeys(continuing.tolist()))}
        for component, region in joined.items():
            if component not in kept:
                yield Region(region.label, _union(region.pieces))
        above = np.zeros(width, np.int32)
        above[last > 0] = [kept[component] + 1 for component in continuing.tolist()] if kept else 0
        waiting = [joined[component] for component in kept]


def _outline(pixels: NDArray[np.uint8], labels: Sequence[int], top: int) -> tuple[NDArray[np.int32], list[_OpenRegion]]:
    """Return the number of each pixel's region [rows, width], from 1, 0 for other labels, and the regions in order."""
    numbers: NDArray[np.int32] = np.zeros(pixels.shape, np.int32)
    owners: list[int] = []
    for label in labels:
        of_label, count = ndimage.label(pixels == label)  # neighbours share an edge
        inside = of_label > 0
        numbers[inside] = of_label[inside] + len(owners)
        owners += [label] * count
    pieces: dict[int, list[shapely.Polygon]] = defaultdict(list)
    shapes = rasterio.features.shapes(numbers, numbers > 0, connectivity=4, transform=Affine.translation(0, top))
    for shape, number in shapes:
        shell, *holes = shape["coordinates"]
        pieces[int(number)].append(shapely.Polygon(shell, holes))
    return numbers, [_OpenRegion(label, pieces[number]) for number, label in enumerate(owners, start=1)]


def _union(pieces: Sequence[shapely.Polygon]) -> shapely.Polygon:
    """Join the pieces of a region; corners that only a seam made are removed."""
    return pieces[0] if len(pieces) == 1 else shapely.simplify(shapely.union_all(pieces), 0)
