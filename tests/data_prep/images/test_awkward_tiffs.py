"""TIFFs of odd values, and what lies beside pictures: refused in a sentence, or read as another reader reads them."""

from __future__ import annotations

import os

import numpy as np
import pytest
import rasterio
from affine import Affine

from data_prep.images.class_values import ValueReader, any_rgb
from data_prep.images.decode import BadPicture
from data_prep.images.geotiff import opened, place_of
from data_prep.images.no_data import labels_of
from data_prep.images.picture import read_bands, read_image, read_labels
from data_prep.images.place import place_beside
from data_prep.images.source_file import SourceFile
from data_prep.images.value_sample import sample_of
from tests.data_prep.raster_files import write_raster

TIFF = ("TIFF",)
ROAD = ValueReader({0: 0, 1: 1})
DRAWN = np.random.default_rng(0).integers(0, 2, (48, 64), dtype=np.uint8)


def tiff(folder, pixels, **options):
    write_raster(folder / "a.tif", pixels, None, **{"compress": None, "tiled": False, **options})
    return SourceFile.read(folder / "a.tif")


@pytest.mark.parametrize("kind", ["complex64", "complex_int16"])
def test_complex_numbers_are_refused(tmp_path, kind):
    """The real part was taken without a word; complex_int16, as radar has it, ended in a TypeError."""
    options = {"dtype": kind, "driver": "GTiff", "width": 64, "height": 48}
    for count, read in ((1, read_labels), (3, read_image)):
        with rasterio.open(tmp_path / "a.tif", "w", count=count, **options) as raster:
            raster.write(np.stack([DRAWN + 9j] * count).astype(np.complex64))
        source = SourceFile.read(tmp_path / "a.tif")
        for decode in (read, read_bands):
            with pytest.raises(BadPicture, match=r"found complex ones; keep the real part: gdal_translate"):
                decode(source, TIFF)
    assert sample_of(tmp_path / "a.tif", "a", 4) is None


@pytest.mark.parametrize("bits", [2, 4])
def test_masks_of_few_bits_are_refused(tmp_path, bits):
    """Pillow gave 85 and 17 for the number 1 that rasterio reads: "found also 17 ... say --classes NAME=17"."""
    source = tiff(tmp_path, DRAWN, nbits=bits)
    with rasterio.open(tmp_path / "a.tif") as raster:
        assert raster.read().max() == 1
    with pytest.raises(BadPicture, match=f"expected 8 bits a value, found {bits}; rewrite it: gdal_translate"):
        read_labels(source, TIFF)


def test_one_bit_stays_a_number(tmp_path):
    assert (labels_of(read_labels(tiff(tmp_path, DRAWN, nbits=1), TIFF), ROAD)[0].labels == DRAWN).all()


def test_bands_of_few_bits_are_not_taken_as_bytes(tmp_path):
    """With --bands, and in three bands, a picture of 0..15 was nearly black; one band without was bright."""
    for count, bands in ((1, (1, 1, 1)), (3, (3, 2, 1)), (3, None)):
        source = tiff(tmp_path, np.stack([DRAWN * 15] * count), nbits=4)
        with pytest.raises(BadPicture, match="expected 8 bits a value, found 4; rewrite it"):
            read_image(source, TIFF, bands=bands)


def test_white_zeros_are_turned_or_refused(tmp_path):
    """Read by GDAL, as with --bands, such a picture was its own negative: 255 in place of 0."""
    grey = np.random.default_rng(1).integers(0, 256, (1, 48, 64), dtype=np.uint8)
    source = tiff(tmp_path, grey, photometric="miniswhite")
    assert (any_rgb(read_image(source, TIFF).pixels)[..., 0] == 255 - grey[0]).all()
    with pytest.raises(BadPicture, match="found 0 as white"):
        read_image(source, TIFF, bands=(1, 1, 1))


@pytest.mark.parametrize("tiled", [True, False])
def test_blocks_that_were_never_written_are_named(tmp_path, tiled):
    """ "image file is truncated (14 bytes not processed)", of a whole file as GDAL's SPARSE_OK makes it."""
    blocks = {"tiled": True, "blockxsize": 16, "blockysize": 16} if tiled else {"blockysize": 4}
    drawn = DRAWN * (np.arange(48) < 16)[:, None].astype(np.uint8)
    source = tiff(tmp_path, drawn, sparse_ok=True, **blocks)
    for read in (read_labels, read_image):
        with pytest.raises(BadPicture, match=r"blocks that were never written .* fill them: gdal_translate"):
            read(source, TIFF)


@pytest.mark.parametrize("name", ["a.tfw", "a.tif.aux.xml", "a.tif.msk"])
def test_a_pipe_beside_a_picture_is_no_file(tmp_path, name):
    """A pipe called like a world file was read for ever."""
    tiff(tmp_path, DRAWN)
    os.mkfifo(tmp_path / name)
    source = SourceFile.read(tmp_path / "a.tif")
    assert (source.place, source.mask) == (None, None)


def test_a_device_beside_a_picture_is_no_world_file(tmp_path):
    """Linked to /dev/zero it filled the memory."""
    tiff(tmp_path, DRAWN)
    (tmp_path / "a.tfw").symlink_to("/dev/zero")
    assert SourceFile.read(tmp_path / "a.tif").place is None


def test_numbers_without_end_are_no_place(tmp_path):
    """Each pair was a fault: "found it nan pixels to the right"."""
    (tmp_path / "a.tfw").write_text("nan\n0\n0\n-1\n5\n5\n")
    assert place_beside(tmp_path / "a.tif") is None
    (tmp_path / "a.tif.aux.xml").write_text("<GeoTransform>inf, 1, 0, 0, 0, -1</GeoTransform>")
    assert place_beside(tmp_path / "a.tif") is None
    write_raster(tmp_path / "a.tif", DRAWN, Affine(np.nan, 0, 5, 0, -1, 5))
    with opened(tmp_path / "a.tif") as raster:
        assert place_of(raster) is None
