"""Large rasters to tiles, against NumPy, rasterio's own resampling and the coordinates themselves."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import rasterio
from affine import Affine
from PIL import Image
from rasterio.enums import ColorInterp, Resampling
from rasterio.warp import reproject
from rasterio.windows import Window
from typer.testing import CliRunner

from data_prep.datasets.whu import Whu
from data_prep.errors import DataError
from data_prep.loading.torch_dataset import PreparedDataset
from data_prep.manifest_file import load_manifest
from data_prep.prepare.tiles import LabelRaster, Tile
from data_prep.rasters.windowed_reads import TilePixels, close_rasters, read_tile
from data_prep.rules import sentences
from data_prep.synthetic.building_scenes import roof_scene
from tests.conftest import REPOSITORY
from tests.data_prep.raster_files import NORTH_UP, NZTM, blocks, noise, prepare, write_raster
from tests.data_prep.samples import contents

THIRTY = Affine(0.3, 0, 1570000, 0, -0.3, 5180000)


@pytest.fixture
def source(tmp_path):
    return tmp_path / "source"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "home" / "whu"


@pytest.fixture(autouse=True)
def closed():
    yield
    close_rasters()


def picture(out, entry) -> np.ndarray:
    return np.asarray(Image.open(out / entry.image))


def labels(out, entry) -> np.ndarray:
    return np.asarray(Image.open(out / entry.mask))


def refusal(source, out, **options) -> str:
    with pytest.raises(DataError) as caught:
        prepare(source, out, **options)
    assert not out.exists()
    return str(caught.value)


def tile_of(image: Path, label: Path, factor=(4.0, 4.0), side=64, row=0, column=0, by_pixels=False) -> Tile:
    drawn = (LabelRaster(label, label.name, 1),)
    return Tile(image, image.name, drawn, by_pixels, row, column, side, factor, "s", None, None, 1 << 26, ("", ""))


def pieces(image: Path, label: Path, rows: int, columns: int, **options) -> dict[tuple[int, int], TilePixels | None]:
    return {
        (r, c): read_tile(tile_of(image, label, row=r, column=c, **options))
        for r in range(rows)
        for c in range(columns)
    }


@pytest.mark.parametrize("edges", ["drop", "pad"])
def test_every_source_pixel_lies_in_exactly_one_tile(source, out, edges):
    """Written as pixel values, all coordinates come back once: none twice, none lost but those at dropped edges."""
    height, width = 1100, 1300
    row, column = np.mgrid[:height, :width]
    image = np.stack([row & 255, column & 255, row >> 8 << 4 | column >> 8]).astype(np.uint8)
    write_raster(source / "image" / "a.tif", image, THIRTY)
    write_raster(source / "label" / "a.tif", np.uint8((row + column) % 2 == 0), THIRTY)
    manifest = prepare(source, out, edges)
    seen = np.zeros((height, width), int)
    for entry in manifest.entries:
        pixels, mask = picture(out, entry).astype(int), labels(out, entry)
        rows = pixels[..., 0] | pixels[..., 2] >> 4 << 8
        columns = pixels[..., 1] | (pixels[..., 2] & 15) << 8
        there = mask != 255
        np.add.at(seen, (rows[there], columns[there]), 1)
        assert ((rows + columns)[there] % 2 == 0).tolist() == (mask[there] == 1).tolist()
        left, top = round((entry.transform[2] - 1570000) / 0.3), round((5180000 - entry.transform[5]) / 0.3)
        assert entry.stem == f"a_y{top:05}_x{left:05}"
        assert (rows == np.minimum(top + np.arange(512), height - 1)[:, None]).all()  # padding repeats the last
        assert (columns == np.minimum(left + np.arange(512), width - 1)).all()
    whole = (height, width) if edges == "pad" else (1024, 1024)
    assert (seen[: whole[0], : whole[1]] == 1).all()
    assert seen.sum() == whole[0] * whole[1]
    assert len(manifest.entries) == (9 if edges == "pad" else 4)


def test_four_by_four_pixels_become_their_mean(tmp_path):
    """Every source pixel counts with the same weight: the means are those of NumPy, to the last digit."""
    image = noise(600, 540)
    write_raster(tmp_path / "i.tif", image)
    write_raster(tmp_path / "l.tif", blocks(600, 540))
    sums = image[:, :512, :512].reshape(3, 128, 4, 128, 4).sum(axis=(2, 4), dtype=int)
    whole = np.moveaxis((sums + 8) // 16, 0, -1)
    for (row, column), piece in pieces(tmp_path / "i.tif", tmp_path / "l.tif", 2, 2).items():
        place = np.s_[64 * row : 64 * row + 64, 64 * column : 64 * column + 64]
        assert (piece.image == whole[place]).all()
        assert (piece.mask.labels == blocks(600, 540)[2:512:4, 2:512:4][place]).all()


def test_other_ratios_agree_with_gdal_and_ignore_overviews(tmp_path):
    """Reduced reads take a file's overviews where it has some, which may be of any kind: here they are black."""
    image = noise(700, 700, seed=4)
    image = np.stack([np.asarray(Image.fromarray(b).resize((700, 700), box=(0, 0, 90, 90))) for b in image])
    write_raster(tmp_path / "i.tif", image)
    write_raster(tmp_path / "l.tif", blocks(700, 700))
    factor = (2.5, 10 / 3)
    with rasterio.open(tmp_path / "i.tif") as raster:
        wanted = {}
        for row, column in np.ndindex(3, 3):
            window = Window(column * 64 * factor[1], row * 64 * factor[0], 64 * factor[1], 64 * factor[0])
            read = raster.read(window=window, out_shape=(3, 64, 64), resampling=Resampling.average)
            wanted[row, column] = np.moveaxis(read.astype(int), 0, -1)
    with rasterio.open(tmp_path / "i.tif", "r+") as raster:
        raster.build_overviews([2, 4], Resampling.nearest)
    with rasterio.open(tmp_path / "i.tif", "r+", OVERVIEW_LEVEL=0) as raster:
        raster.write(np.zeros((3, *raster.shape), np.uint8))
    for place, piece in pieces(tmp_path / "i.tif", tmp_path / "l.tif", 3, 3, factor=factor).items():
        assert np.abs(piece.image - wanted[place]).max() <= 1


