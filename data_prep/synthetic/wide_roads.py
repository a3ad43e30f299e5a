"""Draw scenes of wide, light roads on dark fields: what a small network learns within minutes on a CPU."""

from __future__ import annotations

import dataclasses

import numpy as np
from PIL import Image

from data_prep.synthetic.drawing import field_map, line_coverage, noise, split_fields, through_the_lens, tinted
from data_prep.synthetic.road_scenes import Scene
from data_prep.synthetic.streets import street_network

FIELDS = ((62, 84, 48), (82, 104, 60), (48, 66, 42))
PALE = ((196, 194, 188),)
WIDER = 4.0
"""How many times as wide as in `road_scene` the roads are."""


def wide_road_scene(size: int, rng: np.random.Generator) -> Scene:
    """Draw a square scene of `size` pixels without houses, trees, water or paths; roads are 28 to 88 pixels wide."""
    plan = street_network(size, rng, urban=0.0)
    roads = [dataclasses.replace(road, width=WIDER * road.width) for road in plan if road.width >= 7]
    cells = split_fields(size, rng, smallest=160)
    tints = np.array([tinted(rng, FIELDS) for _ in cells], np.float32)
    ground = tints[field_map(size, rng, cells)] + noise(size, rng, (64, 16, 4))[..., None] * 8
    picture = Image.fromarray(ground.clip(0, 255).astype(np.uint8))
    coverage = line_coverage(size, roads)
    picture.paste(tinted(rng, PALE), mask=coverage)
    return Scene(through_the_lens(picture, rng), np.asarray(coverage) >= 128)
