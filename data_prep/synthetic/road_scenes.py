"""Draw invented aerial scenes with exact road masks. A model can learn on them; they show no real place.

Colour alone does not give the roads away. Tracks share their tint with bare soil, asphalt with flat roofs, canals and
field paths share the shape. Trees and their shadows hide parts of a road that the mask keeps, as annotators do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from data_prep.synthetic.drawing import (
    CROPS,
    ROOFS,
    SOIL,
    WATER,
    bounds,
    box,
    cars,
    crown,
    field_map,
    furrows,
    line_coverage,
    noise,
    shaded,
    split_fields,
    street_surface,
    through_the_lens,
    tinted,
)
from data_prep.synthetic.streets import Street, street_network


@dataclass(frozen=True)
class Scene:
    """Image uint8 [H, W, 3] and its roads as bool [H, W]."""

    image: NDArray[np.uint8]
    roads: NDArray[np.bool_]


def road_scene(size: int, rng: np.random.Generator) -> Scene:
    """Draw a square scene of `size` pixels; roads are 2 to 22 pixels wide whatever the size."""
    urban = float(rng.beta(0.8, 1.2))
    streets = street_network(size, rng, urban)
    sun = math.tau * rng.random()
    shadow = (3.5 * math.cos(sun), 3.5 * math.sin(sun))

    picture = _ground(size, rng, urban)
    canal = _water_and_paths(picture, rng)
    coverage = line_coverage(size, streets)
    picture.paste(street_surface(size, rng, streets), mask=coverage)
    cars(picture, rng, streets)
    _houses(picture, rng, streets, canal, urban, shadow)
    _trees(picture, rng, streets, shadow)
    return Scene(through_the_lens(picture, rng), np.asarray(coverage) >= 128)


def _ground(size: int, rng: np.random.Generator, urban: float) -> Image.Image:
    """Return fields as a turned, recursively split rectangle: each with its tint, furrows and share of bare soil."""
    dry = rng.random()
    cells = split_fields(size, rng, smallest=70 + 90 * urban)
    field = field_map(size, rng, cells)
    tints = np.array([tinted(rng, SOIL if rng.random() < dry else CROPS) for _ in cells], np.float32)
    tints = tints.mean(axis=0) + (tints - tints.mean(axis=0)) * np.float32(1.0 - 0.6 * urban)
    lines = furrows(field, rng, np.full(len(cells), 1 - urban))
    light = noise(size, rng, (256, 64, 16, 4)) * 10 + lines
    bare = (noise(size, rng, (128, 32, 8)) * 0.3 + (dry - 0.6)).clip(0, 0.8)[..., None]
    ground = tints[field] * (1 - bare) + np.array(tinted(rng, SOIL), np.float32) * bare + light[..., None]
    return Image.fromarray(ground.clip(0, 255).astype(np.uint8))


def _water_and_paths(picture: Image.Image, rng: np.random.Generator) -> list[Street]:
    """Draw lines that are no roads: thin field paths and, in every second scene, the canal that is returned."""
    plan = street_network(picture.width, rng, urban=0.0)
    draw = ImageDraw.Draw(picture)
    for path in plan[2:]:
        tint = tinted(rng, CROPS[2:5] + SOIL[:2])
        draw.line([(x, y) for x, y in path.points], fill=tint, width=int(rng.integers(1, 3)))
    canal = plan[: int(rng.integers(0, 2))]
    picture.paste(tinted(rng, WATER), mask=line_coverage(picture.width, canal))
    return canal


def _houses(
    picture: Image.Image,
    rng: np.random.Generator,
    streets: Sequence[Street],
    canal: Sequence[Street],
    urban: float,
    shadow: tuple[float, float],
) -> None:
    """Draw two-sided roofs with shadows beside the streets, never on them and never in the water."""
    taken = Image.new("L", picture.size)
    block = ImageDraw.Draw(taken)
    for street in (*streets, *canal):
        block.line([(x, y) for x, y in street.points], fill=255, width=round(street.width) + 5, joint="curve")
    draw = ImageDraw.Draw(picture)
    family = ROOFS[: int(rng.integers(2, len(ROOFS) + 1))]
    for street in streets:
        likely = (0.12 + 0.88 * urban) * (1.0 if street.paved else 0.35)
        for index, side in np.argwhere(rng.random((len(street.points) - 1, 2)) < likely):
            along = street.points[index + 1] - street.points[index]
            heading = math.atan2(along[1], along[0])
            across = np.array([-math.sin(heading), math.cos(heading)])
            long, deep = rng.uniform(6, 13), rng.uniform(5, 10)
            setback = street.width / 2 + deep + rng.uniform(4, 14)
            centre = street.points[index] + (2 * side - 1) * setback * across
            if taken.crop(bounds(centre, math.hypot(long, deep))).getextrema()[1]:
                continue
            block.polygon(box(centre, long + 2, deep + 2, heading), fill=255)
            tint = tinted(rng, family, 12)
            draw.polygon(box(centre + 2 * np.array(shadow), long, deep, heading), fill=(44, 44, 46))
            draw.polygon(box(centre, long, deep, heading), fill=tint)
            draw.polygon(box(centre + deep / 2 * across, long, deep / 2, heading), fill=shaded(tint, 0.84))


def _trees(
    picture: Image.Image, rng: np.random.Generator, streets: Sequence[Street], shadow: tuple[float, float]
) -> None:
    """Draw woods and single trees, and rows along some streets whose crowns hang over the road."""
    size = picture.width
    woods = noise(size, rng, (256, 64, 32))
    spots = rng.uniform(0, size, (round(rng.uniform(400, 5000) * (size / 1024) ** 2), 2))
    kept = woods[spots[:, 1].astype(int), spots[:, 0].astype(int)] > rng.uniform(0.2, 1.6)
    coverage = np.asarray(line_coverage(size, streets))
    clear = coverage[spots[:, 1].astype(int), spots[:, 0].astype(int)] == 0
    places = [spots[kept & clear]]
    for street in streets:
        if rng.random() < 0.4:
            planted = rng.random(len(street.points)) < rng.uniform(0.1, 0.6)
            reach = street.width / 2 + rng.uniform(0, 6, (int(planted.sum()), 1))
            places.append(street.points[planted] + reach * rng.choice([-0.8, 0.8], (len(reach), 2)))
    draw = ImageDraw.Draw(picture)
    for x, y in np.concatenate(places):
        crown(draw, rng, x, y, rng.uniform(2.5, 8), shadow)
