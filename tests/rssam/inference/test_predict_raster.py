"""Files in, files out: bands, values, nodata, georeference, a kill in the middle, a full disk, clear words."""

import logging
import subprocess
import warnings
from logging.handlers import BufferingHandler

import numpy as np
import psutil
import pytest
import rasterio
from PIL import Image
from torch import nn

from rssam.contract import IGNORE
from rssam.errors import UserError
from rssam.inference.partial_output import PartialOutput
from rssam.inference.predict_raster import partial_folder, require_fit
from rssam.inference.raster_input import BadRaster, RasterSource
from rssam.value_range import BYTES, ValueRange, percentiles
from tests.rssam.inference.made_rasters import (
    CLASSES,
    PALETTE,
    UTM,
    Pointwise,
    colours,
    expected_labels,
    run,
    write,
)


@pytest.fixture
def logged():
    """What any library logs: there rasterio puts GDAL's own warnings."""
    handler = BufferingHandler(1000)
    logging.getLogger().addHandler(handler)
    yield handler.buffer
    logging.getLogger().removeHandler(handler)


def test_class_map_probabilities_polygons_and_a_glance(tmp_path, logged):
    """Everything at once, with warnings as errors; the same place on the ground to the last digit."""
    pixels = colours()
    image = write(tmp_path / "scene.tif", pixels, **UTM)
    out = tmp_path / "map.tif"
    wanted = {
        name: tmp_path / file
        for name, file in (("probabilities", "p.tif"), ("vectors", "v.gpkg"), ("quicklook", "q.png"))
    }
    labels, made = expected_labels(pixels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with RasterSource(image) as source:
            assert source.notes == ()
            done = run(source, out, **wanted)
        with rasterio.open(out) as found, rasterio.open(wanted["probabilities"]) as steps:
            np.testing.assert_array_equal(found.read(1), labels)
            for raster in (found, steps):
                assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
                np.testing.assert_allclose(raster.transform, UTM["transform"], rtol=0, atol=1e-9)
                assert (raster.crs.to_epsg(), raster.nodata) == (32654, IGNORE)
            assert [found.colormap(1)[label][:3] for label in range(3)] == list(PALETTE)
            assert {f"CLASS_{label}": name for label, name in enumerate(CLASSES)}.items() <= found.tags().items()
            assert steps.descriptions == CLASSES
            np.testing.assert_allclose(steps.read() * steps.scales[0], made, atol=0.5 / 254 + 1e-6)
    assert done.counts == tuple(np.bincount(labels.ravel(), minlength=3).tolist())
    assert done.polygons > 0
    assert logged == []
    with Image.open(wanted["quicklook"]) as picture:
        assert picture.size[0] == 260
        np.testing.assert_array_equal(np.asarray(picture)[:150, :130], pixels.transpose(1, 2, 0))


@pytest.mark.parametrize("kind", ["nodata", "alpha", "mask", "nan"])
def test_no_data_in_is_no_data_out(tmp_path, kind):
    pixels = colours()
    valid = np.ones(pixels.shape[1:], bool)
    valid[20:90, 30:100] = False
    path = tmp_path / "scene.tif"
    if kind == "nodata":
        pixels[:, ~valid] = 0
        write(path, pixels, nodata=0, **UTM)
    elif kind == "alpha":
        bands = np.concatenate([pixels, 255 * valid[None].astype(np.uint8)])
        named = [rasterio.enums.ColorInterp[name] for name in ("red", "green", "blue", "alpha")]
        write(path, bands, colorinterp=named, **UTM)
    elif kind == "mask":
        write(path, pixels, mask=valid, **UTM)
    else:
        real = pixels.astype(np.float32)
        real[1, ~valid] = np.nan
        write(path, real, **UTM)
    labels, _ = expected_labels(pixels, valid)
    with RasterSource(path, value_range=BYTES) as source:
        done = run(source, tmp_path / "map.tif")
    with rasterio.open(tmp_path / "map.tif") as found:
        np.testing.assert_array_equal(found.read(1), labels)
    assert done.no_data == (~valid).sum()


def test_bands_and_values(tmp_path):
    pixels = colours()
    deep = np.concatenate([pixels[::-1].astype(np.uint16) * 16, np.full((1, 150, 130), 9, np.uint16)])
    path = write(tmp_path / "deep.tif", deep, **UTM)
    with RasterSource(path, [3, 2, 1], ValueRange.alike(0, 4080)) as source:
        np.testing.assert_array_equal(source.read(0, 150, 0, 130)[0], pixels)
    with RasterSource(path) as source:
        assert "4 bands: [1, 2, 3] are read" in source.notes[0]
        decision = percentiles([source.sample(1 << 20)])
    assert "percentiles of a sample" in decision.note
    with RasterSource(path, None, decision.range) as source:
        shown = source.read(0, 150, 0, 130)[0]
        low, high = np.percentile(deep[0], (2, 98))
        wanted = np.clip((deep[0] - low) / (high - low) * 255, 0, 255)
        assert np.abs(shown[0] - wanted).max() < 8  # the sample is a part of the pixels
    named = [rasterio.enums.ColorInterp[name] for name in ("blue", "green", "red")]
    path = write(tmp_path / "bgr.tif", pixels[::-1].copy(), colorinterp=named, photometric="minisblack", **UTM)
    with RasterSource(path) as source:
        np.testing.assert_array_equal(source.read(0, 150, 0, 130)[0], pixels)
    Image.fromarray(pixels.transpose(1, 2, 0)).quantize(16).save(tmp_path / "palette.png")
    with RasterSource(tmp_path / "palette.png") as source:
        with Image.open(tmp_path / "palette.png") as picture:
            wanted = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
        np.testing.assert_array_equal(source.read(0, 150, 0, 130)[0], wanted)
        assert "has no coordinate system" in source.notes[0]
    with RasterSource(tmp_path / "palette.png") as source:
        run(source, tmp_path / "plain.tif")


def test_bad_input_is_said_in_a_sentence(tmp_path):
    (tmp_path / "text.tif").write_text("no image")
    grey = write(tmp_path / "grey.tif", colours()[:1], **UTM)
    for path, options, words in (
        (tmp_path / "none.tif", {}, "is not there"),
        (tmp_path, {}, "is a folder"),
        (tmp_path / "text.tif", {}, "is no image that GDAL"),
        (grey, {}, "has 1 band, expected at least 3 .*--bands 1,1,1"),
        (grey, {"bands": [1, 2, 3]}, "--bands 1,2,3 does not fit .* from 1 to 1"),
    ):
        with pytest.raises(BadRaster, match=words):
            RasterSource(path, **options)
    with RasterSource(grey, [1, 1, 1]) as source:
        assert source.read(0, 9, 0, 9)[0].shape == (3, 9, 9)
    whole = write(tmp_path / "cut.tif", colours(700, 700), compress="deflate", **UTM)
    whole.write_bytes(whole.read_bytes()[:-400000])
    out = tmp_path / "map.tif"
    with RasterSource(whole) as source, pytest.raises(BadRaster, match="cannot be decoded in rows"):
        run(source, out)
    assert not out.exists()
    with pytest.raises(UserError, match=r"--tile 32 does not fit this network, .* 64x64"):
        require_fit(nn.Sequential(nn.Flatten(), nn.Linear(3 * 64 * 64, 1)), (32, 32), (64, 64))


class Ended(Exception):
    pass


def test_a_prediction_that_was_ended_goes_on(tmp_path):
    """The same bytes as without the end, and only the rest is predicted; other settings start anew."""
    pixels = colours(400, 130)
    image = write(tmp_path / "scene.tif", pixels, **UTM)
    calm, out = tmp_path / "calm.tif", tmp_path / "map.tif"
    net = Pointwise()
    with RasterSource(image) as source:
        run(source, calm, net)
    whole, countdown = net.calls, iter(range(8))

    def check():
        if next(countdown, None) is None:
            raise Ended

    with RasterSource(image) as source, pytest.raises(Ended):
        run(source, out, check=check)
    assert not out.exists()
    assert partial_folder(out).is_dir()
    net, said = Pointwise(), []
    with RasterSource(image) as source:
        made = run(source, out, net, said=said)
    assert 0 < made.resumed < 400
    assert said == [f"goes on after {made.resumed} of 400 finished rows"]
    assert net.calls < whole
    assert out.read_bytes() == calm.read_bytes()
    countdown = iter(range(8))
    out.unlink()
    with RasterSource(image) as source, pytest.raises(Ended):
        run(source, out, check=check)
    with RasterSource(image, [3, 2, 1]) as source:
        made = run(source, out, said=said)
    assert made.resumed == 0
    assert "starts anew" in said[-1]


def test_rows_behind_the_note_are_cut_off(tmp_path):
    """A kill between a write and its note: the half row that is there must not shift the rest."""
    rows = np.arange(50, dtype=np.uint8).reshape(1, 5, 10)
    with PartialOutput(tmp_path / ".part", (9, 10), {"labels": 1}, "digest") as part:
        part.append({"labels": rows})
        part.commit()
        part.append({"labels": rows[:, :1]})
    with (tmp_path / ".part" / "labels.raw").open("ab") as stream:
        stream.write(b"half")
    with PartialOutput(tmp_path / ".part", (9, 10), {"labels": 1}, "digest") as part:
        assert part.written == 5
        part.append({"labels": rows[:, :4]})
        part.commit()
        np.testing.assert_array_equal(part.read("labels", 0, 9)[0], np.concatenate([rows[0], rows[0, :4]]))
    with (
        PartialOutput(tmp_path / ".part", (9, 10), {"labels": 1}, "digest"),
        pytest.raises(UserError, match="another process"),
    ):
        PartialOutput(tmp_path / ".part", (9, 10), {"labels": 1}, "digest").__enter__()


def mounted(folder, size):
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=False, capture_output=True
    ).returncode:
        pytest.skip("mounting a small file system needs root")


