"""Drawing tools of the invented aerial scenes: smooth noise, tints, streets, cars, trees, and the camera."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from data_prep.synthetic.streets import Street
from rssam.contract import Colour

Corners = Sequence[tuple[float, float]]

SOIL = ((152, 122, 86), (126, 101, 74), (172, 148, 112), (138, 116, 94))
CROPS = ((62, 84, 48), (82, 104, 60), (48, 66, 42), (112, 114, 72), (94, 92, 60), (132, 122, 82))
ROOFS = ((176, 98, 70), (158, 156, 152), (202, 196, 186), (128, 108, 92), (104, 104, 108), (118, 122, 132))
ASPHALT = ((92, 93, 97), (112, 112, 112), (134, 131, 126))
TRACK = (*SOIL, (176, 154, 122), (188, 170, 142))
WATER = ((58, 72, 66), (74, 84, 76), (84, 96, 102))
PAINT = ((220, 220, 222), (60, 62, 70), (150, 60, 52))
CROWNS = ((44, 62, 34), (56, 74, 40), (38, 54, 36), (68, 82, 46))


def noise(size: int, rng: np.random.Generator, cells: Sequence[int]) -> NDArray[np.float32]:
    """Smooth noise [size, size] of about unit deviation: one octave per cell size in pixels, coarse ones stronger."""
    weights = [math.sqrt(cell) for cell in cells]
    total = np.zeros((size, size), np.float32)
    for cell, weight in zip(cells, weights, strict=True):
        knots = Image.fromarray(rng.standard_normal((size // cell + 3,) * 2, np.float32))
        total += np.asarray(knots.resize((size, size), Image.Resampling.BICUBIC)) * np.float32(weight)
    return total / np.float32(0.7 * math.hypot(*weights))


def tinted(rng: np.random.Generator, colours: Sequence[Colour], spread: float = 8.0) -> Colour:
    """Return a colour of the list, shifted a little in brightness and less in hue."""
    base = np.array(colours[int(rng.integers(len(colours)))]) + rng.normal(0, spread) + rng.normal(0, spread / 3, 3)
    red, green, blue = base.clip(0, 255).astype(int).tolist()
    return red, green, blue


def shaded(colour: Colour, factor: float) -> Colour:
    """Return the colour in more or less light, full at most."""
    red, green, blue = (min(255, int(channel * factor)) for channel in colour)
    return red, green, blue


def split_fields(size: int, rng: np.random.Generator, smallest: float) -> list[NDArray[np.float64]]:
    """Return corners [4, 2] (x, y) of the cells of a rectangle that covers the scene, split until `smallest` pixels."""
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


def field_map(size: int, rng: np.random.Generator, cells: Sequence[NDArray[np.float64]]) -> NDArray[np.int32]:
    """Return [size, size] the number of the cell that each pixel of a scene belongs to."""
    index = Image.new("I", (size, size))
    draw = ImageDraw.Draw(index)
    for number, corners in enumerate(cells):
        draw.polygon([(x, y) for x, y in corners], fill=number)
    # Wobbling the lookup keeps borders from being ruler-straight.
    wobble = (noise(size, rng, (64, 16)) * 2.0).astype(np.int32)
    rows, columns = np.indices((size, size), dtype=np.int32)
    field: NDArray[np.int32] = np.asarray(index)[
        (rows + wobble).clip(0, size - 1), (columns - wobble).clip(0, size - 1)
    ]
    return field


def furrows(field: NDArray[np.int32], rng: np.random.Generator, strength: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return light and dark lines of a direction of its own in each field; `strength` 0..1 of each."""
    count = len(strength)
    angles = rng.uniform(0, math.pi, count)
    pitch = math.tau / rng.uniform(4, 11, count)
    depth = (rng.uniform(0, 9, count) * (rng.random(count) < 0.6) * strength).astype(np.float32)
    across, down = (np.cos(angles) * pitch).astype(np.float32), (np.sin(angles) * pitch).astype(np.float32)
    rows, columns = np.indices(field.shape, dtype=np.int32)
    lines: NDArray[np.float32] = np.sin(columns * across[field] + rows * down[field]) * depth[field]
    return lines


def line_coverage(size: int, streets: Sequence[Street]) -> Image.Image:
    """Return the share of each pixel that lies on a street, 0..255: drawn at twice the size, then averaged."""
    fine = Image.new("L", (2 * size, 2 * size))
    draw = ImageDraw.Draw(fine)
    for street in streets:
        draw.line([(2 * x, 2 * y) for x, y in street.points], fill=255, width=round(2 * street.width), joint="curve")
    return fine.reduce(2)


