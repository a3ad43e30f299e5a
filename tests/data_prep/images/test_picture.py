"""The reader of pictures and masks, held against what rasterio and Pillow wrote."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

from data_prep.images import geotiff
from data_prep.images.class_values import ValueReader, any_rgb
from data_prep.images.decode import BadPicture
from data_prep.images.no_data import labels_of
from data_prep.images.picture import read_bands, read_image, read_labels
from data_prep.images.source_file import SourceFile, digest_of
from rssam.contract import IGNORE
from tests.data_prep.raster_files import write_raster

KINDS = ("PNG", "JPEG", "TIFF")
ROAD = ValueReader({0: 0, 1: 1})


def drawn(seed: int = 0, value: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).choice([0, value], (48, 64), p=(0.9, 0.1))


def image(bands: int = 3, kind: str = "uint8") -> np.ndarray:
    return np.random.default_rng(1).integers(1, 200, (bands, 48, 64)).astype(kind)


def tiff(folder: Path, pixels: np.ndarray, transform: Affine | None = None, **options) -> SourceFile:
    write_raster(folder / "a.tif", pixels, transform, **{"compress": None, "tiled": False, **options})
    return SourceFile.read(folder / "a.tif")


def png(pixels: np.ndarray | Image.Image, **options) -> SourceFile:
    stream = io.BytesIO()
    (Image.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels).save(stream, "PNG", **options)
    return SourceFile(stream.getvalue())


def labels(source: SourceFile, reader=ROAD) -> np.ndarray:
    return labels_of(read_labels(source, KINDS), reader)[0].labels


# More bands than one.


@pytest.mark.parametrize("alpha", ["NO", "YES"])
@pytest.mark.parametrize("count", [2, 4])
def test_a_mask_of_a_band_for_each_class_is_refused(tmp_path, count, alpha):
    """Pillow gave the first of two bands, "not road": 91.7 % foreground for 8.3 %. Of four it made colour and alpha."""
    one_hot = np.stack([drawn() == 0, drawn() == 1, *[np.zeros((48, 64), bool)] * (count - 2)]).astype(np.uint8)
    with pytest.raises(BadPicture, match=rf"found {count} bands.*save the number of the class in one band"):
        labels(tiff(tmp_path, one_hot, alpha=alpha))


def test_a_png_of_two_bands_is_refused():
    """Its second band is alpha by its format: where it is 0, all "not road", the mask would have been ignored."""
    one_hot = np.stack([drawn() == 0, drawn() == 1], axis=-1).astype(np.uint8) * 255
    with pytest.raises(BadPicture, match="found 2 bands of which one is set"):
        labels(png(one_hot))


def test_a_band_of_confidence_is_no_alpha(tmp_path):
    confidence = np.random.default_rng(0).integers(1, 255, (48, 64))
    pair = np.stack([drawn(), confidence]).astype(np.uint8)
    with pytest.raises(BadPicture, match=r"found other values in \d+ pixels.*gdal_translate -b 1 OLD NEW"):
        labels(tiff(tmp_path, pair, alpha="YES"))


def test_several_pictures_in_one_file_are_refused():
    """The first page was taken: of a stack of one page a class, "not road"."""
    stream = io.BytesIO()
    pages = [Image.fromarray(drawn(seed).astype(np.uint8)) for seed in (0, 1)]
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
    with pytest.raises(BadPicture, match="expected one picture, found 2"):
        labels(SourceFile(stream.getvalue()))


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_all_bands_are_given_to_who_wants_them(tmp_path, kind):
    bands = image(5, kind)
    assert (read_bands(tiff(tmp_path, bands), KINDS) == bands).all()
    assert (read_bands(png(bands[:2].astype(np.uint8).transpose(1, 2, 0)), KINDS) == bands[:2]).all()


# Kinds of numbers and compressions.


@pytest.mark.parametrize(
    "kind", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "uint64", "float32", "float64"]
)
def test_whole_numbers_are_read_in_every_width(tmp_path, kind):
    """Floats were "at most 8 bits a channel, found 32", others no picture at all."""
    assert (labels(tiff(tmp_path, drawn().astype(kind))) == drawn()).all()


@pytest.mark.parametrize("value", [-1, 70000, 2**31 + 7])
def test_numbers_of_no_class_are_shown_as_they_are(tmp_path, value):
    """Pillow gives -1 of eight bits as 255, which may be declared as ignored."""
    pixels = drawn().astype("int64")
    pixels[0, 0] = value
    with pytest.raises(BadPicture, match=f"found (also )?{value}"):
        labels(tiff(tmp_path, pixels.astype("int8" if value < 0 else "int64")), ValueReader({0: 0, 1: 1, 255: 255}))


def test_fractions_are_refused(tmp_path):
    with pytest.raises(BadPicture, match=r"expected whole numbers, found 0\.5"):
        labels(tiff(tmp_path, (drawn() / 2).astype("float32")))


@pytest.mark.parametrize(
    "options", [{"compress": name} for name in ("LZW", "DEFLATE", "ZSTD", "LERC", "PACKBITS")] + [{"tiled": True}]
)
def test_masks_of_every_compression(tmp_path, options):
    blocks = {"blockxsize": 16, "blockysize": 16} if "tiled" in options else {}
    assert (labels(tiff(tmp_path, drawn().astype(np.uint8), **options, **blocks)) == drawn()).all()


@pytest.mark.parametrize(
    "options",
    [
        {"compress": "LERC"},
        {"compress": "ZSTD"},
        {"compress": "WEBP", "webp_lossless": True},
        {"photometric": "MINISBLACK"},
        {"interleave": "band"},
        {"interleave": "band", "photometric": "MINISBLACK"},
    ],
)
def test_images_of_every_kind(tmp_path, options):
    """LERC, and bands of no declared colour, were no pictures; WEBP was "decoder error -2"."""
    shown = any_rgb(read_image(tiff(tmp_path, image(), **{"interleave": "pixel", **options}), KINDS).pixels)
    assert (shown == image().transpose(1, 2, 0)).all()


def test_a_jpeg_within_a_tiff_is_what_pillow_gives(tmp_path):
    source = tiff(tmp_path, image(), compress="JPEG", photometric="YCBCR", interleave="pixel")
    expected = np.asarray(Image.open(io.BytesIO(source.content)).convert("RGB"))
    assert (any_rgb(read_image(source, KINDS).pixels) == expected).all()


@pytest.mark.parametrize("kind", ["uint16", "float32", "int16"])
def test_deep_images_are_refused_with_what_to_do(tmp_path, kind):
    """It was "not a picture", and with --skip-bad: "Get the source again"."""
    with pytest.raises(
        BadPicture, match=rf"8 bits a band, found {kind} from 1 to 199; .*gdal_translate -ot Byte -scale"
    ):
        read_image(tiff(tmp_path, image(kind=kind)), KINDS)


def test_print_colours_are_refused_with_what_to_do():
    stream = io.BytesIO()
    Image.fromarray(image(4).transpose(1, 2, 0), "CMYK").save(stream, "JPEG")
    with pytest.raises(BadPicture, match=r"found mode CMYK \(print colours\); save it as RGB"):
        any_rgb(read_image(SourceFile(stream.getvalue()), KINDS).pixels)


def test_a_size_beyond_belief_is_refused_before_it_is_decoded(tmp_path):
    """A sparse file of a few kilobytes states 40 gigabytes."""
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", count=1, height=100000, width=100000, dtype="float32",
        sparse_ok=True, tiled=True, crs="EPSG:32633", transform=Affine(1, 0, 0, 0, -1, 0),
    ):  # fmt: skip
        pass
    with pytest.raises(BadPicture, match=r"expected at most 1024 MB of pixels, found 100000x100000"):
        read_labels(SourceFile.read(tmp_path / "a.tif"), KINDS)


@pytest.mark.parametrize("kind", ["uint16", "float32"])
@pytest.mark.parametrize("compress", [None, "LZW", "DEFLATE"])
def test_a_deep_mask_cut_short_is_refused(tmp_path, kind, compress):
    content = tiff(tmp_path, drawn().astype(kind), compress=compress).content
    for cut in (len(content) // 2, len(content) - 5):
        with pytest.raises(BadPicture, match="cannot be decoded"):
            read_labels(SourceFile(content[:cut]), KINDS)


@pytest.mark.parametrize("options", [{"compress": "LZW"}, {"nodata": 7}, {"compress": "LERC"}, {"predictor": 2}])
def test_damaged_files_end_in_a_sentence(tmp_path, options, capfd):
    """Some damage ended in errors of a private class of rasterio, or in a traceback that it writes to the screen."""
    place = {"transform": Affine(0.5, 0, 500000, 0, -0.5, 5000000), "crs": "EPSG:32633"}
    whole = tiff(tmp_path, drawn().astype("uint16"), **place, **options).content
    rng = np.random.default_rng(0)
    said = []
    for _ in range(40):
        content = np.frombuffer(whole, np.uint8).copy()
        content[rng.integers(0, 600, rng.choice([1, 4, 30]))] = rng.integers(0, 256)
        try:
            labels(SourceFile(content.tobytes()[: rng.choice([None, 500, len(whole) - 9])]))
        except BadPicture as bad:
            said.append(str(bad))
    assert said
    assert not any("vsimem" in words for words in said)
    assert "Traceback" not in capfd.readouterr().err


# Pixels without data.


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_the_nodata_value_of_a_mask_is_ignored(tmp_path, kind):
    """It was refused, "found also 255", with the declaration in the file."""
    stored = drawn()
    stored[:9] = 255
    mask, ignored = labels_of(read_labels(tiff(tmp_path, stored.astype(kind), nodata=255), KINDS), ROAD)
    assert ignored == 9 * 64
    assert (mask.labels == np.where(stored == 255, IGNORE, stored)).all()


def test_nodata_that_is_ignored_already_changes_nothing(tmp_path):
    stored = drawn()
    stored[:9] = 255
    reader = ValueReader({0: 0, 1: 1, 255: IGNORE})
    mask, ignored = labels_of(read_labels(tiff(tmp_path, stored.astype(np.uint8), nodata=255), KINDS), reader)
    assert (ignored, int((mask.labels == IGNORE).sum())) == (0, 9 * 64)


def test_a_background_declared_as_nodata_stays_one(tmp_path):
    """GDAL's tools often write outlines on nodata 0."""
    assert (labels(tiff(tmp_path, drawn().astype(np.uint8), nodata=0)) == drawn()).all()


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_a_nodata_value_that_is_a_class_is_refused(tmp_path, kind):
    with pytest.raises(BadPicture, match=r"no-data value that is no class, found 1.*gdal_edit\.py -unsetnodata"):
        labels(tiff(tmp_path, drawn().astype(kind), nodata=1))


