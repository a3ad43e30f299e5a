"""Files as people have them: nothing stops a prediction without a sentence, nothing masks or turns it in silence."""

import os

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp

from rssam.contract import IGNORE
from rssam.errors import UserError
from rssam.inference.raster_input import BadRaster, RasterSource
from rssam.value_range import BYTES, UNIT
from tests.rssam.inference.made_rasters import UTM, Pointwise, colours, expected_labels, run, write

RGBA = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]


def map_of(path, folder, bands=None, value_range=BYTES, **wanted):
    with RasterSource(path, bands, value_range) as source:
        done = run(source, folder / "map.tif", **wanted)
        notes = source.notes
    with rasterio.open(folder / "map.tif") as made:
        return made.read(1), done, notes


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (1, 70), (33, 1)])
def test_tiny_rasters_are_predicted(tmp_path, size):
    """One pixel ended in "could not be written whole ... free some space"."""
    pixels = colours(*size)
    path = write(tmp_path / "tiny.tif", pixels, **UTM)
    extras = {"probabilities": tmp_path / "p.tif", "quicklook": tmp_path / "q.png", "vectors": tmp_path / "v.gpkg"}
    labels, _, _ = map_of(path, tmp_path, **extras)
    np.testing.assert_array_equal(labels, expected_labels(pixels)[0])


@pytest.mark.parametrize(
    ("kind", "nodata"), [("uint8", 0), ("uint16", 0), ("int16", -9999), ("float32", np.nan), ("float64", -1.0)]
)
def test_a_raster_without_data_gives_an_empty_map(tmp_path, kind, nodata):
    """All but bytes ended in "no pixel of a sample has data, so give its range of values"."""
    path = write(tmp_path / "empty.tif", np.full((3, 70, 90), nodata, kind), nodata=nodata, **UTM)
    with RasterSource(path) as source:
        assert source.sample().recognised() in (BYTES, "any")
    labels, done, _ = map_of(path, tmp_path, vectors=tmp_path / "v.gpkg", quicklook=tmp_path / "q.png")
    assert (labels == IGNORE).all()
    assert (sum(done.counts), done.no_data, done.polygons) == (0, 70 * 90, 0)


def test_data_that_the_sample_misses_are_found(tmp_path):
    """Of a scene with one small field the windows of the sample saw nothing, and its 12 bits passed for bytes."""
    pixels = np.zeros((3, 3000, 3000), np.uint16)
    pixels[:, 2050:2060, 100:110] = 2000
    path = write(tmp_path / "field.tif", pixels, nodata=0, compress="deflate", **UTM)
    with RasterSource(path) as source:
        assert source.sample().ends == (2000, 2000)


def test_ground_control_points_are_carried_over(tmp_path):
    """They were dropped: the map had no place at all."""
    points = [GroundControlPoint(row, col, 10 + col / 1e5, 50 - row / 1e5) for row in (0, 70) for col in (0, 90)]
    path = write(tmp_path / "gcps.tif", colours(70, 90), gcps=points, crs="EPSG:4326")
    extras = {"probabilities": tmp_path / "p.tif", "vectors": tmp_path / "v.gpkg"}
    said = []
    with RasterSource(path) as source:
        assert any("gdalwarp" in note for note in source.notes)
        run(source, tmp_path / "map.tif", said=said, **extras)
    assert "areas and perimeters of polygons are in pixels" in said[-1]
    for name in ("map.tif", "p.tif"):
        with rasterio.open(tmp_path / name) as made:
            kept, crs = made.gcps
        assert crs.to_epsg() == 4326
        assert [(p.row, p.col, p.x, p.y) for p in kept] == [(p.row, p.col, p.x, p.y) for p in points]


