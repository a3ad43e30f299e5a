"""Images of more than 8 bits in a user's own folder: one range of values for all files, found or declared."""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import from_origin

from data_prep.datasets.folder import load_folder
from data_prep.datasets.folder_options import declare, from_options
from data_prep.errors import DataError
from data_prep.manifest_file import load_manifest
from data_prep.prepare import large_scenes
from data_prep.rules import sentences
from rssam.errors import UserError
from rssam.value_range import RangeUnknown

SIDE = 64
UTM = {"crs": "EPSG:32631", "transform": from_origin(500_000, 5_500_000, 0.5, 0.5)}


def values(seed, low, high, kind):
    drawn = np.random.default_rng(seed).uniform(low, high, (3, SIDE, SIDE)).astype(kind)
    drawn[:, 0, 0], drawn[:, 0, 1] = low, high
    return drawn


def write(path, bands, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = bands.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=bands.dtype, **UTM, **options
    ) as file:
        file.write(bands)


def pair(folder, name, bands, **options):
    write(folder / "images" / f"{name}.tif", bands, **options)
    mask = folder / "masks" / f"{name}.png"
    mask.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.eye(SIDE, dtype=np.uint8)).save(mask)


def declared(source, scale=None, **options):
    return declare(replace(from_options(["road=1"], None), name="mine", scale=scale, **options), source, ())


def prepared(dataset, source, out):
    return dataset.prepare(source, out, origin="source", workers=1, progress=lambda *_: None)


def pixels(out, stem):
    with Image.open(out / "images" / f"{stem}.png") as picture:
        return np.moveaxis(np.asarray(picture), -1, 0).astype(int)


def test_a_declared_range_becomes_bytes_and_is_recorded(tmp_path):
    """Such images were refused, with gdal_translate as the only way."""
    scenes = {name: values(seed, 200, 3200, np.uint16) for seed, name in enumerate("ab")}
    for name, bands in scenes.items():
        pair(tmp_path / "s", name, bands)
    data = declared(tmp_path / "s", "200,3200")
    manifest = prepared(data, tmp_path / "s", tmp_path / "out")
    for name, bands in scenes.items():
        assert (pixels(tmp_path / "out", name) == np.rint((bands.astype(float) - 200) * 255 / 3000)).all()
    assert manifest.facts["scale"] == {"min": 200, "max": 3200}
    assert "values of 200 to 3200 become 0 to 255; RGB" in sentences(manifest.rules)["image"]
    assert load_folder(tmp_path / "out") == data
    assert data.scale == (200, 3200)
    assert load_manifest(tmp_path / "out", "mine") == manifest
    assert prepared(declared(tmp_path / "s", "200,3200"), tmp_path / "s", tmp_path / "out") == manifest
    with pytest.raises(DataError, match=r"scale \(200, 3200\) \(now \(0, 3200\)\)"):
        prepared(declared(tmp_path / "s", "0,3200"), tmp_path / "s", tmp_path / "out")


def test_without_a_range_the_message_gives_the_one_that_was_found(tmp_path):
    for name, top in (("a", 2900), ("b", 4095)):
        pair(tmp_path, name, values(1, 120, top, np.uint16))
    with pytest.raises(RangeUnknown, match=r"a\.tif \(uint16 from 120 to 2900\).*together from 120 to 4095\..*--scale"):
        declared(tmp_path)
    pair(tmp_path / "signed", "a", values(1, -300, 200, np.int16))
    with pytest.raises(RangeUnknown, match=r"int16 from -300 to 200"):
        declared(tmp_path / "signed")


@pytest.mark.parametrize(
    ("kind", "high", "scale"),
    [(np.float32, 1, "0..1"), (np.float32, 255, "0..255"), (np.uint16, 255, "0..255"), (np.int16, 255, "0..255")],
)
def test_values_that_show_their_range_are_taken_so_and_said(tmp_path, kind, high, scale):
    bands = values(3, 0, high, kind)
    pair(tmp_path / "s", "a", bands)
    data = declared(tmp_path / "s")
    manifest = prepared(data, tmp_path / "s", tmp_path / "out")
    assert data.scale == scale
    assert f"taken as lying within {scale}" in sentences(manifest.rules)["image"]
    assert (pixels(tmp_path / "out", "a") == np.rint(bands.astype(np.float32) * np.float32(255 / high))).all()
    assert "scale" not in manifest.facts  # nothing was declared: scenes of `predict` show their own range


