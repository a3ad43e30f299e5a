"""`predict` on several files: one range of values for all, a sentence for each bad one, a list of what it wrote."""

import dataclasses
import json

import numpy as np
import pytest
import rasterio

from benchmarks.export import adapter, predict
from benchmarks.export.load_run import load_run
from benchmarks.signals import Interrupted
from rssam.inference import predict_raster
from rssam.value_range import RangeUnknown, ValueRange
from tests.benchmarks.cli.test_predict import call, home, picture  # noqa: F401
from tests.rssam.inference.made_rasters import UTM, write


def scene(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (3, 64, 96), dtype=np.uint8)


def label_map(path):
    with rasterio.open(path) as made:
        return made.read(1)


def test_a_bad_file_ends_no_batch(tmp_path, home):  # noqa: F811
    """A palette of 16 bits raised IndexError: the images after it were never predicted."""
    session, key = home
    good = write(tmp_path / "good.tif", scene(), **UTM)
    point = write(tmp_path / "one.tif", scene()[:, :1, :1], **UTM)
    broken = write(tmp_path / "broken.tif", scene(), compress="deflate", **UTM)
    broken.write_bytes(broken.read_bytes()[:-9000])
    (tmp_path / "text.tif").write_text("no image")
    (tmp_path / "folder.tif").mkdir()
    grey = write(tmp_path / "grey.tif", scene()[:1], **UTM)
    images = [tmp_path / "text.tif", tmp_path / "folder.tif", tmp_path / "none.tif", grey, broken, point, good]
    done = call(session, *images, "--run", key, "--out", tmp_path / "maps", "--device", "cpu")
    assert done.exit_code == 1
    assert done.stderr.count("error: ") == 5
    for name in ("text", "folder", "none", "grey", "broken"):
        assert f"{name}.tif" in done.stderr
    assert done.stderr.rstrip().splitlines()[-1] == "2 of 7 were predicted"
    assert sorted(path.name for path in (tmp_path / "maps").glob("*.tif")) == ["good.tif", "one.tif"]


def test_what_was_not_foreseen_ends_no_batch_either(tmp_path, home, monkeypatch):  # noqa: F811
    session, key = home
    images = [write(tmp_path / f"{name}.tif", scene(), **UTM) for name in ("a", "b")]

    def broken(path, *options):
        if path.name == "a.tif":
            raise IndexError("index 256 is out of bounds")
        return opened(path, *options)

    opened = predict.RasterSource
    monkeypatch.setattr(predict, "RasterSource", broken)
    done = call(session, *images, "--run", key, "--out", tmp_path / "maps")
    assert done.exit_code == 1
    assert "a.tif: IndexError: index 256 is out of bounds" in done.stderr
    assert (tmp_path / "maps" / "b.tif").exists()


def test_a_batch_that_is_ended_lists_what_it_wrote(tmp_path, home, monkeypatch):  # noqa: F811
    session, key = home
    images = [write(tmp_path / f"{name}.tif", scene(), **UTM) for name in ("a", "b")]
    whole = predict_raster.predict_raster

    def ended(source, *options, **more):
        if source.path.name == "b.tif":
            raise Interrupted("stopped")
        return whole(source, *options, **more)

    monkeypatch.setattr(predict_raster, "predict_raster", ended)
    done = call(session, *images, "--run", key, "--out", tmp_path / "maps")
    assert done.exit_code == 1
    assert f"wrote {tmp_path / 'maps' / 'a.tif'}" in done.stdout
    assert "b.tif: stopped; its finished rows are kept" in done.stderr
    assert done.stderr.rstrip().splitlines()[-1] == "1 of 2 were predicted"


def test_every_file_is_listed_at_the_end(tmp_path, home):  # noqa: F811
    """The class map alone was named."""
    session, key = home
    images, out = [write(tmp_path / f"{name}.tif", scene(), **UTM) for name in ("a", "b")], tmp_path / "maps"
    extras = ("--probabilities", "--vectors", out, "--quicklook", out)
    done = call(session, *images, "--run", key, "--out", out, *extras)
    assert done.exit_code == 0, done.output
    listed = [line.removeprefix("wrote ") for line in done.stdout.splitlines() if line.startswith("wrote ")]
    assert sorted(listed) == sorted(str(path) for path in out.iterdir())
    assert len(listed) == 8