def test_a_palette_of_16_bits(tmp_path):
    """IndexError, and the images after it were never predicted."""
    pixels = np.random.default_rng(0).integers(300, 332, (1, 70, 90)).astype(np.uint16)
    path = tmp_path / "palette.tif"
    table = {value: (value % 256, value // 8 % 256, 255 - value % 200, 255) for value in range(65536)}
    with rasterio.open(path, "w", "GTiff", 90, 70, 1, dtype="uint16", photometric="palette", **UTM) as raster:
        raster.write(pixels)
        raster.write_colormap(1, table)
    with rasterio.open(path) as raster:  # GDAL keeps 8 bits of 16 in its own way
        kept = raster.colormap(1)
    shown = np.array([kept[value][:3] for value in pixels.ravel().tolist()], np.uint8).reshape(70, 90, 3)
    with RasterSource(path) as source:
        np.testing.assert_array_equal(source.read(0, 70, 0, 90)[0], shown.transpose(2, 0, 1))


def test_grey_with_alpha_is_told_to_repeat_the_grey(tmp_path):
    """The advice was --bands 1,1,2, which takes the mask for blue."""
    bands = np.concatenate([colours(70, 90)[:1], np.full((1, 70, 90), 255, np.uint8)])
    bands[1, :20] = 0
    for meanings in ([ColorInterp.gray, ColorInterp.alpha], [ColorInterp.gray, ColorInterp.undefined]):
        path = write(tmp_path / "grey.tif", bands, colorinterp=meanings, **UTM)
        with pytest.raises(BadRaster, match="--bands 1,1,1 for grey"):
            RasterSource(path)
    write(path, bands, colorinterp=[ColorInterp.gray, ColorInterp.alpha], **UTM)
    labels, _, notes = map_of(path, tmp_path, [1, 1, 1])
    assert ((labels == IGNORE) == (bands[1] == 0)).all()
    assert notes == ()


@pytest.mark.parametrize(
    ("bands", "words"), [(None, "values that are no mask"), ([4, 1, 2], "named in --bands"), ([3, 2, 1], "no mask")]
)
def test_infrared_that_is_tagged_alpha_masks_nothing(tmp_path, bands, words):
    """GDAL tags the fourth of four bands so: where water has no infrared, the map had no data."""
    pixels = np.random.default_rng(0).integers(1, 200, (4, 70, 90)).astype(np.uint8)
    pixels[3, 20:50] = 0  # water
    labels, _, notes = map_of(write(tmp_path / "rgbn.tif", pixels, colorinterp=RGBA, **UTM), tmp_path, bands)
    np.testing.assert_array_equal(labels, expected_labels(pixels[[band - 1 for band in bands or (1, 2, 3)]])[0])
    assert words in notes[0]


def test_infrared_of_the_sea_is_no_mask(tmp_path):
    """Where nearly all values are alike, but not the largest."""
    pixels = np.concatenate([colours(70, 90), np.ones((1, 70, 90), np.uint8)])
    pixels[3, 60:, 60:], pixels[3, :20] = 90, 0
    assert (map_of(write(tmp_path / "sea.tif", pixels, colorinterp=RGBA, **UTM), tmp_path)[0] != IGNORE).all()


def test_a_named_mask_masks_nothing(tmp_path):
    pixels = np.concatenate([colours(70, 90), np.full((1, 70, 90), 255, np.uint8)])
    pixels[3, :10] = 0
    path = write(tmp_path / "rgba.tif", pixels, colorinterp=RGBA, **UTM)
    assert (map_of(path, tmp_path, [4, 1, 2])[0] != IGNORE).all()
    assert ((map_of(path, tmp_path, [1, 2, 3])[0] == IGNORE) == (pixels[3] == 0)).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("bands", [None, [4, 1, 2]])
def test_a_nodata_value_beside_alpha_counts_too_without_a_warning(tmp_path, bands):
    """rasterio warned four times a tile that alpha was not used; it was, and the nodata value was not."""
    pixels = np.concatenate([colours(64, 64), np.full((1, 64, 64), 255, np.uint8)])
    pixels[:, :5] = 0
    pixels[3, 5:9] = 0
    pixels[3, :5] = 255 if bands is None else 0
    path = write(tmp_path / "both.tif", pixels, nodata=0, colorinterp=RGBA, **UTM)
    with RasterSource(path, bands, BYTES) as source:
        _, valid = source.read(0, 64, 0, 64)
        _, small = source.read_small((64, 64))
    np.testing.assert_array_equal(small, valid)
    hidden = 9 if bands is None else 5  # a band that is a colour masks nothing
    np.testing.assert_array_equal(valid, np.broadcast_to(np.arange(64)[:, None] >= hidden, (64, 64)))


def test_a_soft_alpha_is_a_mask_still(tmp_path):
    pixels = np.concatenate([colours(70, 90), np.full((1, 70, 90), 255, np.uint8)])
    pixels[3, :10] = 0
    pixels[3, 10:14] = np.array([50, 100, 150, 200])[:, None]
    labels, _, notes = map_of(write(tmp_path / "soft.tif", pixels, colorinterp=RGBA, **UTM), tmp_path)
    assert (labels[:10] == IGNORE).all()
    assert (labels[10:] != IGNORE).all()
    assert notes == ()


@pytest.mark.parametrize(("suffix", "options"), [("jpg", {}), ("png", {}), ("tif", {}), ("webp", {"lossless": True})])
def test_a_picture_that_viewers_turn_is_refused_as_by_prepare(tmp_path, suffix, options):
    """It was predicted as stored, lying on its side, without a word."""
    picture, exif, path = Image.fromarray(colours(64, 80).transpose(1, 2, 0)), Image.Exif(), tmp_path / f"a.{suffix}"
    exif[274] = 6
    picture.save(path, exif=exif, **options)
    with pytest.raises(BadRaster, match="expected an upright picture, found EXIF orientation 6"):
        RasterSource(path)
    exif[274] = 1
    picture.save(path, exif=exif, **options)
    with RasterSource(path) as source:
        assert source.size == (64, 80)


def test_other_colour_spaces_are_refused(tmp_path):
    """Cyan, magenta and yellow passed for red, green and blue."""
    pixels = np.concatenate([colours(70, 90), colours(70, 90, 3)[:1]])
    meanings = [ColorInterp.cyan, ColorInterp.magenta, ColorInterp.yellow, ColorInterp.black]
    path = write(tmp_path / "cmyk.tif", pixels, colorinterp=meanings, **UTM)
    with pytest.raises(BadRaster, match="colours in CMYK"):
        RasterSource(path)


@pytest.mark.parametrize(
    ("values", "value_range"),
    [
        (lambda pixels: pixels.astype(np.float32), BYTES),
        (lambda pixels: pixels.astype(np.int16), BYTES),
        (lambda pixels: pixels.astype(np.uint32), BYTES),
        (lambda pixels: (pixels / 255).astype(np.float32), UNIT),
        (lambda pixels: pixels / 255, UNIT),
    ],
)
def test_one_scene_gives_one_map_whatever_its_type(tmp_path, values, value_range):
    """As float32 it was stretched to percentiles: 23.8 % road, and 0.0 % of the same pixels in bytes."""
    pixels = colours(70, 90)
    path = write(tmp_path / "scene.tif", values(pixels), **UTM)
    with RasterSource(path) as source:
        assert source.sample().recognised() == value_range
    with RasterSource(path, None, value_range) as source:
        np.testing.assert_array_equal(source.read(0, 70, 0, 90)[0], pixels)
        assert source.outside == 0


def test_values_outside_of_the_range_are_counted_once(tmp_path):
    real = (colours(150, 130) / 255).astype(np.float32)
    real[0, 3, :7], real[1, 100, 5], real[2, 9, 9] = 1.5, -0.25, np.nan
    path = write(tmp_path / "scene.tif", real, transform=Affine.translation(3, 4))
    with RasterSource(path, None, UNIT) as source:
        run(source, tmp_path / "map.tif", quicklook=tmp_path / "q.png")
        assert source.outside == 8


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"nbits": 4}, r"found 4 bits a band\. Run first: gdal_translate -ot Byte -scale 0 15 0 255"),
        ({"nbits": 1}, r"found 1 bits a band\. Run first: gdal_translate -ot Byte -scale 0 1 0 255"),
        ({"photometric": "miniswhite"}, r"found 0 as white\. Run first: gdal_translate -ot Byte -scale 0 255 255 0"),
    ],
)
def test_grey_is_not_taken_for_darker_or_for_its_negative(tmp_path, options, words):
    """0..15 were read as bytes, nearly black, and of MINISWHITE the negative; `prepare` shows both as viewers do."""
    path = write(tmp_path / "grey.tif", colours()[:1] >> 7, **options)
    with pytest.raises(BadRaster, match=words):
        RasterSource(path, (1, 1, 1))


