"""Where a picture lies on the ground, by its own tags or a file beside it; and whether a mask lies there too."""

from __future__ import annotations

import html
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from affine import Affine

from rssam.foreign_json import read_bytes

TOLERANCE = 0.5 + 1e-3
"""Pixels by which a mask may lie beside its image: files round, and half a pixel is a habit of counting."""


AUXILIARY = ".aux.xml"
MOST_BYTES = 1 << 22
TRANSFORM = re.compile(r"<GeoTransform>([^<]*)</GeoTransform>")
SYSTEM = re.compile(r"<SRS[^>]*>([^<]*)</SRS>")

KINDS = ("tif", "tiff", "png", "jpg", "jpeg")


@dataclass(frozen=True)
class Place:
    """Coordinate system as rasterio has it, and the transform from (column, row) to coordinates; None if unknown."""

    transform: Affine | None
    crs: Any = None


def placed(transform: Affine, crs: Any = None) -> Place | None:
    """Return the place of a transform; None if its numbers are not finite, which is nowhere."""
    return Place(transform, crs) if all(map(math.isfinite, transform)) else None


def world_endings(kind: str) -> tuple[str, ...]:
    """Return the endings that the world file of a picture with the ending `kind` may have: of "tif" tfw, tifw, wld."""
    return (f"{kind[:1]}{kind[-1:]}w", f"{kind}w", "wld") if kind else ("wld",)


def pictures_of(name: str) -> tuple[str, ...]:
    """Return the names that a picture may have for a file beside it to be its mask, or to say where it lies."""
    if name.lower().endswith(AUXILIARY):
        return (name[: -len(AUXILIARY)],)
    stem, _, ending = name.rpartition(".")
    if ending.lower() == "msk":
        return (stem,)
    return tuple(f"{stem}.{kind}" for kind in KINDS if ending.lower() in world_endings(kind))


def place_beside(path: Path) -> Place | None:
    """Return the place that a file beside a picture gives: GDAL's `.aux.xml`, or a world file; None without one."""
    return auxiliary_file(path) or world_file(path)


def auxiliary_file(path: Path) -> Place | None:
    """Read the place that GDAL writes beside a picture that cannot hold one; None without a readable one.

    Only these two texts are sought: nothing else of the XML is read.
    """
    from affine import Affine  # light commands read no place

    try:
        text = read_bytes(path.with_name(path.name + AUXILIARY), most_bytes=MOST_BYTES).decode()
        found = TRANSFORM.search(text)
        if found is None:
            return None
        transform = Affine.from_gdal(*(float(number) for number in found[1].split(",")))
    except (OSError, ValueError, TypeError):  # TypeError: of other than six numbers
        return None
    system = SYSTEM.search(text)
    return placed(transform, None if system is None else _system(html.unescape(system[1])))


def _system(text: str) -> Any:
    from rasterio.crs import CRS, CRSError  # slow to import

    try:
        return CRS.from_wkt(text)
    except CRSError:
        return None


def world_file(path: Path) -> Place | None:
    """Read the place that a world file beside a picture gives (.tfw, .pgw, .jgw, .wld); None without a readable one."""
    endings = world_endings(path.suffix.removeprefix("."))
    for name in (*endings, *map(str.upper, endings)):
        try:
            # A pipe would wait for ever, a device would never end.
            text = read_bytes(path.with_suffix(f".{name}"), most_bytes=MOST_BYTES).decode("ascii")
            a, d, b, e, x, y = map(float, text.split())
        except (OSError, ValueError):
            continue
        from affine import Affine

        # Its last two lines are the centre of the first pixel.
        return placed(Affine(a, b, x, d, e, y) @ Affine.translation(-0.5, -0.5))
    return None


def misplaced(image: Place | None, mask: Place | None, size: tuple[int, int], mask_size: tuple[int, int]) -> str | None:
    """Return why a mask does not lie on its image, by their sizes (height, width), and where both places are known."""
    if mask_size != size:
        found, expected = ("{1}x{0}".format(*shape) for shape in (mask_size, size))
        return f"expected the size of its image, {expected}, found {found} (width x height)"
    if image is None or mask is None:
        return None
    if image.crs is not None and mask.crs is not None and image.crs != mask.crs:
        there = image.crs.to_string()
        return (
            f"expected the coordinate system of its image, {there}, found {mask.crs.to_string()}; reproject it: "
            f"gdalwarp -t_srs {there} -r near OLD NEW"
        )
    if image.transform is None or mask.transform is None or mask.transform.is_degenerate:
        return None
    remedy = (
        "cut it to the image: gdalwarp -te LEFT BOTTOM RIGHT TOP -ts WIDTH HEIGHT -r near OLD NEW; or if it fits pixel "
        "on pixel, drop its place: gdal_edit.py -unsetgt FILE"
    )
    if (image.transform.determinant > 0) != (mask.transform.determinant > 0):
        turned, other = ("it", "its image") if mask.transform.determinant > 0 else ("its image", "it")
        return (
            f"expected the orientation of its image, found {turned} south-up and {other} north-up; "
            "turn it: gdalwarp -r near OLD NEW"
        )
    to_mask = ~mask.transform @ image.transform
    height, width = size
    shifts = [
        (x - column, y - row)
        for column in (0, width)
        for row in (0, height)
        for x, y in [to_mask @ (column, row)]
    ]  # fmt: skip
    if max(abs(part) for shift in shifts for part in shift) <= TOLERANCE:
        return None
    steps = [(abs(place.a) + abs(place.b), abs(place.d) + abs(place.e)) for place in (image.transform, mask.transform)]
    if any(
        abs(ours - theirs) * side > TOLERANCE * ours for ours, theirs, side in zip(*steps, (width, height), strict=True)
    ):
        sizes = [f"{across:g}x{down:g}" for across, down in steps]
        return f"expected the pixel size of its image, {sizes[0]}, found {sizes[1]}; {remedy}"
    right, down = (round(-value, 2) + 0.0 for value in shifts[0])  # no -0
    return f"expected the place of its image, found it {right:g} pixels to the right and {down:g} down; {remedy}"
