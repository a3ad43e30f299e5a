"""Write the regions of a class map as polygons to a GeoPackage: class, area and perimeter on the ground.

Area and perimeter are geodesic, on the ellipsoid of the raster's coordinate system, so that feet, degrees and Web
Mercator give square metres too. Outlines follow pixel edges: the perimeter of a slanting edge is that of its steps, up
to 1.41 times the edge. Where the place on the ellipsoid is not known, both are counted in pixels, whatever the
transform. It is unknown without a coordinate system, in a local one, and where coordinates lie outside of the earth.
Imports no torch.
"""

from __future__ import annotations

import itertools
import math
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

UNWRITABLE = (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.FeatureError)


@dataclass(frozen=True)
class Region:
    """Region of a single label; its outline in pixels, (column, row) from the upper left corner."""

    label: int
    outline: shapely.Polygon


@dataclass
class _OpenRegion:
    """Outlines so far of a region that may continue below."""

    label: int
    pieces: list[shapely.Polygon] = field(default_factory=list)


class Ground:
    """Converter of pixels to map coordinates; it measures rings in metres, or in pixels where there are no metres."""

    def __init__(self, georeference: Georeference, size: tuple[int, int]) -> None:
        self.transform = georeference.transform or Affine.scale(1, -1)  # rows count downwards as negative y
        located = georeference.crs is not None and georeference.transform is not None
        self.wkt = georeference.crs.to_wkt() if located and georeference.crs is not None else None
        self.geod: Geod | None = None
        self.in_pixels: str | None = "it has no transform to a coordinate system"  # why, if it is so
        if self.wkt is not None:
            self._find_ellipsoid(CRS.from_user_input(self.wkt), size)

    def _find_ellipsoid(self, crs: CRS, size: tuple[int, int]) -> None:
        geodetic, geod = crs.geodetic_crs, crs.get_geod()
        if geod is None or geodetic is None or geodetic.is_geocentric:
            self.in_pixels = f"its coordinate system, {crs.name}, is not tied to an ellipsoid"
            return
        # Paris counts in grads.
        self.degrees_per_unit = math.degrees(geodetic.axis_info[0].unit_conversion_factor)
        self.transformer = Transformer.from_crs(crs, geodetic, always_xy=True)
        height, width = size
        corners = self.on_map(np.array([shapely.box(0, 0, width, height)], dtype=object))
        places = self._degrees(shapely.get_coordinates(corners))
        if not np.isfinite(places).all() or np.abs(places[:, 1]).max() > 90:
            self.in_pixels = f"its corners in {crs.name} are no places on the earth (another coordinate system?)"
            return
        self.geod, self.in_pixels = geod, None

    @property
    def units(self) -> tuple[str, str]:
        """Return the names of the fields of area and perimeter."""
        return ("area_m2", "perimeter_m") if self.geod is not None else ("area_px", "perimeter_px")

    def on_map(self, outlines: NDArray[np.object_]) -> NDArray[np.object_]:
        """Convert outlines in pixels to map coordinates."""
        a, b, c, d, e, f = self.transform[:6]
        matrix = np.array([[a, d], [b, e]])
        converted: NDArray[np.object_] = shapely.transform(outlines, lambda pixels: pixels @ matrix + (c, f))
        return converted

    def sizes(self, outlines: NDArray[np.object_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Measure area and perimeter of each outline in pixels; holes reduce the area and add to the perimeter."""
        if self.geod is None:
            return shapely.area(outlines), shapely.length(outlines)
        rings, owners = shapely.get_rings(self.on_map(outlines), return_index=True)
        points, ring_of = shapely.get_coordinates(rings, return_index=True)
        if not len(rings):
            return np.zeros(0), np.zeros(0)
        places = self._degrees(points)
        areas, perimeters = np.zeros(len(outlines)), np.zeros(len(outlines))
        ends = np.flatnonzero(np.diff(ring_of)) + 1
        previous = -1
        for ring, owner in zip(np.split(places, ends), owners.tolist(), strict=True):
            area, length = self.geod.polygon_area_perimeter(ring[:, 0], ring[:, 1])
            areas[owner] += abs(area) if owner != previous else -abs(area)  # the outer ring is the first
            perimeters[owner] += length
            previous = owner
        return areas, perimeters

    def _degrees(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert points [n, 2] of the map to longitude and latitude in degrees."""
        x, y = self.transformer.transform(points[:, 0], points[:, 1])
        return np.stack([x, y], axis=1) * self.degrees_per_unit


def write_vectors(
    read: Callable[[int, int], NDArray[np.uint8]],
    size: tuple[int, int],
    classes: Mapping[int, str],
    ground: Ground,
    out: Path,
) -> int:
    """Write the regions of a class map to a new GeoPackage; return their number.

    Raises UserError, and leaves no file, if it cannot be written.

    Args:
        read: returns the labels [bottom - top, width] of rows top..bottom - 1.
        size: (height, width) of the class map in pixels.
        classes: names of the labels whose regions are written.
        ground: where the pixels lie, and how they are measured.
        out: the file.
    """
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
    outlines = np.array([region.outline for region in batch], dtype=object)
    areas, perimeters = ground.sizes(outlines)
    labels = np.array([region.label for region in batch], np.int32)
    names = np.array([classes[region.label] for region in batch], dtype=object)
    fields = ["class", "label", *ground.units]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided")  # the command says so in its own words
        pyogrio.raw.write(
            out, shapely.to_wkb(ground.on_map(outlines)), [names, labels, areas, perimeters], fields, layer="classes",
            driver="GPKG", geometry_type="Polygon", crs=ground.wkt, append=not new,
        )  # fmt: skip


def _batches(all_regions: Iterator[Region]) -> Iterator[list[Region]]:
    while batch := list(itertools.islice(all_regions, AT_ONCE)):
        yield batch


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