def test_a_fractional_ratio_shares_pixels_by_area(tmp_path):
    image = noise(64, 64)
    write_raster(tmp_path / "i.tif", image)
    write_raster(tmp_path / "l.tif", blocks(64, 64))
    piece = read_tile(tile_of(tmp_path / "i.tif", tmp_path / "l.tif", factor=(2.5, 1.5), side=16, column=1))
    fine = np.kron(image, np.ones((1, 2, 2)))[:, :80, 48:96]  # half pixels: five of them high, three wide
    wanted = fine.reshape(3, 16, 5, 16, 3).mean(axis=(2, 4))
    assert (piece.image == np.floor(np.moveaxis(wanted, 0, -1) + 0.5)).all()


TURNED = NORTH_UP @ Affine.translation(80, -40) @ Affine.rotation(31)


@pytest.mark.parametrize(
    "label_place",
    [
        pytest.param(NORTH_UP, id="same"),
        pytest.param(NORTH_UP @ Affine.translation(-37.3, -21.8), id="shifted"),
        pytest.param(NORTH_UP @ Affine.translation(-100, 150) @ Affine.rotation(-31), id="turned"),
        pytest.param(NORTH_UP @ Affine.scale(4) @ Affine.translation(-3.4, 2.1), id="coarser"),
        pytest.param(NORTH_UP @ Affine.scale(0.37) @ Affine.rotation(5), id="finer"),
    ],
)
@pytest.mark.parametrize("image_place", [pytest.param(NORTH_UP, id="upright"), pytest.param(TURNED, id="turned_image")])
def test_labels_align_with_images_to_half_a_pixel(tmp_path, image_place, label_place):
    """The same disc on the ground, drawn into image and label raster: its outline and centre agree after resampling."""
    centre, radius = image_place @ (300, 280), 9.0  # metres

    def disc(place: Affine, height: int, width: int) -> np.ndarray:
        column, row = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        x, y = place.a * column + place.b * row + place.c, place.d * column + place.e * row + place.f
        return (np.hypot(x - centre[0], y - centre[1]) < radius).astype(np.uint8)

    write_raster(tmp_path / "i.tif", np.stack([200 * disc(image_place, 640, 640)] * 3), image_place)
    height, width = (2000, 2300) if abs(label_place.determinant) < 0.002 else (900, 1100)
    write_raster(tmp_path / "l.tif", disc(label_place, height, width), label_place)
    piece = read_tile(tile_of(tmp_path / "i.tif", tmp_path / "l.tif", side=160))
    known, found = piece.mask.labels != 255, piece.mask.labels == 1
    share = piece.image[..., 0] / 200
    assert found.sum() > 2000
    # In a pixel that is wholly inside or outside of the disc, the label may not say otherwise: not even at the outline.
    coarse = abs(label_place.determinant) > 0.05
    assert (found[(share == 1) & known]).mean() > (0.97 if coarse else 0.9999)
    assert (not coarse and not found[(share == 0) & known].any()) or found[(share == 0) & known].mean() < 0.01
    rows, columns = np.mgrid[:160, :160] + 0.5
    if known[share > 0].all():
        for axis in (rows, columns):
            shift = abs((axis * share).sum() / share.sum() - axis[found].mean())
            assert shift < (0.5 if coarse else 0.15)  # labels as coarse as the tile lie half a pixel off at worst
        assert abs(found.sum() / share.sum() - 1) < 0.01
    # Where the disc lies follows from the transform too, without any image.
    x, y = (~(image_place @ Affine.scale(4))) @ centre
    if known[share > 0].all():
        assert abs(columns[found].mean() - x) < 0.5
        assert abs(rows[found].mean() - y) < 0.5