def test_files_that_disagree_are_listed_and_refused(tmp_path):
    """Of reflectances and bytes in one folder the first would be black."""
    pair(tmp_path / "s", "unit", values(1, 0, 1, np.float32))
    pair(tmp_path / "s", "byte", values(2, 0, 255, np.uint8))
    with pytest.raises(RangeUnknown, match=r"within 0\.\.255 .*byte\.tif .* within 0\.\.1 .*unit\.tif"):
        declared(tmp_path / "s")
    with pytest.raises(DataError, match=r"found 8 bits in images/byte\.tif; take those away"):
        declared(tmp_path / "s", "0,1")


def test_damaged_files_are_faults_of_their_own(tmp_path):
    for name in "abcde":
        pair(tmp_path / "s", name, values(1, 0, 3000, np.uint16))
    (tmp_path / "s" / "images" / "a.tif").write_bytes(b"II*\0nothing")
    path = tmp_path / "s" / "images" / "b.tif"
    path.write_bytes(path.read_bytes()[:9000])
    data = declared(tmp_path / "s", "0,3000")
    with pytest.raises(DataError, match=r"2 files .*\n  images/a\.tif: .*\n  images/b\.tif: "):
        prepared(data, tmp_path / "s", tmp_path / "out")
    assert declared(tmp_path / "s", "auto").scale[1] < 3000


def test_images_of_8_bits_stay_as_they_are_and_take_no_scale(tmp_path):
    pair(tmp_path / "s", "a", values(1, 0, 255, np.uint8))
    data = declared(tmp_path / "s")
    assert data.scale is None
    assert "scale" not in data.to_json()
    assert "scale" not in prepared(data, tmp_path / "s", tmp_path / "out").facts
    with pytest.raises(DataError, match="run it without --scale"):
        declared(tmp_path / "s", "0,100")


@pytest.mark.parametrize("text", ["10", "a,b", "5,5", "9,1", "0,nan"])
def test_a_scale_that_is_none_is_refused(tmp_path, text):
    pair(tmp_path, "a", values(1, 0, 4000, np.uint16))
    with pytest.raises(UserError, match="--scale"):
        declared(tmp_path, text)


def test_auto_takes_percentiles_of_all_files_without_black_borders(tmp_path):
    """With the undeclared border of zeros the lower end was 0: the scene lost half of its contrast."""
    scenes = [values(seed, 1000, 2000, np.uint16) for seed in range(3)]
    for name, bands in zip("abc", scenes, strict=True):
        bands[:, :, :16] = 0
        pair(tmp_path, name, bands)
    inside = np.concatenate([bands[:, :, 16:].ravel() for bands in scenes])
    low, high = declared(tmp_path, "auto").scale
    assert (low, high) == pytest.approx(np.percentile(inside, (2, 98)), abs=2)
    assert declared(tmp_path, "auto").scale == (low, high)


def test_values_outside_are_clipped_counted_and_said(tmp_path):
    bands = values(1, 0, 3000, np.uint16)
    bands[0, 5, :7] = 9000
    pair(tmp_path / "s", "a", bands)
    manifest = prepared(declared(tmp_path / "s", "0,3000"), tmp_path / "s", tmp_path / "out")
    assert "7 values of 1 images lay outside and were clipped" in sentences(manifest.rules)["image"]
    assert (pixels(tmp_path / "out", "a")[0, 5, :7] == 255).all()


def test_no_number_and_no_data_are_black_and_ignored(tmp_path):
    bands = values(1, 0, 1, np.float32)
    bands[1, 4, :6], bands[:, 8, :5] = np.nan, -9999
    pair(tmp_path / "s", "a", bands, nodata=-9999)
    manifest = prepared(declared(tmp_path / "s"), tmp_path / "s", tmp_path / "out")
    assert not pixels(tmp_path / "out", "a")[:, 4, :6].any()
    assert not pixels(tmp_path / "out", "a")[:, 8, :5].any()
    assert "11 pixels of 1 pairs have no data" in sentences(manifest.rules)["mask"]
    assert "clipped" not in sentences(manifest.rules)["image"]


