"""Draw invented suburbs seen from the air at 0.3 metres a pixel, with exact masks of the buildings.

Colour alone does not give the roofs away: flat ones are as grey as the car parks beside them, sheds look like patios.
Roofs have shadows and sides of unequal light. Trees hide parts of a roof that the mask keeps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from data_prep.synthetic.drawing import (
    ASPHALT,
    CROPS,
    PAINT,
    ROOFS,
    SOIL,
    box,
    cars,
    crown,
    field_map,
    line_coverage,
    noise,
    shaded,
    split_fields,
    street_surface,
    through_the_lens,
    tinted,
    values_within,
)
from data_prep.synthetic.streets import Street
from data_prep.synthetic.suburbs import LARGEST_HOME, Lot, Vector, suburb
from rssam.contract import Colour

SHEETS = (*ROOFS, (66, 106, 100), (150, 62, 52), (106, 128, 160), (88, 84, 84), (186, 150, 120))
FLAT_ROOFS = (*ASPHALT, (78, 80, 84), (150, 150, 148), (226, 226, 224))
LAWNS = (*CROPS, (104, 112, 74), (140, 134, 100))
CONCRETE = ((164, 160, 152), (142, 140, 136), (178, 172, 160))
SHADE = (40, 42, 44)


@dataclass(frozen=True)
class RoofScene:
    """Image uint8 [H, W, 3] and its buildings as bool [H, W]."""

    image: NDArray[np.uint8]
    buildings: NDArray[np.bool_]


@dataclass(frozen=True)
class _Site:
    """Picture, mask, and the direction from which the light comes, as a unit vector."""

    picture: Image.Image
    mask: Image.Image
    sun: Vector

    def ground(self, corners: Sequence[tuple[float, float]], tint: Colour) -> None:
        ImageDraw.Draw(self.picture).polygon(corners, fill=tint)

    def shadow(self, corners: Sequence[tuple[float, float]], length: float) -> None:
        for share in (0.33, 0.67, 1.0):
            self.ground([(x, y) for x, y in np.array(corners) - share * length * self.sun], SHADE)

    def facet(self, corners: Sequence[Vector], tint: Colour, slope: Vector | None = None) -> None:
        """Draw a piece of roof that falls towards `slope` (unit vector), or lies flat."""
        points = [(float(x), float(y)) for x, y in corners]
        self.ground(points, tint if slope is None else shaded(tint, 1 + 0.2 * float(slope @ self.sun)))
        ImageDraw.Draw(self.mask).polygon(points, fill=1)


def roof_scene(size: int, rng: np.random.Generator) -> RoofScene:
    """Draw a square scene of `size` pixels of 0.3 metres."""
    angle = math.tau * rng.random()
    sun = np.array([math.cos(angle), math.sin(angle)])
    streets, lots = suburb(size, rng)
    site = _Site(_ground(size, rng, lots), Image.new("L", (size, size)), sun)
    roads = _pave(site, rng, streets)

    inhabited, level = noise(size, rng, (256, 128)), rng.uniform(-2.2, 0.3)
    used = []
    for lot in lots:
        column, row = lot.at(0, lot.deep / 2).clip(0, size - 1).astype(int)
        if inhabited[row, column] > level and values_within(roads, lot.outline(margin=4)) == {0}:
            used.append(lot)
    for lot in used:  # before any roof, so that nothing is painted over one that the mask keeps
        (_car_park if lot.wide > LARGEST_HOME else _garden)(site, rng, lot)
    for lot in used:
        (_hall if lot.wide > LARGEST_HOME else _house)(site, rng, lot)
    cars(site.picture, rng, streets, scale=1.6)
    _trees(site, rng, roads)
    return RoofScene(through_the_lens(site.picture, rng), np.asarray(site.mask).astype(bool))


def _ground(size: int, rng: np.random.Generator, lots: Sequence[Lot]) -> Image.Image:
    """Return grass land, and a lawn of its own on each lot."""
    cells = split_fields(size, rng, smallest=120)
    tints = np.array([tinted(rng, LAWNS) for _ in cells], np.uint8)
    picture = Image.fromarray(tints[field_map(size, rng, cells)])
    draw = ImageDraw.Draw(picture)
    for lot in lots:
        if rng.random() < 0.8:
            tint = tinted(rng, LAWNS if rng.random() < 0.85 else SOIL)
            draw.polygon(lot.outline(), fill=tint, outline=shaded(tint, rng.uniform(0.6, 1.3)))
    light = noise(size, rng, (64, 16)) * 7 + noise(size, rng, (8, 3)) * 8
    return Image.fromarray((np.asarray(picture) + light[..., None]).clip(0, 255).astype(np.uint8))


def _pave(site: _Site, rng: np.random.Generator, streets: Sequence[Street]) -> Image.Image:
    """Draw footpaths and streets; return where they are, anything but 0."""
    size = site.picture.width
    paths = line_coverage(size, [replace(street, width=street.width + 12) for street in streets])
    site.picture.paste(tinted(rng, CONCRETE), mask=paths)
    site.picture.paste(street_surface(size, rng, streets), mask=line_coverage(size, streets))
    return paths


def _garden(site: _Site, rng: np.random.Generator, lot: Lot) -> None:
    """Draw a drive, often with a car on it, and a patio."""
    drive = lot.drive * (lot.wide / 2 - 8)
    site.ground(lot.area(drive, 14, 5, 22), tinted(rng, CONCRETE))
    patio = lot.area(rng.uniform(-0.2, 0.2) * lot.wide, 0.7 * lot.deep, rng.uniform(6, 14), rng.uniform(4, 8))
    site.ground(patio, tinted(rng, CONCRETE + SOIL))
    if rng.random() < 0.4:
        _car(site, rng, lot.at(drive, rng.uniform(0, 24)), lot.heading + math.pi / 2)


def _house(site: _Site, rng: np.random.Generator, lot: Lot) -> None:
    """Draw a house, in most gardens, with a wing or without, and a shed."""
    if rng.random() < 0.1:
        return
    heading, tint = lot.heading + rng.normal(0, 0.04), tinted(rng, SHEETS, 12)
    long, deep = rng.uniform(16, min(30, lot.wide / 2 - 5)), rng.uniform(12, 17)
    along, inward = -lot.drive * max(lot.wide / 2 - long - 3, 0) * rng.uniform(0.5, 1.0), deep + rng.uniform(6, 16)
    roofs = [(lot.at(along, inward), heading, long, deep)]
    if rng.random() < 0.6:
        wing = rng.uniform(0.55, 0.75) * deep
        sideways, behind = rng.choice([-1, 0, 1]) * (long - wing), rng.choice([-1, 1]) * deep * rng.uniform(0.6, 0.9)
        roofs.insert(0, (lot.at(along + sideways, inward + behind), heading + math.pi / 2, 0.8 * deep, wing))
    if rng.random() < 0.7:
        spot = rng.uniform(-0.3, 0.3) * lot.wide, lot.deep - rng.uniform(9, 16)
        shed = lot.area(*spot, rng.uniform(5, 11), rng.uniform(5, 8))
        site.shadow(shed, 4)
        site.facet([np.array(corner) for corner in shed], tinted(rng, (*SHEETS, *CONCRETE), 12))
    height = rng.uniform(5, 8)
    for centre, along_ridge, half_long, half_deep in roofs:
        site.shadow(box(centre, half_long, half_deep, along_ridge), height)
    for roof in roofs:
        _roof(site, rng, *roof, tint)


def _roof(
    site: _Site, rng: np.random.Generator, centre: Vector, heading: float, long: float, deep: float, tint: Colour
) -> None:
    """Draw a roof of two or four sides with its ridge along `heading`."""
    a, b, c, d = (np.array(corner) for corner in box(centre, long, deep, heading))
    along = np.array([math.cos(heading), math.sin(heading)])
    across = np.array([-along[1], along[0]])
    hipped = rng.random() < 0.6
    reach = max(long - deep, 1.0) if hipped else long
    left, right = centre - reach * along, centre + reach * along
    site.facet((a, b, right, left), tint, -across)
    site.facet((c, d, left, right), tint, across)
    if hipped:
        site.facet((b, c, right), tint, along)
        site.facet((d, a, left), tint, -along)
    ImageDraw.Draw(site.picture).line([tuple(left), tuple(right)], fill=shaded(tint, 1.25))


def _car_park(site: _Site, rng: np.random.Generator, lot: Lot) -> None:
    """Draw asphalt over the whole lot, stalls along the street, cars in some."""
    site.ground(lot.area(0, lot.deep / 2 - 8, lot.wide / 2 - 1, lot.deep / 2 + 8), tinted(rng, ASPHALT, 10))
    draw = ImageDraw.Draw(site.picture)
    for along in np.arange(8 - lot.wide / 2, lot.wide / 2 - 8, 9):
        draw.line([tuple(lot.at(along, 2)), tuple(lot.at(along, 17))], fill=(196, 196, 192))
        if rng.random() < 0.55:
            _car(site, rng, lot.at(along + 4.5, 9.5), lot.heading + math.pi / 2)


def _hall(site: _Site, rng: np.random.Generator, lot: Lot) -> None:
    """Draw a flat roof behind the stalls, with its edge and its plant."""
    deep, long = (lot.deep - 26) / 2, lot.wide / 2 * rng.uniform(0.5, 0.85)
    along = rng.uniform(-1, 1) * (lot.wide / 2 - long - 4)
    hall, tint = lot.area(along, 24 + deep, long, deep), tinted(rng, FLAT_ROOFS)
    site.shadow(hall, rng.uniform(8, 14))
    site.facet([np.array(corner) for corner in hall], tint)
    ImageDraw.Draw(site.picture).polygon(hall, outline=shaded(tint, rng.choice([0.8, 1.2])))
    for _ in range(int(rng.integers(2, 7))):
        spot = along + rng.uniform(-0.8, 0.8) * long, 24 + deep + rng.uniform(-0.7, 0.7) * deep
        plant = lot.area(*spot, rng.uniform(2, 5), rng.uniform(2, 4))
        site.shadow(plant, 3)
        site.ground(plant, tinted(rng, CONCRETE))


def _car(site: _Site, rng: np.random.Generator, centre: Vector, heading: float) -> None:
    along = np.array([math.cos(heading), math.sin(heading)])
    site.shadow(box(centre, 7, 3, heading), 2)
    site.ground(box(centre, 7, 3, heading), tinted(rng, PAINT, 14))
    site.ground(box(centre + 2 * along, 1.2, 2.4, heading), (52, 56, 62))


def _trees(site: _Site, rng: np.random.Generator, roads: Image.Image) -> None:
    """Draw trees of several crowns, in groups, rooted neither in a roof nor in a street."""
    size = site.picture.width
    draw, shadow = ImageDraw.Draw(site.picture), tuple(-5 * site.sun)
    groves = noise(size, rng, (128, 32))
    for x, y in rng.uniform(0, size, (round(rng.uniform(80, 500) * (size / 512) ** 2), 2)):
        place = int(x), int(y)
        if groves[place[::-1]] > 0.3 and not site.mask.getpixel(place) and not roads.getpixel(place):
            radius = rng.uniform(3, 12)
            for dx, dy in rng.normal(0, radius / 2.5, (int(radius), 2)):
                crown(draw, rng, x + dx, y + dy, radius * rng.uniform(0.4, 0.7), shadow)