def test_labels_agree_with_gdal_warp(tmp_path):
    place = NORTH_UP @ Affine.translation(-37.3, -21.8) @ Affine.rotation(17)
    write_raster(tmp_path / "i.tif", noise(700, 700), TURNED)
    write_raster(tmp_path / "l.tif", blocks(1400, 1500), place)
    ours = np.block(
        [
            [read_tile(tile_of(tmp_path / "i.tif", tmp_path / "l.tif", row=r, column=c)).mask.labels for c in range(2)]
            for r in range(2)
        ]
    )
    theirs = np.full((128, 128), 255, np.uint8)
    places = {"src_transform": place, "dst_transform": TURNED @ Affine.scale(4), "src_crs": NZTM, "dst_crs": NZTM}
    reproject(blocks(1400, 1500), theirs, **places, dst_nodata=255, resampling=Resampling.nearest, tolerance=0)
    assert (ours == theirs).mean() > 0.999  # they differ where a centre lies on a border
    assert (ours == 255).any()
    assert (ours == 1).any()


def test_area_is_kept(tmp_path):
    """Half coverage with ties to the building would give 3 % more of these."""
    labels = blocks(4096, 4096, seed=8)
    write_raster(tmp_path / "i.tif", noise(4096, 4096))
    write_raster(tmp_path / "l.tif", labels)
    found = read_tile(tile_of(tmp_path / "i.tif", tmp_path / "l.tif", side=1024)).mask.labels
    assert abs(found.mean() / labels.mean() - 1) < 0.002


def test_padding_is_ignored_wherever_masks_are_read(source, out):
    """Two palette colours were stored in one bit, where 255 becomes 1: all padding was building, 61 % of the tile."""
    write_raster(source / "a_image.tif", noise(2048, 2300))
    write_raster(source / "a_label.tif", blocks(2048, 2300))
    manifest = prepare(source, out, "pad")
    first, second = manifest.entries
    item = PreparedDataset(out, manifest.entries)[1]
    assert (item["mask"].numpy()[:, 63:] == 255).all()
    assert (item["mask"].numpy()[:, :63] == blocks(2048, 2300)[2::4, 2050::4]).all()
    image = item["image"].numpy()
    assert (image[:, :, 63:] == image[:, :, 62:63]).all()
    assert second.foreground == pytest.approx(blocks(2048, 2300)[2::4, 2050::4].mean())
    assert Image.open(out / second.mask).convert("RGB").getpixel((500, 0)) == (90, 90, 90)
    assert Image.open(out / first.mask).getpalette() == [0, 0, 0, 255, 255, 255]
    assert (
        "padded by repeating the last row and column, with ignored labels (255)" in sentences(manifest.rules)["tiles"]
    )