def test_what_is_no_number_is_ignored(tmp_path):
    stored = drawn().astype("float64")
    stored[3] = np.nan
    assert (labels(tiff(tmp_path, stored)) == np.where(np.isnan(stored), IGNORE, drawn())).all()


def hidden_rows(rows: int = 7) -> np.ndarray:
    shown = np.full((48, 64), 255, np.uint8)
    shown[:rows] = 0
    return shown


@pytest.mark.parametrize("internal", [True, False])
@pytest.mark.parametrize("place", [None, Affine(0.5, 0, 500000, 0, -0.5, 5000000)])
def test_mask_bands_hide_pixels(tmp_path, internal, place):
    """Rows under an internal mask, or one beside the file, were trained on and scored."""
    with (
        warnings.catch_warnings(),
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal),
    ):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        placed = {"transform": place, "crs": "EPSG:32633"} if place else {}
        for name, bands in (("image", image()), ("mask", drawn().astype(np.uint8)[None])):
            with rasterio.open(
                tmp_path / f"{name}.tif",
                "w",
                driver="GTiff",
                count=len(bands),
                height=48,
                width=64,
                dtype="uint8",
                **placed,
            ) as out:
                out.write(bands)
                out.write_mask(hidden_rows())
    assert (tmp_path / "image.tif.msk").exists() is not internal
    picture = read_image(SourceFile.read(tmp_path / "image.tif"), KINDS)
    assert (picture.without_data == (hidden_rows() == 0)).all()
    assert (np.asarray(picture.pixels) == image().transpose(1, 2, 0)).all()
    found = labels(SourceFile.read(tmp_path / "mask.tif"))
    assert (found == np.where(hidden_rows() == 0, IGNORE, drawn())).all()


