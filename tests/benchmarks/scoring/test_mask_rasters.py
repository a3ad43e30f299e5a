"""Predictions as GeoTIFFs: overviews are no further pictures, every pixel has a label, and bands are not dropped."""

from __future__ import annotations

import os
import warnings

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.enums import Resampling

from benchmarks.scoring.mask_files import LabelReader, labels_of, resolve_encoding
from benchmarks.scoring.mask_folder import PredictionsUnfit, read_folder
from benchmarks.scoring.test_images import select_test_images
from data_prep.images.decode import BadPicture
from tests.benchmarks.prepared import SIDE, make_session
from tests.data_prep.raster_files import write_raster

ROAD = LabelReader(("road",), ((255, 255, 255),))
ROADS = np.random.default_rng(0).choice([0, 1], (64, 64), p=(0.9, 0.1)).astype(np.uint8)


def read(path):
    file = ROAD.read(path)
    return labels_of(file, *resolve_encoding([file]))


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int32", "float32"])
def test_overviews_are_no_further_pictures(tmp_path, kind):
    """The suite's own maps were refused: "expected one picture, found 3 in one file"."""
    write_raster(tmp_path / "a.tif", ROADS.astype(kind), blockxsize=16, blockysize=16)
    with warnings.catch_warnings(), rasterio.open(tmp_path / "a.tif", "r+") as raster:
        raster.build_overviews([2, 4], Resampling.nearest)
    with Image.open(tmp_path / "a.tif") as picture:
        assert picture.n_frames == 3
    assert (read(tmp_path / "a.tif") == ROADS).all()


def test_a_map_of_the_suite_is_read(tmp_path):
    options = {"compress": "deflate", "blocksize": 128, "nodata": 255}
    pixels = np.kron(ROADS, np.ones((4, 4), np.uint8))
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="COG", count=1, height=256, width=256, dtype="uint8", crs="EPSG:32633",
        transform=rasterio.Affine(0.5, 0, 500000, 0, -0.5, 5000000), **options,
    ) as raster:  # fmt: skip
        raster.write(pixels[None])
        raster.write_colormap(1, {0: (0, 0, 0), 1: (255, 255, 255)})
    assert (read(tmp_path / "a.tif") == pixels).all()


@pytest.mark.parametrize("name", ["a.png", "a.npy"])
def test_what_is_no_file_is_refused(tmp_path, name):
    """A pipe was waited for without end; a link to /dev/zero filled the memory until the process was killed."""
    os.mkfifo(tmp_path / name)
    (tmp_path / f"zero-{name}").symlink_to("/dev/zero")
    for path in tmp_path.iterdir():
        with pytest.raises(BadPicture, match="expected a file, found a folder, a device or a pipe"):
            read(path)


def test_several_pictures_stay_refused(tmp_path):
    pages = [Image.fromarray(ROADS), Image.fromarray(ROADS)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(BadPicture, match="expected one picture, found 2"):
        read(tmp_path / "a.tif")


def test_a_band_for_each_class_is_refused(tmp_path):
    """Of a perfect map the first band was read, "not road": Dice 0."""
    write_raster(tmp_path / "a.tif", np.stack([1 - ROADS, ROADS]))
    with pytest.raises(BadPicture, match=r"found 2 bands \(one for each class\?\); declare it: --encoding one-hot"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("transparent", [False, True])
def test_pixels_without_a_label_are_refused(tmp_path, transparent):
    """What a prediction leaves out would be counted as what happens to be stored there."""
    gap = ROADS.copy()
    gap[:3] = 255
    if transparent:
        alpha = np.where(gap == 255, np.uint8(0), np.uint8(255))
        Image.fromarray(np.stack([ROADS * 255, alpha], axis=-1)).save(tmp_path / "a.tif")
    else:
        write_raster(tmp_path / "a.tif", gap, nodata=255)
    with pytest.raises(BadPicture, match="expected a label in every pixel, found 192 without data"):
        read(tmp_path / "a.tif")


def test_jpeg_is_told_why_it_is_not_taken(tmp_path):
    """The message was "without a file", beside the file."""
    session = make_session(tmp_path / "home")
    chosen = select_test_images(session.home, "deepglobe", 0, "random")
    folder = tmp_path / "masks"
    folder.mkdir()
    for number, entry in enumerate(chosen.entries):
        Image.new("L", (SIDE, SIDE)).save(folder / f"{entry.stem}.{'png' if number else 'jpg'}")
    with pytest.raises(PredictionsUnfit) as error:
        read_folder(folder, chosen, "", lambda *_: None)
    name = f"{chosen.entries[0].stem}.jpg"
    assert f"{name}: JPEG blurs borders of classes" in str(error.value)
    assert "without a file" not in str(error.value)
    Image.new("L", (SIDE, SIDE)).save((folder / name).with_suffix(".png"))
    assert not read_folder(folder, chosen, "", lambda *_: None).labels(0).any()