def test_the_manifest_tells_place_scene_and_rule(source, out):
    write_raster(source / "image" / "north.tif", noise(2100, 4200), TURNED)
    write_raster(source / "label" / "north.tif", blocks(2100, 4200), TURNED)
    manifest = prepare(source, out)
    assert [entry.stem for entry in manifest.entries] == ["north_y00000_x00000", "north_y00000_x00512"]
    second = manifest.entries[1]
    assert (second.tile_of, second.source_size, second.size) == ("north", (2048, 2048), (512, 512))
    assert second.scene == "north_y00000_x00000"  # that of its neighbour
    assert rasterio.CRS.from_wkt(second.crs) == rasterio.CRS.from_string(NZTM)
    place = Affine(*second.transform)
    assert place @ (7, 9) == pytest.approx(TURNED @ (2048 + 28, 36))
    assert load_manifest(out, "whu") == manifest
    assert not manifest.official_split
    assert sentences(manifest.rules)["official split"].startswith("not the published one")
    assert "70/15/15" in sentences(manifest.rules)["split"]


def test_rasters_without_a_place_are_laid_pixel_on_pixel(source, out):
    write_raster(source / "area.tif", noise(2100, 2100), None)
    write_raster(source / "area_label.tif", blocks(2100, 2100, value=255), None)
    manifest = prepare(source, out)
    (entry,) = manifest.entries
    assert (entry.crs, entry.transform) == (None, None)
    assert "pixel by pixel" in sentences(manifest.rules)["georeference"]
    assert (labels(out, entry) == blocks(2100, 2100)[2:2048:4, 2:2048:4]).all()
    write_raster(source / "area_label.tif", blocks(2100, 2101, value=255), None)
    shutil.rmtree(out)
    assert "or a label raster of equal size, found area_label.tif" in refusal(source, out)


@pytest.mark.parametrize("nodata", ["nodata", "alpha"])
def test_tiles_outside_of_the_data_are_left_out(source, out, nodata):
    image = noise(1024, 1536)
    image[:, :, :700] = 0
    more = {"nodata": 0}
    if nodata == "alpha":
        image, more = np.concatenate([image, 255 * (image[:1] > 0)]).astype(np.uint8), {"photometric": "RGB"}
    write_raster(source / "a.tif", image, THIRTY, **more)
    if nodata == "alpha":
        with rasterio.open(source / "a.tif", "r+") as raster:
            raster.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    write_raster(source / "a_mask.tif", blocks(1024, 1536), THIRTY, nodata=0)  # 0 is background all the same
    manifest = prepare(source, out)
    wanted = ["a_y00000_x00512", "a_y00000_x01024", "a_y00512_x00512", "a_y00512_x01024"]
    assert [entry.stem for entry in manifest.entries] == wanted
    mask = labels(out, manifest.entries[0])
    assert (mask[:, : 700 - 512] == 255).all()
    assert (mask[:, 700 - 512 :] == blocks(1024, 1536)[:512, 700:1024]).all()
    assert prepare(source, out) == manifest  # the tiles left out are not missed


def test_means_leave_out_pixels_without_data(tmp_path):
    """Averaged with them, the rim of the data would be dark."""
    image = np.full((3, 256, 256), 200, np.uint8)
    image[:, :, :130] = 0
    write_raster(tmp_path / "i.tif", image, nodata=0)
    write_raster(tmp_path / "l.tif", blocks(256, 256))
    piece = read_tile(tile_of(tmp_path / "i.tif", tmp_path / "l.tif"))
    assert np.unique(piece.image[:, 32:]).tolist() == [200]  # column 32 has two of four pixels
    assert not piece.image[:, :32].any()
    assert (piece.mask.labels[:, :32] == 255).all()
    assert (piece.mask.labels[:, 32:] != 255).all()