def test_a_mask_beside_the_file_is_in_its_digest(tmp_path):
    Image.fromarray(drawn().astype(np.uint8)).save(tmp_path / "a.png")
    before = digest_of(tmp_path / "a.png")
    assert before == SourceFile.read(tmp_path / "a.png").digest
    write_raster(tmp_path / "m.tif", hidden_rows(), None)
    os.replace(tmp_path / "m.tif", tmp_path / "a.png.msk")
    source = SourceFile.read(tmp_path / "a.png")
    assert digest_of(tmp_path / "a.png") == source.digest != before
    assert (labels(source) == np.where(hidden_rows() == 0, IGNORE, drawn())).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_have_no_data(tmp_path, kind, mode):
    """Images with alpha were refused, also where it was opaque."""
    bands = image(len(mode) if mode == "LA" else 4)
    bands[-1] = hidden_rows()
    made = Image.fromarray(bands.transpose(1, 2, 0), mode)
    made.save(tmp_path / f"a.{kind.lower()}")
    picture = read_image(SourceFile.read(tmp_path / f"a.{kind.lower()}"), KINDS)
    assert (picture.without_data == (hidden_rows() == 0)).all()
    assert (any_rgb(picture.pixels)[9:] == np.asarray(made.convert("RGB"))[9:]).all()
    bands[-1] = 255
    Image.fromarray(bands.transpose(1, 2, 0), mode).save(tmp_path / f"b.{kind.lower()}")
    assert read_image(SourceFile.read(tmp_path / f"b.{kind.lower()}"), KINDS).without_data is None