def test_one_bit_with_its_colours_is_read(tmp_path):
    pixels = colours()[:1] >> 7
    path = write(tmp_path / "bit.tif", pixels, nbits=1)
    with RasterSource(path) as source:
        np.testing.assert_array_equal(source.read(0, 150, 0, 130)[0], np.repeat(pixels * 255, 3, axis=0))


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_a_place_that_is_none_is_refused(tmp_path, number):
    """Polygons ended in a GEOSException: "Points of LinearRing do not form a closed linestring"."""
    path = write(tmp_path / "a.tif", colours(), crs="EPSG:32654", transform=Affine(number, 0, 0, 0, -1, 0))
    with pytest.raises(BadRaster, match=r"transform of finite numbers, found .* gdal_edit.py -unsetgt"):
        RasterSource(path)


def test_a_size_that_no_disk_holds_is_refused_at_once(tmp_path):
    """300 bytes that state 2e9 x 2e9 pixels: minutes and 6.7 GB for a list of tiles."""
    band = '<VRTRasterBand dataType="Byte" band="{}"/>'
    path = tmp_path / "huge.vrt"
    bands = "".join(map(band.format, (1, 2, 3)))
    path.write_text(f'<VRTDataset rasterXSize="2000000000" rasterYSize="2000000000">{bands}</VRTDataset>')
    with pytest.raises(UserError, match=r"states 2000000000 x 2000000000 pixels .* cut it first"):
        map_of(path, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["huge.vrt"]


def test_a_network_that_gives_no_numbers_makes_no_map(tmp_path):
    """With NaN among its parameters the map was background everywhere, and the command ended well."""
    net = Pointwise()
    net.layer.bias.data[1] = np.nan
    path = write(tmp_path / "a.tif", colours(), **UTM)
    with RasterSource(path, None, BYTES) as source, pytest.raises(UserError, match="from the network, found NaN"):
        run(source, tmp_path / "map.tif", net)
    assert not (tmp_path / "map.tif").exists()


def test_a_pipe_is_named(tmp_path):
    """It "is not there"."""
    os.mkfifo(tmp_path / "a.tif")
    with pytest.raises(BadRaster, match="is a device or a pipe: expected an image file"):
        RasterSource(tmp_path / "a.tif")