def test_one_label_raster_serves_several_images_and_several_one(source, out):
    whole = blocks(1024, 2048)
    write_raster(source / "image" / "west.tif", noise(1024, 1024), THIRTY)
    write_raster(source / "image" / "east.tif", noise(1024, 1024, 1), THIRTY @ Affine.translation(1024, 0))
    write_raster(source / "label" / "upper.tif", whole[:600], THIRTY, nodata=9)
    write_raster(source / "label" / "lower.tif", whole[600:] * 255, THIRTY @ Affine.translation(0, 600))
    manifest = prepare(source, out)
    assert len(manifest.entries) == 8
    for entry in manifest.entries:
        left, top = ~THIRTY @ (entry.transform[2], entry.transform[5])
        place = np.s_[round(top) : round(top) + 512, round(left) : round(left) + 512]
        assert (labels(out, entry) == whole[place]).all()


def test_another_coordinate_system_is_an_error(source, out):
    write_raster(source / "image" / "a.tif", noise(600, 600), THIRTY)
    write_raster(source / "label" / "a.tif", blocks(600, 600), THIRTY, "EPSG:27200")
    message = refusal(source, out)
    assert "image/a.tif: expected one coordinate system, found EPSG:2193, and EPSG:27200 in label/a.tif" in message
    assert "gdalwarp -t_srs EPSG:2193 -r near" in message
    write_raster(source / "label" / "a.tif", blocks(600, 600), THIRTY, None)
    assert "and no coordinate system in label/a.tif" in refusal(source, out)


def test_all_rasters_that_do_not_fit_are_listed(source, out):
    degrees = Affine(1e-6, 0, 172, 0, -1e-6, -43)
    write_raster(source / "image" / "degrees.tif", noise(600, 600), degrees, "EPSG:4326")
    write_raster(source / "label" / "degrees.tif", blocks(600, 600), degrees, "EPSG:4326")
    write_raster(source / "image" / "coarse.tif", noise(600, 600), Affine(0.5, 0, 0, 0, -0.5, 0))
    write_raster(source / "label" / "coarse.tif", blocks(600, 600), Affine(0.5, 0, 0, 0, -0.5, 0))
    write_raster(source / "image" / "deep.tif", noise(600, 600).astype(np.uint16), THIRTY)
    write_raster(source / "image" / "grey.tif", blocks(600, 600), THIRTY)
    write_raster(source / "image" / "far.tif", noise(600, 600), THIRTY)
    write_raster(source / "label" / "far.tif", blocks(600, 600), THIRTY @ Affine.translation(9000, 0))
    write_raster(source / "image" / "block.tif", noise(64, 600), THIRTY)
    (source / "image" / "broken.tif").write_bytes(b"II*\0 and no more")
    message = refusal(source, out)
    for line in (
        "image/degrees.tif: expected coordinates in metres, found degrees (EPSG:4326)",
        "image/coarse.tif: expected pixels of 0.0047 to 0.3 m, found 0.5 x 0.5 m",
        "image/deep.tif: expected 8 bits a band, found uint16",
        "image/grey.tif: expected an RGB image, found 1 band",
        "image/far.tif: expected labels of the same place, found label/far.tif elsewhere",
        "image/block.tif: there is no label raster for it",
        "image/broken.tif: cannot be opened (",
    ):
        assert line in message


@pytest.mark.parametrize(("values", "told"), [((0, 7), "0, 7"), ((0, 1, 255), "0, 1, 255")])
def test_labels_of_other_values_are_refused(source, out, values, told):
    """Taken by a threshold, buildings of 1 in a raster that also has 255 would become background."""
    write_raster(source / "a.tif", noise(600, 600), THIRTY)
    drawn = np.zeros((600, 600), np.uint8)
    for index, value in enumerate(values):
        drawn[100 * index :] = value
    write_raster(source / "a_label.tif", drawn, THIRTY)
    assert f"a_label.tif: expected labels of 0 and 1 or of 0 and 255, found {told};" in refusal(source, out)
    if 255 in values:
        write_raster(source / "a_label.tif", drawn, THIRTY, nodata=255)
        (entry,) = prepare(source, out).entries
        assert (labels(out, entry) == drawn[:512, :512]).all()


