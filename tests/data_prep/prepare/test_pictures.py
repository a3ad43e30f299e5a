"""`prepare folder` on pictures as people have them: several bands, places, pixels without data, large scenes."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image

from data_prep.datasets.folder import Folder, load_folder
from data_prep.datasets.folder_options import BadDeclaration, declare, from_file, from_options
from data_prep.datasets.whu import Whu
from data_prep.errors import DataError
from data_prep.images import tiff_header
from data_prep.manifest import Manifest
from data_prep.prepare.layouts import NamedFiles
from data_prep.rules import Rule, sentences
from tests.data_prep.raster_files import write_raster

SIDE = 64
PLACE = Affine(0.5, 0, 500000, 0, -0.5, 5000000)
UTM = "EPSG:32633"


def image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 256, (3, SIDE, SIDE), dtype=np.uint8)


def labels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).choice([0, 1], (SIDE, SIDE), p=(0.9, 0.1)).astype(np.uint8)


def write(folder: Path, count: int = 4, change=lambda seed, pixels: pixels, image_more=None, mask_more=None) -> Path:
    """GeoTIFF pairs; `change` is done to the labels."""
    for seed in range(count):
        write_raster(folder / "images" / f"{seed}.tif", image(seed), **{**TILE, **(image_more or {})})
        write_raster(folder / "masks" / f"{seed}.tif", change(seed, labels(seed)), **{**TILE, **(mask_more or {})})
    return folder


TILE = {"transform": PLACE, "crs": UTM, "tiled": False, "compress": None}


def own(source: Path, ignore: str | None = None, **options) -> Folder:
    return declare(replace(from_options(["road=1"], ignore), name="own", **options), source, ())


def prepared(source: Path, data: Folder | None = None, **options) -> Manifest:
    data = data or own(source)
    return data.prepare(
        source, source.parent / "out", origin="source", workers=1, progress=lambda *_: None, **options
    )  # fmt: skip


def mask(source: Path, stem: str) -> np.ndarray:
    return np.asarray(Image.open(source.parent / "out" / "masks" / f"{stem}.png"))


def test_a_mask_of_a_band_for_each_class_is_a_fault(tmp_path):
    """It gave 91.7 % foreground where 8.3 % is true: Pillow kept the first band, "not road"."""
    source = write(tmp_path / "s", change=lambda _, pixels: np.stack([1 - pixels, pixels]))
    with pytest.raises(
        DataError, match=r"masks/0\.tif: .*found 2 bands \(one for each class\?\); save the number of the class"
    ):
        prepared(source)


# Places on the ground.


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({"transform": PLACE @ Affine.translation(80, 32)}, "80 pixels to the right and 32 down"),
        ({"transform": PLACE @ Affine.translation(0, -0.75)}, "0 pixels to the right and -0.75 down"),
        ({"transform": PLACE @ Affine.scale(2)}, "pixel size of its image, 0.5x0.5, found 1x1"),
        ({"crs": "EPSG:32634"}, "coordinate system of its image, EPSG:32633, found EPSG:32634"),
        ({"transform": PLACE @ Affine.translation(0, SIDE) @ Affine.scale(1, -1)}, "found it south-up"),
    ],
)
def test_a_mask_that_lies_elsewhere_is_a_fault(tmp_path, place, words):
    """Masks 80 pixels beside their images were taken without a word."""
    source = write(tmp_path / "s", mask_more=place)
    with pytest.raises(DataError) as error:
        prepared(source)
    assert words in str(error.value)
    assert "gdalwarp" in str(error.value)


@pytest.mark.parametrize(
    ("image_more", "mask_more"),
    [
        ({"transform": PLACE @ Affine.translation(0.4, 0)}, {}),  # files round
        ({"transform": None}, {}),
        ({"crs": None}, {"crs": UTM}),
        ({"transform": Affine(0.5, 0, 0, 0, 0.5, 0)}, {"transform": Affine(0.5, 0, 0, 0, 0.5, 0)}),
    ],
)
def test_masks_of_one_place_or_of_none_are_taken(tmp_path, image_more, mask_more):
    assert len(prepared(write(tmp_path / "s", image_more=image_more, mask_more=mask_more)).entries) == 4


@pytest.mark.parametrize("shift", [0, 40])
def test_world_files_are_places_too(tmp_path, shift):
    for seed in range(4):
        for folder, pixels, left in (("images", image(seed).transpose(1, 2, 0), 0), ("masks", labels(seed), shift)):
            path = tmp_path / "s" / folder / f"{seed}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
            path.with_suffix(".pgw").write_text(f"0.5\n0\n0\n-0.5\n{1000 + left * 0.5}\n2000\n")
    if shift:
        with pytest.raises(DataError, match="40 pixels to the right and 0 down"):
            prepared(tmp_path / "s")
    else:
        prepared(tmp_path / "s")


@pytest.mark.parametrize("shift", [0, 40])
@pytest.mark.parametrize("other_system", [False, True])
def test_places_in_auxiliary_files_are_compared(tmp_path, shift, other_system):
    """GDAL writes them beside PNG and JPEG; a mask that lies elsewhere was taken pixel on pixel."""
    for seed in range(4):
        for folder, pixels, left in (("images", image(seed), 0), ("masks", labels(seed)[None], shift)):
            path = tmp_path / "s" / folder / f"{seed}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            place = {"crs": "EPSG:32631" if other_system and folder == "masks" else UTM}
            place["transform"] = Affine(0.5, 0, 1000 + left * 0.5, 0, -0.5, 2000)
            count, height, width = pixels.shape
            options = {"count": count, "height": height, "width": width, "dtype": pixels.dtype, **place}
            with rasterio.open(path, "w", driver="PNG", **options) as picture:
                picture.write(pixels)
            assert path.with_name(f"{seed}.png.aux.xml").is_file()
    if other_system:
        with pytest.raises(DataError, match="system of its image, EPSG:32633, found EPSG:32631"):
            prepared(tmp_path / "s")
    elif shift:
        with pytest.raises(DataError, match="40 pixels to the right and 0 down"):
            prepared(tmp_path / "s")
    else:
        prepared(tmp_path / "s")


@pytest.mark.parametrize(
    "text", ["", "<GeoTransform>1,2,3</GeoTransform>", "<GeoTransform>a,0,0,0,0,0</GeoTransform>", "\xff"]
)
def test_auxiliary_files_without_a_place_say_nothing(tmp_path, text):
    source = write(tmp_path / "s")
    (source / "masks" / "0.tif.aux.xml").write_text(text, encoding="latin-1")
    prepared(source)


# Pixels without data.


def test_pixels_without_data_are_ignored_counted_and_said(tmp_path):
    """The declared values of image and mask were not looked at: the mask was refused for its own no-data value."""

    def with_gap(_: int, pixels: np.ndarray) -> np.ndarray:
        pixels[:8] = 255
        return pixels

    source = write(tmp_path / "s", change=with_gap, image_more={"nodata": 0}, mask_more={"nodata": 255})
    for seed in range(4):
        pixels = image(seed)
        pixels[:, :, :5] = 0
        write_raster(source / "images" / f"{seed}.tif", pixels, **TILE, nodata=0)
    manifest = prepared(source)
    gap = np.zeros((SIDE, SIDE), bool)
    gap[:8], gap[:, :5] = True, True
    assert Rule("no-data", {"pixels": 4 * int(gap.sum()), "pairs": 4, "ignored": 255}) in manifest.rules["mask"]
    assert f"{4 * gap.sum()} pixels of 4 pairs have no data" in sentences(manifest.rules)["mask"]
    for seed in range(4):
        assert (mask(source, str(seed)) == np.where(gap, 255, labels(seed))).all()
        assert not np.asarray(Image.open(source.parent / "out" / "images" / f"{seed}.png"))[:, :5].any()
    assert manifest.labelled == pytest.approx(1 - gap.mean())
    assert prepared(source) == manifest


def test_declarations_that_change_no_label_add_no_rule(tmp_path):
    """The digest of files that were accepted before, and are read alike, stays."""

    def with_gap(_: int, pixels: np.ndarray) -> np.ndarray:
        pixels[:8] = 255
        return pixels

    source = write(tmp_path / "a" / "s", change=with_gap, image_more={"nodata": 0}, mask_more={"nodata": 255})
    manifest = prepared(source, own(source, "255"))
    assert [each.code for each in manifest.rules["mask"]] == ["class", "background", "ignored", "mask-as-it-is"]


def test_a_mask_beside_an_image_is_part_of_the_source(tmp_path):
    source = write(tmp_path / "s")
    manifest = prepared(source)
    shown = np.full((SIDE, SIDE), 255, np.uint8)
    shown[:10] = 0
    write_raster(source / "images" / "0.tif.msk", shown, None)
    with pytest.raises(DataError, match="0: its files have another content"):
        prepared(source)
    other = prepared(write(tmp_path / "b" / "s"))
    assert other.digest(0) == manifest.digest(0)
    write_raster(tmp_path / "c" / "s" / "images" / "0.tif.msk", shown, None)
    masked = prepared(write(tmp_path / "c" / "s"))
    assert masked.rules["mask"][-1] == Rule("no-data", {"pixels": 10 * SIDE, "pairs": 1, "ignored": 255})


def test_tiles_of_whu_follow_the_same_rule(tmp_path):
    """Large rasters did, ready tiles did not."""
    for split in ("train", "val", "test"):
        pixels, drawn = np.tile(image(3), (1, 8, 8)), np.tile(labels(3), (8, 8)) * np.uint8(255)
        pixels[:, :50] = 0
        write_raster(tmp_path / "s" / split / "image" / "1.tif", pixels, **TILE, nodata=0)
        write_raster(tmp_path / "s" / split / "label" / "1.tif", drawn, **TILE)
    manifest = prepared(tmp_path / "s", Whu())
    assert manifest.rules["mask"][-1] == Rule("no-data", {"pixels": 3 * 50 * 512, "pairs": 3, "ignored": 255})
    found = mask(tmp_path / "s", "train_1")
    assert (found[:50] == 255).all()
    assert (found[50:] == (drawn[50:] == 255)).all()
    assert manifest.foreground == pytest.approx((drawn[50:] == 255).mean())


# Scenes.


@pytest.fixture
def small_limit(monkeypatch):
    """Scenes of tests are cut by windows."""
    monkeypatch.setattr(tiff_header, "MOST_PIXELS", 50 * 50)


def write_scene(folder: Path, **mask_more) -> Path:
    pixels, drawn = np.tile(image(0), (1, 3, 3))[:, :150, :170], np.tile(labels(0), (3, 3))[:150, :170]
    pixels[:, :20, :20] = 0
    write_raster(folder / "images" / "scene.tif", pixels, **TILE, nodata=0)
    write_raster(folder / "masks" / "scene.tif", drawn, **{**TILE, **mask_more})
    return folder


def test_a_large_scene_gives_the_tiles_of_a_small_one(tmp_path, request):
    """196 million pixels were "a decompression bomb"."""
    whole = write_scene(tmp_path / "whole" / "s")
    expected = prepared(whole, own(whole, side=64))
    request.getfixturevalue("small_limit")
    scene = write_scene(tmp_path / "scene" / "s")
    found = prepared(scene, own(scene, side=64))
    assert len(found.entries) == 9
    assert found.rules == expected.rules
    assert [entry.image_sha256 for entry in found.entries] == [entry.image_sha256 for entry in expected.entries]
    assert [entry.mask_sha256 for entry in found.entries] == [entry.mask_sha256 for entry in expected.entries]
    assert prepared(scene, own(scene, side=64)) == found


def test_copies_of_a_scene_are_known(tmp_path, small_limit):
    source = write_scene(tmp_path / "s")
    for folder in ("images", "masks"):
        (source / folder / "copy.tif").write_bytes((source / folder / "scene.tif").read_bytes())
    groups = {entry.group for entry in prepared(source, own(source, side=64)).entries}
    assert len(groups) == 1


@pytest.mark.parametrize(
    ("mask_more", "options", "words"),
    [
        ({"transform": PLACE @ Affine.translation(9, 0)}, {}, "masks/scene.tif: expected the place of its image"),
        (
            {},
            {"fit": "resize"},
            "images/scene.tif: expected a picture, found a scene of 170x150 pixels; cut it: --fit tile",
        ),
    ],
)
def test_scenes_that_cannot_be_cut(tmp_path, small_limit, mask_more, options, words):
    source = write_scene(tmp_path / "s", **mask_more)
    with pytest.raises(DataError) as error:
        prepared(source, own(source, side=64, **options))
    assert words in str(error.value)


def test_infrared_marked_as_alpha_of_a_scene_is_refused(tmp_path, small_limit):
    source = write_scene(tmp_path / "s")
    near = np.random.default_rng(0).integers(0, 200, (4, 150, 170), dtype=np.uint8)
    write_raster(source / "images" / "scene.tif", near, **TILE)
    with pytest.raises(
        DataError, match=r"images/scene\.tif: .*\(infrared\?\); name the bands .* --bands 1,2,3; or drop the band"
    ):
        prepared(source, own(source, side=64))


def test_a_damaged_scene_is_named(tmp_path, small_limit):
    source = write_scene(tmp_path / "s", compress="deflate")
    path = source / "masks" / "scene.tif"
    content = bytearray(path.read_bytes())
    content[-400:-300] = bytes(100)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"masks/scene\.tif: cannot be decoded"):
        prepared(source, own(source, side=64))
    with pytest.raises(DataError, match="every pair of the source has a bad file"):
        prepared(source, own(source, side=64), skip_bad=True)


# Soft borders.


def write_soft(folder: Path, ending: str = "png") -> Path:
    for seed in range(4):
        for name, pixels in (("images", image(seed).transpose(1, 2, 0)), ("masks", soft(seed))):
            path = folder / name / f"{seed}.{ending if name == 'masks' else 'png'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path, **({"quality": 100} if path.suffix == ".jpg" else {}))
    return folder


def soft(seed: int) -> np.ndarray:
    grey = np.zeros((SIDE, SIDE), np.uint8)
    grey[20 + seed : 30] = 255
    grey[19 + seed], grey[30] = 100, 160
    return grey


@pytest.mark.parametrize(
    ("classes", "words"),
    [("road=255", "say where it begins: --threshold 128"), ("road=255,255,255", '"NAME=255", where it begins')],
)
def test_unexpected_greys_name_the_threshold(tmp_path, classes, words):
    source = write_soft(tmp_path / "s")
    with pytest.raises(DataError) as error:
        prepared(source, declare(from_named(classes), source, ()))
    assert words in str(error.value)


def from_named(classes: str, **options):
    return replace(from_options([classes], None), name="own", **options)


@pytest.mark.parametrize("ending", ["png", "tif", "jpg"])
def test_soft_borders_are_cut_at_the_threshold(tmp_path, ending):
    source = write_soft(tmp_path / "s", ending)
    data = declare(from_named("road=255", threshold=128), source, ())
    manifest = prepared(source, data)
    assert manifest.rules["mask"][0] == Rule("threshold", {"of": "road", "at": 128})
    assert (mask(source, "0") == (soft(0) >= 128)).all()
    assert load_folder(source.parent / "out") == data


def test_without_a_threshold_the_declaration_is_as_it_was(tmp_path):
    source = write(tmp_path / "s")
    assert "threshold" not in json.loads(own(source).to_json())


@pytest.mark.parametrize("classes", ["road=255,255,255", "road=1, roof=2"])
def test_a_threshold_is_of_one_class_of_numbers(tmp_path, classes):
    with pytest.raises(BadDeclaration, match="one class of a grey value"):
        declare(from_named(classes, threshold=128), tmp_path, ())


def test_a_class_map_may_hold_a_threshold(tmp_path):
    path = tmp_path / "map.yaml"
    path.write_text("name: own\nclasses:\n- {name: road, value: 255}\nthreshold: 100\n")
    assert from_file(path).threshold == 100
    path.write_text("name: own\nclasses:\n- {name: road, value: 255}\nthreshold: half\n")
    with pytest.raises(BadDeclaration, match="expected threshold as a grey value"):
        from_file(path)


def test_files_beside_pictures_come_out_of_archives(tmp_path):
    """Of a ZIP only pictures were unpacked: the mask beside one would have said nothing."""
    source = write(tmp_path / "s")
    shown = np.full((SIDE, SIDE), 255, np.uint8)
    shown[:10] = 0
    write_raster(source / "images" / "0.tif.msk", shown, None)
    (source / "masks" / "0.wld").write_text("0.5\n0\n0\n-0.5\n0\n0\n")
    shutil.make_archive(str(tmp_path / "s"), "zip", source)
    expected = prepared(source)
    data, out = own(tmp_path / "s.zip"), tmp_path / "other"
    found = data.prepare(tmp_path / "s.zip", out, origin="source", workers=1, progress=lambda *_: None)
    assert found == expected
    assert found.rules["mask"][-1].code == "no-data"


def test_the_file_of_a_scene_may_be_larger_than_a_picture_that_is_read_whole(tmp_path, small_limit, monkeypatch):
    monkeypatch.setattr(NamedFiles, "largest", 1000)
    source = write_scene(tmp_path / "s")
    assert (source / "masks" / "scene.tif").stat().st_size > 1000
    assert len(prepared(source, own(source, side=64)).entries) == 9


@pytest.mark.parametrize(("stored", "declared"), [(1, 255), (255, 1)])
def test_the_value_of_the_one_class_is_named_where_another_was_declared(tmp_path, stored, declared):
    """Of masks of 0 and 1 declared as 255 it said: soft borders, --threshold 128, which empties them."""
    source = write(tmp_path / "s", change=lambda _, pixels: pixels * np.uint8(stored))
    data = declare(replace(from_options([f"road={declared}"], None), name="own"), source, ())
    with pytest.raises(DataError, match=rf'found also {stored}\. If it .* say so: --classes "NAME={stored}"'):
        prepared(source, data)
