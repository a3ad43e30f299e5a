"""Invented land cover and roofs: balanced, not solved by colour, and labels that lie where the picture shows them."""

from __future__ import annotations

import numpy as np
import pytest

from data_prep.datasets.whdld import Whdld
from data_prep.synthetic.building_scenes import roof_scene
from data_prep.synthetic.land_cover_scenes import land_cover_scene


@pytest.fixture(scope="module")
def land():
    scenes = [land_cover_scene(256, np.random.default_rng([0, index])) for index in range(12)]
    return [(scene.image, scene.labels) for scene in scenes]


@pytest.fixture(scope="module")
def roofs():
    scenes = [roof_scene(512, np.random.default_rng([0, index])) for index in range(6)]
    return [(scene.image, scene.buildings.astype(np.uint8)) for scene in scenes]


def test_a_scene_follows_from_its_generator(land, roofs):
    again = land_cover_scene(256, np.random.default_rng([0, 3]))
    assert (again.image == land[3][0]).all()
    assert (again.labels == land[3][1]).all()
    assert (again.image != land[4][0]).any()
    assert (roof_scene(512, np.random.default_rng([0, 1])).image == roofs[1][0]).all()


def test_shapes(land, roofs):
    for scenes, size in ((land, 256), (roofs, 512)):
        for image, labels in scenes:
            assert (image.shape, image.dtype) == ((size, size, 3), np.uint8)
            assert (labels.shape, labels.dtype) == ((size, size), np.uint8)


def test_every_class_has_a_share(land):
    shares = np.bincount(np.stack([labels for _, labels in land]).ravel()) / (12 * 256 * 256)
    assert len(shares) == len(Whdld.classes)
    assert shares.min() > 0.03
    assert shares.max() < 0.5


def test_the_share_of_roofs_resembles_whu(roofs):
    assert 0.11 < np.mean([labels.mean() for _, labels in roofs]) < 0.2
    assert all(labels.any() for _, labels in roofs)


def dice_by_colour(scenes) -> np.ndarray:
    """Dice of each class if every colour gets the class it had most often in the other half of the scenes."""
    half = len(scenes) // 2
    codes = [np.dot(image[::2, ::2] // 16, (256, 16, 1)).ravel() for image, _ in scenes]
    truths = [labels[::2, ::2].ravel() for _, labels in scenes]
    votes = np.zeros((4096, max(truth.max() for truth in truths) + 1))
    np.add.at(votes, (np.concatenate(codes[:half]), np.concatenate(truths[:half])), 1)
    guess, truth = votes.argmax(axis=1)[np.concatenate(codes[half:])], np.concatenate(truths[half:])
    classes = range(votes.shape[1])
    both = np.array([((guess == k) & (truth == k)).sum() for k in classes])
    return 2 * both / np.array([(guess == k).sum() + (truth == k).sum() for k in classes])


def test_colour_tells_something_but_not_all(land, roofs):
    assert 0.3 < dice_by_colour(land).mean() < 0.7
    assert 0.2 < dice_by_colour(roofs)[1] < 0.7


@pytest.mark.parametrize("name", ["land", "roofs"])
def test_labels_lie_where_the_picture_shows_them(name, request):
    """Borders of labels are edges of the picture; labels turned or shifted would teach nonsense and look sound."""
    placed = turned = 0.0
    for image, labels in request.getfixturevalue(name):
        steps = np.abs(np.diff(image.astype(float).sum(axis=2), axis=1))
        placed += steps[np.diff(labels.astype(int), axis=1) != 0].mean()
        turned += steps[np.diff(labels.T.astype(int), axis=1) != 0].mean()
    assert placed > 1.7 * turned