@pytest.mark.parametrize("kind", ["uint8", "int16", "float32", "bit"])
def test_labels_mean_the_same_in_every_type(source, out, kind):
    more = {"nbits": 1} if kind == "bit" else {}
    write_raster(source / "a.tif", noise(600, 600), THIRTY)
    write_raster(source / "a_label.tif", blocks(600, 600).astype("uint8" if kind == "bit" else kind), THIRTY, **more)
    (entry,) = prepare(source, out).entries
    assert (labels(out, entry) == blocks(600, 600)[:512, :512]).all()


def test_a_label_raster_without_buildings_at_all_is_refused(source, out):
    write_raster(source / "a.tif", noise(600, 600), THIRTY)
    write_raster(source / "a_label.tif", 0 * blocks(600, 600), THIRTY)
    assert "has any building" in refusal(source, out)


def test_rasters_without_any_data(source, out):
    """A sheet without data is no reason to refuse the others, nor missed in a second run, unless it gets some."""
    write_raster(source / "a.tif", noise(600, 600), THIRTY)
    write_raster(source / "a_label.tif", blocks(600, 600), THIRTY)
    write_raster(source / "b.tif", 0 * noise(600, 600), THIRTY, nodata=0)
    write_raster(source / "b_label.tif", blocks(600, 600), THIRTY)
    manifest = prepare(source, out)
    assert [entry.stem for entry in manifest.entries] == ["a_y00000_x00000"]
    assert sentences(manifest.rules)["overlap"].startswith("1 pairs of image rasters overlap")
    assert prepare(source, out) == manifest
    write_raster(source / "b.tif", noise(600, 600), THIRTY, nodata=0)
    with pytest.raises(DataError, match="b: only in the source"):
        prepare(source, out)
    for name in ("a.tif", "b.tif"):
        write_raster(source / name, 0 * noise(600, 600), THIRTY, nodata=0)
    shutil.rmtree(out)
    assert "none of the 2 tiles of the source has data and labels" in refusal(source, out)


def test_an_enlarged_scene_comes_back_as_the_ready_tile(source, tmp_path, out):
    """Prepared from its raster or as a tile, the same scene gives the same bytes."""
    scene = roof_scene(512, np.random.default_rng(7))
    write_raster(source / "a.tif", np.moveaxis(scene.image, -1, 0).repeat(4, 1).repeat(4, 2))
    write_raster(source / "a_label.tif", np.uint8(scene.buildings).repeat(4, 0).repeat(4, 1))
    (entry,) = prepare(source, out).entries
    for split in ("train", "val", "test"):
        for kind, pixels in (("image", scene.image), ("label", scene.buildings)):
            path = tmp_path / "tiles" / split / kind / "a.tif"
            path.parent.mkdir(parents=True)
            Image.fromarray(pixels).save(path)
    ready = prepare(tmp_path / "tiles", tmp_path / "ready").entries[0]
    assert (entry.image_sha256, entry.mask_sha256) == (ready.image_sha256, ready.mask_sha256)
    assert (entry.foreground, entry.group) == (ready.foreground, "a_y00000_x00000")


def test_a_second_run_reads_no_tile_and_names_a_change(source, out, monkeypatch):
    write_raster(source / "a.tif", noise(1100, 1100), THIRTY)
    write_raster(source / "a_label.tif", blocks(1100, 1100), THIRTY)
    first = prepare(source, out)
    before = contents(out)
    (source / "a.tif.aux.xml").write_text("<PAMDataset></PAMDataset>")  # as a viewer leaves it
    monkeypatch.setattr("data_prep.rasters.tile_job.read_tile", lambda tile: pytest.fail("read again"))
    assert prepare(source, out) == first
    assert contents(out) == before
    with pytest.raises(DataError, match="was prepared by another rule of tiles"):
        prepare(source, out, "pad")
    write_raster(source / "b.tif", noise(600, 600, 1), THIRTY)
    write_raster(source / "b_label.tif", blocks(600, 600), THIRTY)
    with pytest.raises(DataError, match="b: only in the source"):
        prepare(source, out)
    for name in ("b.tif", "b_label.tif"):
        (source / name).unlink()
    write_raster(source / "a_label.tif", blocks(1100, 1100, 5), THIRTY)
    with pytest.raises(DataError, match="a: its files have another content"):
        prepare(source, out)


