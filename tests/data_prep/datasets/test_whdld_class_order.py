"""Labels as class numbers: read in the wrong order they swap classes, and every score of Table 4 with them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from PIL import Image

from data_prep.datasets.whdld import Whdld
from data_prep.datasets.whdld_class_order import CLASSES, KNOWN, class_order
from data_prep.errors import DataError
from data_prep.manifest_file import load_manifest
from data_prep.rules import rule
from data_prep.synthetic.land_cover_scenes import land_cover_scene

PUBLISHED, ALPHABETICAL = KNOWN


@cache
def scenes():
    return [land_cover_scene(256, np.random.default_rng([1, index])) for index in range(4)]


def prepare(source, out, order=None):
    return Whdld(order).prepare(source, out, origin="source", workers=1, progress=lambda *_: None)


def write(folder, order=None, first=1):
    """Scenes with labels in colours, or as numbers counted in `order` from `first`."""
    for index, scene in enumerate(scenes()):
        for kind in ("images", "labels"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(scene.image).save(folder / "images" / f"{index}.jpg", quality=92)
        if order is None:
            label = np.array(Whdld.palette, np.uint8)[scene.labels]
        else:
            numbers = np.array([order.index(name) + first for name in CLASSES], np.uint8)
            label = numbers[scene.labels]
        Image.fromarray(label).save(folder / "labels" / f"{index}.png")
    return folder


def refusal(source, out, order) -> str:
    with pytest.raises(DataError) as caught:
        prepare(source, out, order)
    assert not out.exists()
    return str(caught.value)


@pytest.fixture(scope="module")
def wanted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("colours")
    return [entry.mask_sha256 for entry in prepare(write(folder / "source"), folder / "out").entries]


def test_the_scenes_show_all_classes():
    assert set(np.unique([scene.labels for scene in scenes()])) == set(range(6))


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("order", KNOWN)
def test_numbers_in_the_right_order_give_the_labels_of_the_colours(tmp_path, wanted, order, first):
    manifest = prepare(write(tmp_path / "source", order, first), tmp_path / "out", order)
    assert [entry.mask_sha256 for entry in manifest.entries] == wanted
    assert manifest.rules["mask"] == (rule("by-number", classes=CLASSES, first=first, order=order),)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize(("claimed", "true"), [(PUBLISHED, ALPHABETICAL), (ALPHABETICAL, PUBLISHED)])
def test_the_other_order_is_refused_with_the_numbers(tmp_path, claimed, true, first):
    """Read so, roads would be scored as vegetation, and vegetation as bare soil."""
    message = refusal(write(tmp_path / "source", true, first), tmp_path / "out", claimed)
    assert f"the class order {','.join(claimed)} is wrong or cannot be verified" in message
    assert f"but {','.join(true)} fits better with 9" in message
    assert f"{first + 3}: red " in message


@pytest.mark.parametrize("true", KNOWN)
def test_an_order_of_ones_own_is_held_against_the_known_ones(tmp_path, true):
    swapped = ("water", *[name for name in true if name != "water"])
    assert "fits better" in refusal(write(tmp_path / "source", true), tmp_path / "out", swapped)
    prepare(write(tmp_path / "own", swapped), tmp_path / "out", swapped)


def test_without_an_order_both_are_offered(tmp_path):
    message = refusal(write(tmp_path / "source", PUBLISHED), tmp_path / "out", None)
    assert "found class numbers (labels/0.png and 3 more)" in message
    for order in KNOWN:
        assert f"--class-order {','.join(order)}" in message


def test_an_order_for_colours_is_refused(tmp_path):
    assert "need no --class-order" in refusal(write(tmp_path / "source"), tmp_path / "out", PUBLISHED)


def test_a_colour_label_among_numbers_is_a_fault_and_so_is_a_number_of_no_class(tmp_path):
    source = write(tmp_path / "source", PUBLISHED)
    Image.new("RGB", (256, 256), (0, 0, 255)).save(source / "labels" / "2.png")
    label = np.array(Image.open(source / "labels" / "1.png"))
    label[5, 6] = 9
    Image.fromarray(label).save(source / "labels" / "1.png")
    message = refusal(source, tmp_path / "out", PUBLISHED)
    assert "labels/2.png: expected class numbers in one channel, found mode RGB" in message
    assert "labels/1.png: expected class numbers 1 to 6, found also 9" in message


def test_numbers_that_hide_where_they_begin_are_refused(tmp_path):
    """Read as 1 to 6, each class of a copy counted from 0 would be its neighbour."""
    source = write(tmp_path / "source", PUBLISHED)
    for path in (source / "labels").iterdir():
        Image.fromarray(np.asarray(Image.open(path)).clip(1, 5)).save(path)
    message = refusal(source, tmp_path / "out", PUBLISHED)
    assert "found 1, 2, 3, 4, 5: whether they begin with 0 or 1 cannot be told" in message


def test_images_that_tell_nothing_are_refused(tmp_path):
    source = write(tmp_path / "source", PUBLISHED)
    for path in (source / "images").iterdir():
        Image.new("RGB", (256, 256), (90, 90, 90)).save(path)
    message = refusal(source, tmp_path / "out", PUBLISHED)
    assert "is wrong or cannot be verified: of 9 signs" in message
    assert "fits as well with 0" in message


def test_a_second_run_knows_the_order(tmp_path):
    source, out = write(tmp_path / "source", PUBLISHED), tmp_path / "out"
    manifest = prepare(source, out, PUBLISHED)
    assert load_manifest(out, "whdld") == prepare(source, out, PUBLISHED) == prepare(source, out) == manifest
    with pytest.raises(DataError, match="was prepared by another rule than the class order bare_soil"):
        prepare(source, out, ALPHABETICAL)


def test_orders_as_they_are_typed():
    assert class_order("Building, road,pavement,vegetation, bare soil,water") == PUBLISHED
    for text in ("building,road", "building,road,pavement,vegetation,bare_soil,sea", ""):
        with pytest.raises(DataError, match=r"expected each of building.* once"):
            class_order(text)