def street_surface(size: int, rng: np.random.Generator, streets: Sequence[Street]) -> Image.Image:
    """Return the colours under the coverage: tracks below, wide roads on top, centre lines and wheel marks."""
    surface = Image.new("RGB", (size, size), ASPHALT[0])
    draw = ImageDraw.Draw(surface)
    asphalt, track = tinted(rng, ASPHALT, 14), tinted(rng, TRACK, 12)
    for street in sorted(streets, key=lambda street: (street.paved, street.width)):
        line = [(x, y) for x, y in street.points]
        tint = tinted(rng, (asphalt if street.paved else track,), 5)
        draw.line(line, fill=tint, width=round(street.width) + 4, joint="curve")
        if street.paved and street.width > 12:
            for start in range(0, len(line) - 1, 2):
                draw.line(line[start : start + 2], fill=(196, 194, 184), width=1)
    worn = noise(size, rng, (64, 16, 4)) * 5
    return Image.fromarray((np.asarray(surface) + worn[..., None]).clip(0, 255).astype(np.uint8))


def cars(picture: Image.Image, rng: np.random.Generator, streets: Sequence[Street], scale: float = 1.0) -> None:
    """Draw a few cars on paved roads, 9 by 4 pixels times `scale`, on the right-hand lane."""
    draw = ImageDraw.Draw(picture)
    for street in streets:
        if street.paved and street.width > 6 * scale:
            for index in np.flatnonzero(rng.random(len(street.points) - 1) < 0.06):
                along = street.points[index + 1] - street.points[index]
                heading = math.atan2(along[1], along[0])
                centre = street.points[index] + street.width / 4 * np.array([-math.sin(heading), math.cos(heading)])
                draw.polygon(box(centre, 4.5 * scale, 2.0 * scale, heading), fill=tinted(rng, PAINT))


def crown(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, x: float, y: float, radius: float, shadow: tuple[float, float]
) -> None:
    """Draw a tree from above: its shadow, its crown, and the crown's side to the sun.

    Args:
        draw: the picture.
        rng: decides its tint.
        x: column of its centre in pixels.
        y: row of its centre in pixels.
        radius: of the crown in pixels.
        shadow: offset (x, y) of its shadow in pixels.
    """
    tint = tinted(rng, CROWNS, 5)
    draw.ellipse(bounds((x + shadow[0], y + shadow[1]), radius), fill=(30, 34, 30))
    draw.ellipse(bounds((x, y), radius), fill=tint)
    lit = x - shadow[0] * radius / 14, y - shadow[1] * radius / 14
    draw.ellipse(bounds(lit, radius * 0.55), fill=shaded(tint, 1.25))


def through_the_lens(picture: Image.Image, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Add the blur of the optics, grain of the sensor, and the light of the day."""
    soft = np.asarray(picture.filter(ImageFilter.GaussianBlur(0.7)), np.float32)
    grain = rng.standard_normal((picture.height, picture.width, 1), np.float32) * np.float32(3.5)
    gain = (rng.uniform(0.8, 1.15) * rng.normal(1, 0.03, 3)).astype(np.float32)
    return ((soft + grain) * gain + np.float32(rng.uniform(0, 14))).clip(0, 255).astype(np.uint8)


def box(centre: NDArray[np.float64], long: float, deep: float, heading: float) -> list[tuple[float, float]]:
    """Return the corners of a rectangle turned by `heading` (radians), of half lengths `long` and `deep`."""
    along = np.array([math.cos(heading), math.sin(heading)])
    across = np.array([-along[1], along[0]])
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return [tuple(centre + a * long * along + b * deep * across) for a, b in signs]


def values_within(layer: Image.Image, corners: Corners) -> set[int]:
    """Return the values of a one-band picture at fifteen points of a shape of four corners; none beyond its border."""
    a, b, c, d = np.array(corners)
    along, across = np.linspace(0, 1, 5)[:, None, None], np.linspace(0, 1, 3)[None, :, None]
    points = ((a + (b - a) * along) * (1 - across) + (d + (c - d) * along) * across).reshape(-1, 2)
    points = points[((points >= 0) & (points < layer.size)).all(axis=1)]
    values: set[int] = set(np.asarray(layer)[points[:, 1].astype(int), points[:, 0].astype(int)].tolist())
    return values


def bounds(centre: Sequence[float] | NDArray[np.float64], radius: float) -> tuple[int, int, int, int]:
    """Return the pixel box around a circle: left, top, right, bottom."""
    x, y = centre
    return round(x - radius), round(y - radius), round(x + radius), round(y + radius)