def test_infrared_marked_as_alpha_is_told_from_it(tmp_path):
    """GDAL marks the fourth band of eight bits as alpha by default: water, dark in infrared, would be no data."""
    with pytest.raises(BadPicture, match=r"\(infrared\?\); .*drop the band: gdal_translate -b 1 -b 2 -b 3 OLD NEW"):
        read_image(tiff(tmp_path, image(4), interleave="pixel"), KINDS)


def test_a_colour_of_a_png_may_be_declared_as_no_data(tmp_path):
    grey = drawn().astype(np.uint8)
    grey[:5] = 9
    assert (labels(png(Image.fromarray(grey), transparency=9))[:5] == IGNORE).all()
    palette = Image.fromarray(drawn().astype(np.uint8))
    palette.putpalette([0, 0, 0, 255, 0, 0])
    assert (labels(png(palette, transparency=0)) == drawn()).all()


# What a file names is not opened.

VIRTUAL = """<VRTDataset rasterXSize="64" rasterYSize="48"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>
<SourceFilename>{}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"""


def test_no_file_is_opened_that_another_names(tmp_path):
    """GDAL read a virtual raster under the name of a TIFF, as a mask beside one, and overviews that metadata name."""
    write_raster(tmp_path / "secret.tif", np.full((48, 64), 77, np.uint8), None)
    plain = drawn().astype(np.uint8)
    (tmp_path / "virtual.tif").write_text(VIRTUAL.format(tmp_path / "secret.tif"))
    write_raster(tmp_path / "masked.tif", plain, None)
    (tmp_path / "masked.tif.msk").write_text(VIRTUAL.format(tmp_path / "secret.tif"))
    write_raster(tmp_path / "overview.tif", plain, None, nodata=9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(tmp_path / "overview.tif", "r+") as out:
            out.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=str(tmp_path / "secret.tif"))
        with rasterio.open(tmp_path / "overview.tif") as followed:
            assert followed.overviews(1)  # what is to be kept from happening
    for name in ("virtual", "masked", "overview"):
        with pytest.raises(BadPicture, match=r"cannot be decoded|names? another file"):
            read_labels(SourceFile.read(tmp_path / f"{name}.tif"), KINDS)
        with pytest.raises(RasterioIOError):
            geotiff.opened(tmp_path / f"{name}.tif")
    (tmp_path / "aux.tif").write_bytes((tmp_path / "masked.tif").read_bytes())
    (tmp_path / "aux.tif.aux.xml").write_text(
        f'<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">{tmp_path}/secret.tif</MDI></Metadata>'
        "</PAMDataset>"
    )
    assert (labels(SourceFile.read(tmp_path / "aux.tif")) == plain).all()
    with pytest.raises(RasterioIOError, match="name another file"):
        geotiff.opened(tmp_path / "aux.tif")


@pytest.mark.filterwarnings("error")
def test_a_no_data_value_beside_alpha_counts_too_without_a_warning(tmp_path):
    """rasterio warned that alpha was not used; it was, and the no-data value was not."""
    pixels = np.concatenate([image(), np.full((1, 48, 64), 255, np.uint8)])
    pixels[:3, :5], pixels[3, 5:9] = 0, 0
    source = tiff(tmp_path, pixels, PLACED, nodata=0, photometric="RGB", alpha="YES")
    empty = read_image(source, KINDS).without_data
    assert (empty == np.broadcast_to(np.arange(48)[:, None] < 9, (48, 64))).all()
    marks = np.stack([drawn(), np.full((48, 64), 255)]).astype(np.uint8)
    marks[0, :5], marks[1, 5:9] = 7, 0
    found = labels(tiff(tmp_path, marks, PLACED, nodata=7, alpha="YES"))
    assert (found == np.where(np.arange(48)[:, None] < 9, IGNORE, drawn())).all()


PLACED = Affine(0.5, 0, 500000, 0, -0.5, 5000000)