def test_a_scene_in_bytes_and_in_real_numbers_has_one_map(tmp_path, home):  # noqa: F811
    """In real numbers it was stretched to its percentiles: another picture, and another map."""
    session, key = home
    pixels = np.clip(scene() // 4 + 90, 0, 255).astype(np.uint8)
    images = [write(tmp_path / f"{kind}.tif", pixels.astype(kind), **UTM) for kind in ("uint8", "float32", "uint16")]
    done = call(session, *images, "--run", key, "--out", tmp_path / "maps")
    assert done.exit_code == 0, done.output
    assert "note: values of float32 and uint16 within 0..255 are taken as 8 bits" in done.stderr
    first, *others = [label_map(tmp_path / "maps" / image.name) for image in images]
    for other in others:
        np.testing.assert_array_equal(other, first)


def test_a_range_that_values_do_not_show_must_be_given(tmp_path, home):  # noqa: F811
    """Before any file is predicted, and for all alike."""
    session, key = home
    deep = write(tmp_path / "deep.tif", scene().astype(np.uint16) * 16, **UTM)
    units = write(tmp_path / "units.tif", (scene() / 300).astype(np.float32), **UTM)
    plain = write(tmp_path / "plain.tif", scene(), **UTM)
    out = tmp_path / "maps"
    for images, words in (
        ([plain, deep], r"deep.tif \(uint16 from 0 to 4080\)\. Say .*--scale MIN,MAX"),
        ([plain, units], "differ in their range of values"),
    ):
        with pytest.raises(RangeUnknown, match=words):
            raise call(session, *images, "--run", key, "--out", out).exception
    assert not out.exists()
    done = call(session, deep, plain, "--run", key, "--out", out, "--scale", "0,4080", "--json")
    assert done.exit_code == 0, done.output
    assert "values_outside" in done.stdout
    written = json.loads(done.stdout)[0]["written"][0]
    call(session, plain, "--run", key, "--out", tmp_path / "alone.tif")
    np.testing.assert_array_equal(label_map(written), label_map(tmp_path / "alone.tif"))
    with rasterio.open(written) as made:
        assert json.loads(made.tags()["SETTINGS"])["scale"] == [[0] * 3, [4080] * 3]
    done = call(session, deep, "--run", key, "--out", tmp_path / "auto.tif", "--scale", "auto")
    assert "percentiles of a sample of all files" in done.stderr


def test_values_beyond_the_range_are_said_at_the_end(tmp_path, home):  # noqa: F811
    session, key = home
    deep = scene().astype(np.uint16) * 16
    path = write(tmp_path / "deep.tif", deep, **UTM)
    out = ("--out", tmp_path / "maps.tif", "--scale", "0,2000")
    done = call(session, path, "--run", key, *out)
    assert f"values outside of 0 to 2000 were clipped, of {path} ({(deep > 2000).mean():.2%})" in done.stderr
    again = json.loads(call(session, path, "--run", key, *out, "--overwrite", "--json").stdout)
    assert again[0]["values_outside"] == (deep > 2000).sum()


def test_the_range_of_the_training_data_is_used(tmp_path, home, monkeypatch):  # noqa: F811
    session, key = home
    trained = dataclasses.replace(load_run(session.home, key), value_range=ValueRange.alike(0, 4080))
    monkeypatch.setattr(adapter, "load_run", lambda *_: trained)
    deep = write(tmp_path / "deep.tif", scene().astype(np.uint16) * 16, **UTM)
    done = call(session, deep, "--run", key, "--out", tmp_path / "deep_map.tif")
    assert "the network was trained on values of 0 to 4080" in done.stderr
    plain = write(tmp_path / "plain.tif", scene(), **UTM)
    assert "taken as they are" in call(session, plain, "--run", key, "--out", tmp_path / "map.tif").stderr
    np.testing.assert_array_equal(label_map(tmp_path / "deep_map.tif"), label_map(tmp_path / "map.tif"))
