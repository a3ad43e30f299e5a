"""Copies: found through JPEG, brightness, turns and mirrors; scenes that only look alike are none."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from data_prep.checks.adjacent_tiles import representatives
from data_prep.checks.duplicates import ORIENTATIONS, exact_copies, hashes, near_copies, turned
from data_prep.checks.fingerprints import fingerprint, fingerprint_all
from data_prep.synthetic.road_scenes import road_scene
from tests.data_prep.samples import prepare


@pytest.fixture(scope="module")
def scenes():
    return {str(k): Image.fromarray(road_scene(256, np.random.default_rng([2, k])).image) for k in range(20)}


def jpeg(picture, quality):
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


def names(fingerprints):
    return {(pair.first, pair.second) for pair in near_copies(fingerprints)}


CHANGES = {
    "jpeg 90": lambda picture: jpeg(picture, 90),
    "jpeg 50": lambda picture: jpeg(picture, 50),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.1),
    "less contrast": lambda picture: ImageEnhance.Contrast(picture).enhance(0.9),
    "shrunk and back": lambda picture: picture.resize((128, 128)).resize((256, 256)),
    "darker jpeg": lambda picture: jpeg(ImageEnhance.Brightness(picture).enhance(0.92), 75),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_copy_is_found_and_nothing_else(scenes, change):
    fingerprints = {name: fingerprint(picture) for name, picture in scenes.items()}
    fingerprints |= {f"{name} again": fingerprint(change(scenes[name])) for name in ("3", "7", "11", "16")}
    assert names(fingerprints) == {(name, f"{name} again") for name in ("3", "7", "11", "16")}


@pytest.mark.parametrize("number", range(8), ids=ORIENTATIONS)
def test_a_turned_copy_is_found_with_its_turn(scenes, number):
    copy = np.ascontiguousarray(np.stack([turned(np.asarray(scenes["5"])[..., c], number) for c in range(3)], axis=-1))
    fingerprints = {name: fingerprint(picture) for name, picture in scenes.items()}
    (pair,) = near_copies({**fingerprints, "x": fingerprint(jpeg(Image.fromarray(copy), 85))})
    assert (pair.first, pair.second) == ("5", "x")
    back = {"turned by 90 degrees": "turned by 270 degrees", "turned by 270 degrees": "turned by 90 degrees"}
    assert pair.orientation == back.get(ORIENTATIONS[number], ORIENTATIONS[number])


def test_the_words_for_turns_are_those_of_numpy():
    square = np.arange(16.0).reshape(4, 4)
    words = {
        "as it is": square, "mirrored": square[:, ::-1], "upside down": square[::-1],
        "turned by 180 degrees": np.rot90(square, 2), "transposed": square.T,
        "turned by 90 degrees": np.rot90(square, -1), "turned by 270 degrees": np.rot90(square),
        "transposed across": square[::-1, ::-1].T,
    }  # fmt: skip
    for number, word in enumerate(ORIENTATIONS):
        assert (turned(square, number) == words[word]).all(), word


def test_all_eight_hashes_are_those_of_the_turned_images():
    """Signs of frequencies stand for turned images: checked against turning them."""
    rng = np.random.default_rng(0)
    thumbnails = rng.integers(0, 256, (5, 32, 32), dtype=np.uint8)
    fast = hashes(thumbnails)
    for number in range(8):
        slow = hashes(np.stack([turned(thumbnail, number) for thumbnail in thumbnails]))[0]
        assert np.bitwise_count(fast[number] ^ slow).max() <= 1


def test_plain_images_are_no_copies_of_one_another():
    """Hashes of plain water are noise: each was a near copy of some other."""
    rng = np.random.default_rng(1)
    water = (rng.integers(0, 3, (40, 128, 128, 3)) + 90).astype(np.uint8)
    assert near_copies({str(k): fingerprint(Image.fromarray(water[k])) for k in range(40)}) == ()


@pytest.mark.parametrize("count", [0, 1])
def test_no_copy_among_less_than_two(scenes, count):
    assert near_copies({name: fingerprint(picture) for name, picture in list(scenes.items())[:count]}) == ()


def test_exact_copies_are_groups(source, out):
    (source / "train" / "700_sat.jpg").write_bytes((source / "train" / "101_sat.jpg").read_bytes())
    (source / "train" / "700_mask.png").write_bytes((source / "train" / "100_mask.png").read_bytes())
    manifest = prepare(source, out)
    assert [[entry.stem for entry in group] for group in exact_copies(manifest.entries)] == [["101", "700"]]
    fingerprints = representatives(manifest.entries, fingerprint_all(out, manifest.entries, 1, lambda *_: None))
    assert sorted(fingerprints) == ["100", "101", "102"]
    assert near_copies(fingerprints) == ()


def test_no_tile_of_vegas_is_a_copy_until_one_is(vegas):
    out, manifest = vegas
    fingerprints = fingerprint_all(out, manifest.entries, 2, lambda *_: None)
    seen = {entry.stem: taken for entry, taken in zip(manifest.entries, fingerprints, strict=True)}
    assert near_copies(seen) == ()
    with Image.open(out / manifest.entries[4].image) as picture:
        copies = {f"quality {quality}": fingerprint(jpeg(picture, quality)) for quality in (30, 60)}
    assert len(near_copies({**seen, **copies})) == 3  # of three images each with each