def test_workers_and_interruptions_change_nothing(source, tmp_path, out):
    write_raster(source / "a.tif", noise(2000, 1100), THIRTY)
    write_raster(source / "a_label.tif", blocks(2000, 1100), THIRTY)

    def interrupt(done, total, what):
        if what == "prepare" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Whu().prepare(source, out, origin="source", workers=1, progress=interrupt)
    assert not out.exists()
    kept = out.parent / ".whu.partial" / "prepared" / "images" / "a_y00000_x00000.png"
    stamp = kept.stat().st_mtime_ns
    prepare(source, out, workers=2)
    assert (out / "images" / "a_y00000_x00000.png").stat().st_mtime_ns == stamp
    prepare(source, tmp_path / "straight")
    assert contents(out) == contents(tmp_path / "straight")


def test_a_damaged_raster_is_named(source, out):
    path = source / "a.tif"
    write_raster(path, noise(1100, 1100), THIRTY)
    write_raster(source / "a_label.tif", blocks(1100, 1100), THIRTY)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    path.write_bytes(content)
    message = refusal(source, out)
    assert re.search(r"a\.tif: cannot be decoded in tile 1, 1 \(", message)


def test_skip_bad_leaves_out_what_cannot_be_read(source, out):
    """Of a raster damaged within, the tiles that cannot be read; of one with a wrong header or labels, all."""
    path = source / "a.tif"
    write_raster(path, noise(1100, 1100), THIRTY)
    write_raster(source / "a_label.tif", blocks(1100, 1100), THIRTY)
    write_raster(source / "deep.tif", noise(600, 600).astype(np.uint16), THIRTY)
    write_raster(source / "seven.tif", noise(600, 600, 3), THIRTY @ Affine.translation(2000, 0))
    write_raster(source / "seven_label.tif", blocks(600, 600, value=7), THIRTY @ Affine.translation(2000, 0))
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    path.write_bytes(content)
    message = refusal(source, out)
    assert "deep.tif: expected 8 bits a band, found uint16" in message
    assert "seven_label.tif: expected labels of 0 and 1 or of 0 and 255, found 0, 7" in message
    manifest = prepare(source, out, skip_bad=True)
    assert {entry.stem for entry in manifest.entries} >= {"a_y00000_x00000", "a_y00000_x00512"}
    assert len(manifest.entries) + sum(line.startswith("a.tif: cannot be decoded") for line in manifest.skipped) == 4
    assert {line.partition(":")[0] for line in manifest.skipped} == {"a.tif", "deep.tif", "seven_label.tif"}
    assert prepare(source, out, skip_bad=True) == manifest
    with pytest.raises(DataError, match="was prepared with --skip-bad"):
        prepare(source, out)


def test_tiles_of_rasters_are_never_taken_for_the_published_ones(source, out):
    """They may part in a random split, but not in a blocked one, and reports say what they are."""
    write_raster(source / "a.tif", noise(1100, 1100), THIRTY)
    write_raster(source / "a_label.tif", blocks(1100, 1100), THIRTY)
    manifest = prepare(source, out)
    assert manifest.describe() == "4 tiles cut from 1 raw raster, not the 8188 published ones"
    assert not replace(manifest, expected_pairs=4).complete
    assert len({entry.group for entry in manifest.entries}) == 4
    assert len({entry.scene for entry in manifest.entries}) == 1
    assert [len(entries) for entries in manifest.splits(0).values()] == [3, 0, 1]
    assert [len(entries) for entries in manifest.splits(0, "blocked").values()] == [4, 0, 0]
    assert "never part" not in sentences(manifest.rules)["split"]