def test_grey_images_become_three_equal_channels(tmp_path):
    bands = values(1, 0, 3000, np.uint16)[:1]
    pair(tmp_path / "s", "a", bands)
    prepared(declared(tmp_path / "s", "0,3000"), tmp_path / "s", tmp_path / "out")
    assert (pixels(tmp_path / "out", "a") == np.rint(bands.astype(np.float32) * np.float32(255 / 3000))).all()


def deep_png(path, bands):
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = bands.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver="PNG", count=count, height=height, width=width, dtype=bands.dtype
        ) as picture:
            picture.write(bands)


@pytest.mark.parametrize("count", [1, 3])
def test_a_png_of_16_bits_is_scaled_as_a_raster(tmp_path, count):
    """It was refused: "save them as TIFF"."""
    bands = values(0, 100, 2100, np.uint16)[:count]
    pair(tmp_path / "s", "a", bands)
    (tmp_path / "s" / "images" / "a.tif").unlink()
    deep_png(tmp_path / "s" / "images" / "a.png", bands)
    with pytest.raises(RangeUnknown, match=r"uint16 from 100 to 2100.* --scale"):
        declared(tmp_path / "s")
    data = declared(tmp_path / "s", "100,2100")
    prepared(data, tmp_path / "s", tmp_path / "out")
    expected = np.rint((bands.astype(float) - 100) * 255 / 2000)
    assert (pixels(tmp_path / "out", "a") == np.broadcast_to(expected, (3, SIDE, SIDE))).all()


@pytest.mark.parametrize("harm", ["cut", "flipped"])
def test_a_damaged_png_of_16_bits_is_a_fault(tmp_path, harm):
    pair(tmp_path / "s", "a", values(0, 0, 3000, np.uint16))
    image = tmp_path / "s" / "images" / "a.tif"
    image.unlink()
    deep_png(image.with_suffix(".png"), values(0, 0, 3000, np.uint16))
    content = bytearray(image.with_suffix(".png").read_bytes())
    content[-5] ^= 1  # of the last checksum
    image.with_suffix(".png").write_bytes(content[: 2 * len(content) // 3] if harm == "cut" else content)
    with pytest.raises(DataError, match=r"images/a.png: cannot be decoded \("):
        prepared(declared(tmp_path / "s", "0,3000"), tmp_path / "s", tmp_path / "out")


def test_a_large_scene_is_scaled_as_a_small_one(tmp_path, monkeypatch):
    bands = values(1, 0, 3000, np.uint16)
    bands[2, 40, :9] = 5000
    pair(tmp_path / "s", "a", bands)
    data = declared(tmp_path / "s", "0,3000", side=32)
    small = prepared(data, tmp_path / "s", tmp_path / "small")
    monkeypatch.setattr(large_scenes, "is_large", lambda path: path.suffix == ".tif")
    (tmp_path / "s" / "masks" / "a.png").unlink()
    write(tmp_path / "s" / "masks" / "a.tif", np.eye(SIDE, dtype=np.uint8)[None])
    large = prepared(data, tmp_path / "s", tmp_path / "large")
    for entry, other in zip(small.entries, large.entries, strict=True):
        assert entry.image_sha256 == other.image_sha256
    assert sentences(small.rules)["image"] == sentences(large.rules)["image"]
    assert "9 values" in sentences(large.rules)["image"]


def test_a_declaration_of_another_kind_is_damaged(tmp_path):
    pair(tmp_path / "s", "a", values(1, 0, 3000, np.uint16))
    data = declared(tmp_path / "s", "0,3000")
    folder = tmp_path / "data"
    folder.mkdir()
    for scale in ((3000, 0), (0, float("inf")), "0..7"):
        (folder / "dataset.json").write_text(dataclasses.replace(data, scale=scale).to_json())
        with pytest.raises(DataError, match="damaged"):
            load_folder(folder)
