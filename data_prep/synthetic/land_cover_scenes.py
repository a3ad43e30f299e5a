"""Draw invented scenes of six kinds of land cover, every pixel labelled, at two metres a pixel.

Colour alone does not tell the classes apart. Flat roofs, yards and roads share their greys, tiled roofs and dry fields
share theirs with bare soil, muddy water with crops. Outline, texture, shadow and neighbours do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from data_prep.synthetic.drawing import (
    CROWNS,
    PAINT,
    ROOFS,
    SOIL,
    Corners,
    bounds,
    box,
    cars,
    crown,
    field_map,
    furrows,
    line_coverage,
    noise,
    shaded,
    street_surface,
    through_the_lens,
    tinted,
    values_within,
)
from data_prep.synthetic.land_parcels import (
    BARE_SOIL,
    BUILDING,
    PAVEMENT,
    PONDS,
    ROAD,
    SQUARE,
    TOWN,
    VEGETATION,
    WATER,
    WORKS,
    Plot,
    ground_plans,
    plan_plots,
)
from data_prep.synthetic.streets import Street, street_network
from rssam.contract import Colour

MUD = ((74, 86, 66), (92, 98, 78), (58, 76, 78), (108, 108, 90))
TILES_AND_SHEETS = (*ROOFS, (92, 122, 168), (206, 208, 210))


@dataclass(frozen=True)
class LandCover:
    """Image uint8 [H, W, 3] and its labels uint8 [H, W], 0..5 in the order of `data_prep.synthetic.land_parcels`."""

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]


@dataclass(frozen=True)
class _Scene:
    """Picture and its labels, drawn together."""

    picture: Image.Image
    labels: Image.Image

    def fill(self, corners: Corners, tint: Colour, cover: int) -> None:
        ImageDraw.Draw(self.picture).polygon(corners, fill=tint)
        ImageDraw.Draw(self.labels).polygon(corners, fill=cover)

    def paste(self, surface: Image.Image, cover: int, share: NDArray[np.uint8]) -> None:
        self.picture.paste(surface, mask=Image.fromarray(share))
        self.labels.paste(cover, mask=Image.fromarray(np.uint8(255) * (share >= 128)))

    def is_free(self, corners: Corners) -> bool:
        """Return whether a shape lies on open land."""
        return not values_within(self.labels, corners) & {BUILDING, ROAD, WATER}


def land_cover_scene(size: int, rng: np.random.Generator) -> LandCover:
    """Draw a square scene of `size` pixels of two metres."""
    sun = math.tau * rng.random()
    shadow = (math.cos(sun), math.sin(sun))
    plots = plan_plots(size, rng)
    scene = _land(size, rng, plots)
    _ponds(scene, rng, plots)
    _open_water(scene, rng)
    streets = _roads(scene, rng, plots)
    for plot in plots:
        for corners, height in ground_plans(rng, plot):
            if scene.is_free(corners):
                _put_up(scene, rng, corners, height, shadow)
    _trees_and_cars(scene, rng, plots, streets, shadow)
    return LandCover(through_the_lens(scene.picture, rng), np.asarray(scene.labels).copy())


def _land(size: int, rng: np.random.Generator, plots: Sequence[Plot]) -> _Scene:
    field = field_map(size, rng, [plot.corners for plot in plots])
    tints = np.array([tinted(rng, plot.use.tints) for plot in plots], np.float32)
    coarse, fine = np.array([(plot.use.coarse, plot.use.fine) for plot in plots], np.float32).T
    light = furrows(field, rng, np.array([float(plot.use.furrowed) for plot in plots]))
    light += noise(size, rng, (64, 16)) * coarse[field] + noise(size, rng, (6, 3)) * fine[field]
    covers = np.array([plot.use.cover for plot in plots], np.uint8)
    picture = (tints[field] + light[..., None]).clip(0, 255).astype(np.uint8)
    return _Scene(Image.fromarray(picture), Image.fromarray(covers[field]))


def _water_surface(size: int, rng: np.random.Generator) -> Image.Image:
    light = noise(size, rng, (128, 32)) * 3
    return Image.fromarray((np.array(tinted(rng, MUD), np.float32) + light[..., None]).clip(0, 255).astype(np.uint8))


def _ponds(scene: _Scene, rng: np.random.Generator, plots: Sequence[Plot]) -> None:
    """Draw fish ponds: a plot cut into one to six basins between banks."""
    for plot in plots:
        if plot.use is PONDS:
            a, b, _, d = plot.corners
            rows, columns = rng.integers(1, 4), rng.integers(1, 3)
            bank = 2.5 / np.hypot(*(b - a)), 2.5 / np.hypot(*(d - a))
            for i, j in np.ndindex(int(columns), int(rows)):
                left, right = i / columns + bank[0], (i + 1) / columns - bank[0]
                top, bottom = j / rows + bank[1], (j + 1) / rows - bank[1]
                places = ((left, top), (right, top), (right, bottom), (left, bottom))
                basin = [a + x * (b - a) + y * (d - a) for x, y in places]
                scene.fill([(x, y) for x, y in basin], tinted(rng, MUD, 5), WATER)


def _open_water(scene: _Scene, rng: np.random.Generator) -> None:
    """Draw a lake with a bank in some scenes, a river or canal in others."""
    size = scene.picture.width
    if rng.random() < 0.4:
        depth = noise(size, rng, (128, 32)) - rng.uniform(0.3, 1.4)
        cover = BARE_SOIL if rng.random() < 0.5 else VEGETATION
        bank = Image.new("RGB", (size, size), tinted(rng, SOIL if cover == BARE_SOIL else CROWNS))
        scene.paste(bank, cover, np.uint8(255) * (depth > -0.12))
        scene.paste(_water_surface(size, rng), WATER, np.uint8(255) * (depth > 0))
    if rng.random() < 0.35:
        river = replace(street_network(size, rng, urban=0.0)[0], width=rng.uniform(8, 34))
        scene.paste(_water_surface(size, rng), WATER, np.asarray(line_coverage(size, [river])))


def _roads(scene: _Scene, rng: np.random.Generator, plots: Sequence[Plot]) -> list[Street]:
    """Draw streets around the plots of the town and country roads, which end at water; a single road bridges it."""
    size = scene.picture.width
    around = [
        Street(np.array([*plot.corners, plot.corners[0]]), rng.uniform(2.5, 4), paved=True)
        for plot in plots
        if plot.use in TOWN and rng.random() < 0.6
    ]
    through = [replace(street, width=0.5 * street.width) for street in street_network(size, rng, urban=0.2)]
    dry = np.asarray(scene.labels) != WATER
    surface = street_surface(size, rng, around + through)
    share = np.asarray(line_coverage(size, around + through)) * dry
    scene.paste(surface, ROAD, np.maximum(share, np.asarray(line_coverage(size, through[:1]))))
    return around + through


def _put_up(
    scene: _Scene, rng: np.random.Generator, corners: Corners, height: float, shadow: tuple[float, float]
) -> None:
    """Draw a roof, flat or of two sides, with its shadow."""
    draw = ImageDraw.Draw(scene.picture)
    for share in (0.5, 1.0):
        reach = share * height * np.array(shadow)
        draw.polygon([(x, y) for x, y in np.array(corners) + reach], fill=(44, 44, 48))
    tint = tinted(rng, TILES_AND_SHEETS, 10)
    scene.fill(corners, tint, BUILDING)
    if rng.random() < 0.6:
        a, b, c, d = np.array(corners)
        draw.polygon([(x, y) for x, y in ((a + d) / 2, (b + c) / 2, c, d)], fill=shaded(tint, rng.uniform(0.75, 0.92)))


def _trees_and_cars(
    scene: _Scene,
    rng: np.random.Generator,
    plots: Sequence[Plot],
    streets: Sequence[Street],
    shadow: tuple[float, float],
) -> None:
    """Draw crowns and cars.

    Crowns count as vegetation on open land only: they hide edges of roads and roofs that the labels keep.
    """
    draw, labels = ImageDraw.Draw(scene.picture), np.asarray(scene.labels)
    traffic = scene.picture.copy()
    cars(traffic, rng, streets, scale=0.4)
    # Where a street would be under water, there are no cars.
    scene.picture.paste(traffic, mask=Image.fromarray(np.uint8(255) * (labels == ROAD)))
    places = [street.points[rng.random(len(street.points)) < 0.3] for street in streets if rng.random() < 0.5]
    for plot in plots:
        a, b, _, d = plot.corners
        if plot.use in (SQUARE, WORKS):
            for place in rng.random((15, 2)) * 0.8 + 0.1:
                spot = a + place[0] * (b - a) + place[1] * (d - a)
                if scene.is_free(box(spot, 2, 2, 0)):
                    draw.polygon(box(spot, 1.0, 0.5, plot.sides[2]), fill=tinted(rng, PAINT))
        count = rng.poisson(14 if plot.use in TOWN else 2)
        places.append(a + rng.random((count, 1)) * (b - a) + rng.random((count, 1)) * (d - a))
    crowns = Image.new("L", scene.picture.size)
    for x, y in np.concatenate(places) + rng.normal(0, 2, (sum(map(len, places)), 2)):
        inside = 0 <= x < crowns.width and 0 <= y < crowns.height
        if inside and labels[int(y), int(x)] not in (BUILDING, WATER):
            radius = rng.uniform(1, 3)
            crown(draw, rng, x, y, radius, shadow)
            ImageDraw.Draw(crowns).ellipse(bounds((x, y), radius), fill=255)
    open_land = np.isin(labels, (PAVEMENT, BARE_SOIL))
    scene.labels.paste(VEGETATION, mask=Image.fromarray(np.asarray(crowns) * open_land))
