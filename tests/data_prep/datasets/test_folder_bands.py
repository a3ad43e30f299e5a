"""Bands of a user's own rasters that are read as red, green and blue: declared, recorded, and checked."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from data_prep.datasets.folder import load_folder
from data_prep.datasets.folder_options import BadDeclaration, ClassMap, declare, from_file
from data_prep.errors import DataError
from data_prep.prepare import large_scenes
from data_prep.rules import sentences
from rssam.errors import UserError
from rssam.inference.raster_input import RasterSource
from rssam.value_range import ValueRange
from tests.data_prep.datasets.test_folder_scale import SIDE, declared, pair, pixels, prepared, values, write

RED_GREEN_BLUE = [4 - 1, 3 - 1, 2 - 1]


def bytes_of(seed, count=5):
    return np.random.default_rng(seed).integers(1, 256, (count, SIDE, SIDE), dtype=np.uint8)


def test_named_bands_are_read_and_recorded(tmp_path):
    """Of five bands the first three were read, in silence: blue, green and red of most satellites."""
    scene = bytes_of(0)
    pair(tmp_path / "s", "a", scene)
    data = declared(tmp_path / "s", bands="4,3,2")
    manifest = prepared(data, tmp_path / "s", tmp_path / "out")
    assert (pixels(tmp_path / "out", "a") == scene[RED_GREEN_BLUE]).all()
    assert manifest.facts["bands"] == {"red": 4, "green": 3, "blue": 2}
    assert "bands 4, 3 and 2 are read as red, green and blue; RGB" in sentences(manifest.rules)["image"]
    assert load_folder(tmp_path / "out") == data
    with pytest.raises(DataError, match=r"bands \(4, 3, 2\) \(now None\)"):
        prepared(declared(tmp_path / "s"), tmp_path / "s", tmp_path / "out")


def test_without_bands_nothing_is_recorded(tmp_path):
    pair(tmp_path / "s", "a", bytes_of(0, count=3))
    data = declared(tmp_path / "s")
    manifest = prepared(data, tmp_path / "s", tmp_path / "out")
    assert "bands" not in data.to_json()
    assert "bands" not in manifest.facts
    assert {rule.code for rule in manifest.rules["image"]} == {"as-it-is"}


def test_a_range_is_that_of_the_named_bands(tmp_path):
    """The percentiles were of the first three bands, whatever was read."""
    scene = values(0, 300, 2000, np.uint16)
    pair(tmp_path / "s", "a", np.concatenate([np.full((1, SIDE, SIDE), 9000, np.uint16), scene]))
    data = declared(tmp_path / "s", "auto", bands="2,3,4")
    assert data.scale == pytest.approx((334, 1966), rel=0.02)
    prepared(data, tmp_path / "s", tmp_path / "out")
    low, high = data.scale
    expected = np.rint((scene.astype(np.float64) - low) * 255 / (high - low)).clip(0, 255)
    assert abs(pixels(tmp_path / "out", "a") - expected).max() <= 1


def test_a_named_band_that_is_tagged_alpha_hides_nothing(tmp_path):
    """Its zeros would be without data: water, where the fourth band is infrared."""
    scene = bytes_of(0, count=4)
    scene[3, 10:20] = 0
    pair(tmp_path / "s", "a", scene, photometric="RGB", alpha="YES")
    with rasterio.open(tmp_path / "s" / "images" / "a.tif") as raster:
        assert raster.colorinterp[3] == ColorInterp.alpha
    manifest = prepared(declared(tmp_path / "s", bands="4,1,2"), tmp_path / "s", tmp_path / "out")
    assert (pixels(tmp_path / "out", "a") == scene[[3, 0, 1]]).all()
    assert manifest.labelled == 1


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_infrared_that_is_tagged_alpha_and_not_named_hides_nothing(tmp_path, monkeypatch, large, kind):
    """`--bands 1,2,3` refused it, "expected an alpha band of 0 and 255"; 4,1,2 and `predict` took it."""
    scene = np.random.default_rng(0).integers(1, 200, (4, SIDE, SIDE)).astype(kind)
    scene[3, 10:20] = 0  # water
    pair(tmp_path / "s", "a", scene, photometric="RGB", alpha="YES")
    data = declared(tmp_path / "s", None if kind is np.uint8 else "0,255", bands="1,2,3")
    data = dataclasses.replace(data, fit="tile")
    if large:
        (tmp_path / "s" / "masks" / "a.png").unlink()
        write(tmp_path / "s" / "masks" / "a.tif", np.eye(SIDE, dtype=np.uint8)[None])
        monkeypatch.setattr(large_scenes, "is_large", lambda path: path.suffix == ".tif")
    manifest = prepared(data, tmp_path / "s", tmp_path / "out")
    assert (pixels(tmp_path / "out", "a_y00000_x00000") == scene[:3]).all()
    assert manifest.labelled == 1
    note = RasterSource(tmp_path / "s" / "images" / "a.tif", (1, 2, 3), ValueRange(0, 255)).notes[0]
    words = note.split("band 4 ")[1]  # of predict
    assert sentences(manifest.rules)["image"].endswith(f"1 images have a band that {words}")
    assert prepared(data, tmp_path / "s", tmp_path / "out") == manifest


@pytest.mark.parametrize("full", [1, 255])
def test_a_mask_that_is_not_named_hides_pixels_still(tmp_path, full):
    """Also one of 0 and 1, which `predict` takes for a mask: it was refused as infrared."""
    scene = bytes_of(0, count=4)
    scene[3] = full
    scene[3, 10:20] = 0
    pair(tmp_path / "s", "a", scene, photometric="RGB", alpha="YES")
    manifest = prepared(declared(tmp_path / "s", bands="1,2,3"), tmp_path / "s", tmp_path / "out")
    assert manifest.labelled == pytest.approx(1 - 10 / SIDE)
    assert "alpha-no-mask" not in {rule.code for rule in manifest.rules["image"]}


def test_the_range_of_values_counts_pixels_where_infrared_is_zero(tmp_path):
    """Pixels that infrared "hides" were left out of the percentiles: 2 of 3 here, and all high values."""
    scene = np.full((4, SIDE, SIDE), 100, np.uint16)
    scene[:3, 20:] = 3000
    scene[3] = np.random.default_rng(0).integers(1, 200, (SIDE, SIDE))
    scene[3, 20:] = 0
    pair(tmp_path / "s", "a", scene, photometric="RGB", alpha="YES")
    assert declared(tmp_path / "s", "auto", bands="1,2,3").scale == (100, 3000)


def test_the_refusal_of_infrared_names_the_bands(tmp_path):
    """The only way that it named was another file without the band."""
    pair(tmp_path / "s", "a", bytes_of(0, count=4), photometric="RGB", alpha="YES")
    with pytest.raises(DataError, match=r"--bands 1,2,3; or drop the band: gdal_translate -b 1 -b 2 -b 3 OLD NEW"):
        prepared(declared(tmp_path / "s"), tmp_path / "s", tmp_path / "out")


def test_no_data_is_that_of_all_bands(tmp_path):
    scene = bytes_of(0, count=4)
    scene[:, :8] = 0
    scene[3, 10:20] = 0
    pair(tmp_path / "s", "a", scene, photometric="RGB", alpha="YES", nodata=0)
    manifest = prepared(declared(tmp_path / "s", bands="4,1,2"), tmp_path / "s", tmp_path / "out")
    assert (pixels(tmp_path / "out", "a") == scene[[3, 0, 1]]).all()
    assert manifest.labelled == pytest.approx(1 - 8 / SIDE)


def test_a_large_scene_is_read_by_its_bands_too(tmp_path, monkeypatch):
    scene = bytes_of(0)
    pair(tmp_path / "s", "a", scene)
    data = dataclasses.replace(declared(tmp_path / "s", bands="4,3,2"), fit="tile")
    prepared(data, tmp_path / "s", tmp_path / "small")
    (tmp_path / "s" / "masks" / "a.png").unlink()
    write(tmp_path / "s" / "masks" / "a.tif", np.eye(SIDE, dtype=np.uint8)[None])
    monkeypatch.setattr(large_scenes, "is_large", lambda path: path.suffix == ".tif")
    prepared(data, tmp_path / "s", tmp_path / "large")
    for out in ("small", "large"):
        assert (pixels(tmp_path / out, "a_y00000_x00000") == scene[RED_GREEN_BLUE]).all()


@pytest.mark.parametrize("text", ["4,3", "0,1,2", "red,green,blue", "1.5,2,3"])
def test_bands_that_are_none_are_refused(tmp_path, text):
    with pytest.raises(UserError, match=f"--bands {text}: expected 3 whole numbers"):
        declared(tmp_path, bands=text)


def test_files_without_such_bands_are_faults(tmp_path):
    pair(tmp_path / "s", "a", bytes_of(0))
    pair(tmp_path / "s", "b", bytes_of(0, count=3))
    with pytest.raises(DataError, match=r"b.tif: expected the bands 4,3,2 \(--bands\), found 3 in all"):
        prepared(declared(tmp_path / "s", bands="4,3,2"), tmp_path / "s", tmp_path / "out")


def test_a_class_map_may_say_bands_and_scale(tmp_path):
    """Such keys were refused: a range could be in the command alone."""
    pair(tmp_path / "s", "a", values(0, 0, 3000, np.uint16))
    path = tmp_path / "classes.yaml"
    text = 'name: mine\nclasses: [{name: road, value: 1}]\nscale: "0,3000"\nbands: "3,2,1"\n'
    path.write_text(text)
    data = declare(from_file(path), tmp_path / "s", ())
    assert (data.scale, data.bands) == ((0, 3000), (3, 2, 1))
    overruled = from_file(path).overruled(ClassMap(scale="0,2000"))
    assert (overruled.scale, overruled.bands, overruled.name) == ("0,2000", "3,2,1", "mine")
    path.write_text(text.replace('"3,2,1"', "[3, 2, 1]"))
    with pytest.raises(BadDeclaration, match="expected bands as a text such as 4,3,2"):
        from_file(path)
