"""Tell where a picture lies on the ground, by its own tags or a world file; and whether a mask lies there too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affine import Affine

TOLERANCE = 0.5 + 1e-3
"""Pixels by which a mask may lie beside its image: files round, and half a pixel is a habit of counting."""


KINDS = ("tif", "tiff", "png", "jpg", "jpeg")


@dataclass(frozen=True)
class Place:
    """Coordinate system as rasterio has it, and the transform from (column, row) to coordinates; None if unknown."""

    transform: Affine | None
    crs: Any = None


def world_endings(kind: str) -> tuple[str, ...]:
    """Return the endings that the world file of a picture with the ending `kind` may have: of "tif" tfw, tifw, wld."""
    return (f"{kind[:1]}{kind[-1:]}w", f"{kind}w", "wld") if kind else ("wld",)


def pictures_of(name: str) -> tuple[str, ...]:
    """Return the names that a picture may have for a file beside it to be its world file or its mask."""
    stem, _, ending = name.rpartition(".")
    if ending.lower() == "msk":
        return (stem,)
    return tuple(f"{stem}.{kind}" for kind in KINDS if ending.lower() in world_endings(kind))


def world_file(path: Path) -> Place | None:
    """Read the place that a world file beside a picture gives (.tfw, .pgw, .jgw, .wld); None without a readable one."""
    endings = world_endings(path.suffix.removeprefix("."))
    for name in (*endings, *map(str.upper, endings)):
        try:
            text = path.with_suffix(f".{name}").read_text(encoding="ascii")
            a, d, b, e, x, y = map(float, text.split())
        except (OSError, ValueError):
            continue
        # Its last two lines are the centre of the first pixel.
        return Place(Affine(a, b, x, d, e, y) @ Affine.translation(-0.5, -0.5))
    return None


def misplaced(image: Place | None, mask: Place | None, size: tuple[int, int]) -> str | None:
    """Return why a mask of the image's `size` (height, width) does not lie on it, or None where either is unknown."""
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
