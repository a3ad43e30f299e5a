from __future__ import annotations

import numpy as np
import pytest

from data_prep.synthetic.road_scenes import road_scene


@pytest.fixture(scope="module")
def scenes():
    return [road_scene(512, np.random.default_rng([0, index])) for index in range(16)]


def test_a_scene_follows_from_its_generator(scenes):
    again = road_scene(512, np.random.default_rng([0, 3]))
    assert (again.image == scenes[3].image).all()
    assert (again.roads == scenes[3].roads).all()
    assert (again.image != scenes[4].image).any()


def test_shapes(scenes):
    for scene in scenes:
        assert (scene.image.shape, scene.image.dtype) == ((512, 512, 3), np.uint8)
        assert (scene.roads.shape, scene.roads.dtype) == ((512, 512), np.bool_)
        assert scene.roads.any()


def test_the_road_share_resembles_deepglobe(scenes):
    assert 0.03 < np.mean([scene.roads.mean() for scene in scenes]) < 0.08


def test_colour_tells_something_but_not_all(scenes):
    """The best threshold on brightness or saturation alone is far from a mask, yet better than chance."""
    pixels = np.concatenate([scene.image[::4, ::4].reshape(-1, 3) for scene in scenes]).astype(float)
    roads = np.concatenate([scene.roads[::4, ::4].ravel() for scene in scenes])
    features = (pixels.mean(axis=1), pixels.max(axis=1) - pixels.min(axis=1))
    best = 0.0
    for feature in features:
        for level in np.percentile(feature, range(5, 100, 5)):
            for guess in (feature > level, feature < level):
                best = max(best, 2 * (guess & roads).sum() / (guess.sum() + roads.sum()))
    assert 0.08 < best < 0.6