def test_a_disk_that_fills_leaves_nothing_under_the_final_name(tmp_path):
    """While rows are written, and again while the GeoTIFF is made of them; with room the same command goes on."""
    image = write(tmp_path / "scene.tif", colours(900, 600), **UTM)
    disk = tmp_path / "disk"
    mounted(disk, "3m")
    try:
        out, ballast = disk / "map.tif", disk / "ballast"
        ballast.write_bytes(bytes(2600 << 10))
        with RasterSource(image) as source, pytest.raises(UserError, match="need 0 MiB beside the output"):
            run(source, out)
        ballast.unlink()
        calls = iter(range(10**6))

        def check():
            if next(calls) == 30:
                ballast.write_bytes(bytes(psutil.disk_usage(disk).free - (16 << 10)))

        with RasterSource(image) as source, pytest.raises(UserError, match="no space left on the disk while writing"):
            run(source, out, check=check)
        assert [path.name for path in disk.iterdir() if path.suffix == ".tif"] == []
        ballast.unlink()  # then room for the rows that are missing, and not for the GeoTIFF beside them
        missing = 900 * 600 - (partial_folder(out) / "labels.raw").stat().st_size
        ballast.write_bytes(bytes(psutil.disk_usage(disk).free - missing - (48 << 10)))
        said = []
        with (
            RasterSource(image) as source,
            pytest.raises(UserError, match=r"map\.tif could not be written whole") as caught,
        ):
            run(source, out, said=said)
        assert "finished rows" in said[0]
        assert "run the same command again" in str(caught.value)
        assert [path.name for path in disk.rglob("*.tif*") if path.is_file() and path.suffix != ".lock"] == []
        ballast.unlink()
        with RasterSource(image) as source:
            assert run(source, out).resumed == 900
        labels, _ = expected_labels(colours(900, 600))
        with rasterio.open(out) as found:
            np.testing.assert_array_equal(found.read(1), labels)
            assert found.overviews(1) == [2]
    finally:
        subprocess.run(["umount", "-l", disk], check=True)
