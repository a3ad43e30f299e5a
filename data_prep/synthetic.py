"""Invented aerial scenes with exact road masks: a model can learn on them; they stand for no real place.

Colour alone does not give the roads away: tracks share their tint with bare soil, asphalt with flat roofs, canals and
field paths share the shape. Trees and their shadows hide parts of a road that the mask keeps, as annotators do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from data_prep.streets import Street, street_network

Colour = tuple[int, int, int]

SOIL = ((152, 122, 86), (126, 101, 74), (172, 148, 112), (138, 116, 94))
CROPS = ((62, 84, 48), (82, 104, 60), (48, 66, 42), (112, 114, 72), (94, 92, 60), (132, 122, 82))
ROOFS = ((176, 98, 70), (158, 156, 152), (202, 196, 186), (128, 108, 92), (104, 104, 108), (118, 122, 132))
ASPHALT = ((92, 93, 97), (112, 112, 112), (134, 131, 126))
TRACK = (*SOIL, (176, 154, 122), (188, 170, 142))
WATER = ((58, 72, 66), (74, 84, 76), (84, 96, 102))
PAINT = ((220, 220, 222), (60, 62, 70), (150, 60, 52))
CROWNS = ((44, 62, 34), (56, 74, 40), (38, 54, 36), (68, 82, 46))


@dataclass(frozen=True)
class Scene:
    """An image uint8 [H, W, 3] and its roads as bool [H, W]."""

    image: NDArray[np.uint8]
    roads: NDArray[np.bool_]


def road_scene(size: int, rng: np.random.Generator) -> Scene:
    """One square scene of `size` pixels; roads are 2 to 22 pixels wide whatever the size."""
    urban = float(rng.beta(0.8, 1.2))
    streets = street_network(size, rng, urban)
    sun = math.tau * rng.random()
    shadow = (3.5 * math.cos(sun), 3.5 * math.sin(sun))

    picture = _ground(size, rng, urban)
    canal = _water_and_paths(picture, rng)
    coverage = _line_coverage(size, streets)
    picture.paste(_street_surface(size, rng, streets), mask=coverage)
    _cars(picture, rng, streets)
    _houses(picture, rng, streets, canal, urban, shadow)
    _trees(picture, rng, streets, shadow)
    return Scene(_through_the_lens(picture, rng), np.asarray(coverage) >= 128)


def _noise(size: int, rng: np.random.Generator, cells: Sequence[int]) -> NDArray[np.float32]:
    """Smooth noise [size, size] of about unit deviation: one octave per cell size in pixels, coarse ones stronger."""
    weights = [math.sqrt(cell) for cell in cells]
    total = np.zeros((size, size), np.float32)
    for cell, weight in zip(cells, weights, strict=True):
        knots = Image.fromarray(rng.standard_normal((size // cell + 3,) * 2, np.float32))
        total += np.asarray(knots.resize((size, size), Image.Resampling.BICUBIC)) * np.float32(weight)
    return total / np.float32(0.7 * math.hypot(*weights))


def _tinted(rng: np.random.Generator, colours: Sequence[Colour], spread: float = 8.0) -> Colour:
    """One of the colours, shifted a little in brightness and less in hue."""
    base = np.array(colours[int(rng.integers(len(colours)))]) + rng.normal(0, spread) + rng.normal(0, spread / 3, 3)
    red, green, blue = base.clip(0, 255).astype(int).tolist()
    return red, green, blue


def _shaded(colour: Colour, factor: float) -> Colour:
    """The colour in more or less light, full at most."""
    red, green, blue = (min(255, int(channel * factor)) for channel in colour)
    return red, green, blue


def _ground(size: int, rng: np.random.Generator, urban: float) -> Image.Image:
    """Fields as a turned, recursively split rectangle: each with its tint, its furrows and its share of bare soil."""
    dry = rng.random()
    cells = _split_fields(size, rng, smallest=70 + 90 * urban)
    index = Image.new("I", (size, size))
    draw = ImageDraw.Draw(index)
    for number, corners in enumerate(cells):
        draw.polygon([(x, y) for x, y in corners], fill=number)
    # Wobbling the lookup keeps borders from being ruler-straight.
    wobble = (_noise(size, rng, (64, 16)) * 2.0).astype(np.int32)
    rows, columns = np.indices((size, size), dtype=np.int32)
    field = np.asarray(index)[(rows + wobble).clip(0, size - 1), (columns - wobble).clip(0, size - 1)]

    tints = np.array([_tinted(rng, SOIL if rng.random() < dry else CROPS) for _ in cells], np.float32)
    tints = tints.mean(axis=0) + (tints - tints.mean(axis=0)) * np.float32(1.0 - 0.6 * urban)
    angles = rng.uniform(0, math.pi, len(cells))
    pitch = math.tau / rng.uniform(4, 11, len(cells))
    depth = (rng.uniform(0, 9, len(cells)) * (rng.random(len(cells)) < 0.6) * (1 - urban)).astype(np.float32)
    across, down = (np.cos(angles) * pitch).astype(np.float32), (np.sin(angles) * pitch).astype(np.float32)
    furrows = np.sin(columns * across[field] + rows * down[field]) * depth[field]
    light = _noise(size, rng, (256, 64, 16, 4)) * 10 + furrows
    bare = (_noise(size, rng, (128, 32, 8)) * 0.3 + (dry - 0.6)).clip(0, 0.8)[..., None]
    ground = tints[field] * (1 - bare) + np.array(_tinted(rng, SOIL), np.float32) * bare + light[..., None]
    return Image.fromarray(ground.clip(0, 255).astype(np.uint8))


def _split_fields(size: int, rng: np.random.Generator, smallest: float) -> list[NDArray[np.float64]]:
    """Corners [4, 2] (x, y) of the cells of a rectangle that covers the scene, split until `smallest` pixels."""
    angle = rng.uniform(0, math.pi / 2)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    pending = [(-0.75 * size, -0.75 * size, 0.75 * size, 0.75 * size)]
    cells = []
    while pending:
        left, top, right, bottom = pending.pop()
        wide, tall = right - left, bottom - top
        if max(wide, tall) < smallest * rng.uniform(1.2, 3.0):
            corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
            cells.append(corners @ turn + size / 2)
        elif wide > tall:
            cut = left + wide * rng.uniform(0.3, 0.7)
            pending += [(left, top, cut, bottom), (cut, top, right, bottom)]
        else:
            cut = top + tall * rng.uniform(0.3, 0.7)
            pending += [(left, top, right, cut), (left, cut, right, bottom)]
    return cells


def _water_and_paths(picture: Image.Image, rng: np.random.Generator) -> list[Street]:
    """Lines that are no roads: thin field paths and, in every second scene, the canal that is returned."""
    plan = street_network(picture.width, rng, urban=0.0)
    draw = ImageDraw.Draw(picture)
    for path in plan[2:]:
        tint = _tinted(rng, CROPS[2:5] + SOIL[:2])
        draw.line([(x, y) for x, y in path.points], fill=tint, width=int(rng.integers(1, 3)))
    canal = plan[: int(rng.integers(0, 2))]
    picture.paste(_tinted(rng, WATER), mask=_line_coverage(picture.width, canal))
    return canal


def _line_coverage(size: int, streets: Sequence[Street]) -> Image.Image:
    """Share of each pixel that lies on a street, 0..255: drawn at twice the size, then averaged."""
    fine = Image.new("L", (2 * size, 2 * size))
    draw = ImageDraw.Draw(fine)
    for street in streets:
        draw.line([(2 * x, 2 * y) for x, y in street.points], fill=255, width=round(2 * street.width), joint="curve")
    return fine.reduce(2)


def _street_surface(size: int, rng: np.random.Generator, streets: Sequence[Street]) -> Image.Image:
    """The colours under the coverage: tracks below, wide roads on top, centre lines and wheel marks."""
    surface = Image.new("RGB", (size, size), ASPHALT[0])
    draw = ImageDraw.Draw(surface)
    asphalt, track = _tinted(rng, ASPHALT, 14), _tinted(rng, TRACK, 12)
    for street in sorted(streets, key=lambda street: (street.paved, street.width)):
        line = [(x, y) for x, y in street.points]
        tint = _tinted(rng, (asphalt if street.paved else track,), 5)
        draw.line(line, fill=tint, width=round(street.width) + 4, joint="curve")
        if street.paved and street.width > 12:
            for start in range(0, len(line) - 1, 2):
                draw.line(line[start : start + 2], fill=(196, 194, 184), width=1)
    worn = _noise(size, rng, (64, 16, 4)) * 5
    return Image.fromarray((np.asarray(surface) + worn[..., None]).clip(0, 255).astype(np.uint8))


def _cars(picture: Image.Image, rng: np.random.Generator, streets: Sequence[Street]) -> None:
    """A few cars on paved roads, 9 by 4 pixels, on the right-hand lane."""
    draw = ImageDraw.Draw(picture)
    for street in streets:
        if street.paved and street.width > 6:
            for at in np.flatnonzero(rng.random(len(street.points) - 1) < 0.06):
                along = street.points[at + 1] - street.points[at]
                heading = math.atan2(along[1], along[0])
                centre = street.points[at] + street.width / 4 * np.array([-math.sin(heading), math.cos(heading)])
                draw.polygon(_box(centre, 4.5, 2.0, heading), fill=_tinted(rng, PAINT))


def _houses(
    picture: Image.Image,
    rng: np.random.Generator,
    streets: Sequence[Street],
    canal: Sequence[Street],
    urban: float,
    shadow: tuple[float, float],
) -> None:
    """Two-sided roofs with shadows beside the streets, never on them and never in the water."""
    taken = Image.new("L", picture.size)
    block = ImageDraw.Draw(taken)
    for street in (*streets, *canal):
        block.line([(x, y) for x, y in street.points], fill=255, width=round(street.width) + 5, joint="curve")
    draw = ImageDraw.Draw(picture)
    family = ROOFS[: int(rng.integers(2, len(ROOFS) + 1))]
    for street in streets:
        likely = (0.12 + 0.88 * urban) * (1.0 if street.paved else 0.35)
        for at, side in np.argwhere(rng.random((len(street.points) - 1, 2)) < likely):
            along = street.points[at + 1] - street.points[at]
            heading = math.atan2(along[1], along[0])
            across = np.array([-math.sin(heading), math.cos(heading)])
            long, deep = rng.uniform(6, 13), rng.uniform(5, 10)
            setback = street.width / 2 + deep + rng.uniform(4, 14)
            centre = street.points[at] + (2 * side - 1) * setback * across
            if taken.crop(_bounds(centre, math.hypot(long, deep))).getextrema()[1]:
                continue
            block.polygon(_box(centre, long + 2, deep + 2, heading), fill=255)
            tint = _tinted(rng, family, 12)
            draw.polygon(_box(centre + 2 * np.array(shadow), long, deep, heading), fill=(44, 44, 46))
            draw.polygon(_box(centre, long, deep, heading), fill=tint)
            draw.polygon(_box(centre + deep / 2 * across, long, deep / 2, heading), fill=_shaded(tint, 0.84))


def _trees(
    picture: Image.Image, rng: np.random.Generator, streets: Sequence[Street], shadow: tuple[float, float]
) -> None:
    """Woods and single trees, and rows along some streets whose crowns hang over the road."""
    size = picture.width
    woods = _noise(size, rng, (256, 64, 32))
    spots = rng.uniform(0, size, (round(rng.uniform(400, 5000) * (size / 1024) ** 2), 2))
    kept = woods[spots[:, 1].astype(int), spots[:, 0].astype(int)] > rng.uniform(0.2, 1.6)
    coverage = np.asarray(_line_coverage(size, streets))
    clear = coverage[spots[:, 1].astype(int), spots[:, 0].astype(int)] == 0
    places = [spots[kept & clear]]
    for street in streets:
        if rng.random() < 0.4:
            beside = rng.random(len(street.points)) < rng.uniform(0.1, 0.6)
            reach = street.width / 2 + rng.uniform(0, 6, (int(beside.sum()), 1))
            places.append(street.points[beside] + reach * rng.choice([-0.8, 0.8], (len(reach), 2)))
    draw = ImageDraw.Draw(picture)
    for x, y in np.concatenate(places):
        radius = rng.uniform(2.5, 8)
        tint = _tinted(rng, CROWNS, 5)
        draw.ellipse(_bounds((x + shadow[0], y + shadow[1]), radius), fill=(30, 34, 30))
        draw.ellipse(_bounds((x, y), radius), fill=tint)
        draw.ellipse(
            _bounds((x - shadow[0] * radius / 14, y - shadow[1] * radius / 14), radius * 0.55), fill=_shaded(tint, 1.25)
        )


def _through_the_lens(picture: Image.Image, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Blur of the optics, grain of the sensor, and the light of the day."""
    soft = np.asarray(picture.filter(ImageFilter.GaussianBlur(0.7)), np.float32)
    grain = rng.standard_normal((picture.height, picture.width, 1), np.float32) * np.float32(3.5)
    gain = (rng.uniform(0.8, 1.15) * rng.normal(1, 0.03, 3)).astype(np.float32)
    return ((soft + grain) * gain + np.float32(rng.uniform(0, 14))).clip(0, 255).astype(np.uint8)


def _box(centre: NDArray[np.float64], long: float, deep: float, heading: float) -> list[tuple[float, float]]:
    """Corners of a turned rectangle of half lengths `long` and `deep`."""
    along = np.array([math.cos(heading), math.sin(heading)])
    across = np.array([-along[1], along[0]])
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return [tuple(centre + a * long * along + b * deep * across) for a, b in signs]


def _bounds(centre: Sequence[float] | NDArray[np.float64], radius: float) -> tuple[int, int, int, int]:
    """Pixel box around a circle."""
    x, y = centre
    return round(x - radius), round(y - radius), round(x + radius), round(y + radius)