def test_edges_are_refused_for_ready_tiles(tmp_path, out, stand_ins):
    shutil.copytree(stand_ins("whu"), tmp_path / "tiles")
    for path in (tmp_path / "tiles").glob("*.txt"):
        path.unlink()
    assert "--edges is for tiles cut from large rasters" in refusal(tmp_path / "tiles", out, edges="drop")


def test_the_command_line(source, tmp_path):
    from benchmarks.cli.app import app

    write_raster(source / "a.tif", noise(600, 600), THIRTY)
    write_raster(source / "a_label.tif", blocks(600, 600), THIRTY)
    command = ["--home", str(tmp_path / "home"), "prepare", "whu", "--source", str(source), "--workers", "1"]
    done = CliRunner().invoke(app, [*command, "--edges", "pad"])
    assert done.exit_code == 0, done.output
    assert len(load_manifest(tmp_path / "home" / "data" / "whu", "whu").entries) == 4
    assert CliRunner().invoke(app, ["prepare", "deepglobe", "--source", "x", "--edges", "pad"]).exit_code == 2


TIMED = """
import sys, time
from pathlib import Path
from tests.data_prep.raster_files import prepare
if __name__ == "__main__":
    source, out, workers = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    times = [time.perf_counter()]
    for _ in range(2):
        manifest = prepare(source, out, "pad", workers)
        times.append(time.perf_counter())
    print(len(manifest.entries), times[1] - times[0], times[2] - times[1])
"""


@pytest.fixture(scope="module")
def tiled_sheets(tmp_path_factory):
    return write_sheets(tmp_path_factory.mktemp("tiled"), 3, tiled=True)


@pytest.fixture
def striped_sheets(tmp_path):
    return write_sheets(tmp_path / "source", 1, tiled=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sheets", "copies", "workers"), [("tiled_sheets", 3, 1), ("tiled_sheets", 3, 2), ("striped_sheets", 1, 1)]
)
def test_memory_stays_bounded(tmp_path, request, sheets, copies, workers):
    """Three rasters of 20,000 x 20,000 pixels, 3.4 GiB of image, or one in strips of a row: below 1.5 GiB in all."""
    sheets = request.getfixturevalue(sheets)
    command = [sys.executable, "-c", TIMED, str(sheets), str(tmp_path / "out"), str(workers)]
    peak = 0
    with psutil.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as running:
        while running.poll() is None:  # ru_maxrss would begin with the memory of this process
            peak = max(peak, resident(running))
            time.sleep(0.02)
        tiles, first, second = map(float, running.stdout.read().split())
    print(f"{tiles:.0f} tiles, peak {peak / 2**20:.0f} MiB, {first:.1f} s, second run {second:.1f} s")
    assert tiles == copies * 100
    assert 50 * 2**20 < peak < 1.5 * 2**30
    assert second < first / 5


def write_sheets(folder: Path, copies: int, tiled: bool) -> Path:
    """Suburbs of 0.3 m enlarged to 0.075 m and repeated; copies are links to one file. Return the folder."""
    scene = roof_scene(1024, np.random.default_rng(5))
    for kind, pixels in (("image", np.moveaxis(scene.image, -1, 0)), ("label", np.uint8(scene.buildings)[None])):
        path = folder / kind / "sheet_0.tif"
        path.parent.mkdir(parents=True)
        options = {"tiled": True, "blockxsize": 512, "blockysize": 512} if tiled else {"tiled": False, "blockysize": 1}
        options |= {"compress": "deflate", "zlevel": 1, "transform": NORTH_UP, "crs": NZTM, "dtype": "uint8"}
        with rasterio.open(path, "w", "GTiff", 20000, 20000, len(pixels), **options) as raster:
            for top in range(0, 20000, 512):
                rows = np.arange(top, min(top + 512, 20000)) // 4 % 1024
                band = np.tile(pixels[:, rows].repeat(4, axis=2), (1, 1, 5))[..., :20000]
                raster.write(band, window=Window(0, top, 20000, len(rows)))
        for copy in range(1, copies):
            path.with_name(f"sheet_{copy}.tif").hardlink_to(path)
    return folder


def resident(root: psutil.Process) -> int:
    """Bytes of a process and all that it started; shared pages count in each."""
    total = 0
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total
