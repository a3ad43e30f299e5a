"""Own images of more bits and bands, from `prepare folder --scale --bands` over a trained run to a map of `predict`."""

import dataclasses
import json

import numpy as np
import rasterio
from PIL import Image

from benchmarks.protocol import recipe as recipes
from benchmarks.protocol import targets as items
from benchmarks.protocol.tables import TABLE5
from benchmarks.results.store import Store
from tests.benchmarks.prepared import SIDE, TINY
from tests.rssam.inference.made_rasters import UTM, write


def deep(seed, height=SIDE, width=SIDE):
    """A scene of 11 bits in four bands."""
    return np.random.default_rng(seed).integers(300, 2048, (4, height, width), dtype=np.uint16)


def label_map(path):
    with rasterio.open(path) as made:
        return made.read()


def test_a_scale_goes_from_the_data_to_the_maps(command, tmp_path, monkeypatch):
    """Such a set could not be prepared; one scaled by hand left `predict` to guess the range of each scene.

    The first three of its bands were read in both, whatever they hold.
    """
    recipe = dataclasses.replace(TINY, name="smoke", epochs=1)
    monkeypatch.setitem(recipes.PROFILES, "smoke", dataclasses.replace(recipes.PROFILES["smoke"], recipe=recipe))
    rows = tuple(row for row in TABLE5.rows if row.model.name == "sam-lora")[:1]
    monkeypatch.setitem(items.ITEMS, "table5", dataclasses.replace(TABLE5, rows=rows))
    for folder in ("images", "masks"):
        (tmp_path / "s" / folder).mkdir(parents=True)
    for number in range(10):
        write(tmp_path / "s" / "images" / f"{number}.tif", deep(number), **UTM)
        Image.fromarray((deep(number)[0] > 1500).astype(np.uint8)).save(tmp_path / "s" / "masks" / f"{number}.png")
    prepare = ["prepare", "folder", "--name", "deep", "--source", str(tmp_path / "s"), "--classes", "road=1"]
    code, _, errors = command(*prepare)
    assert code == 1
    assert "all together from 300 to 2047" in " ".join(errors.split())
    code, output, errors = command(*prepare, "--scale", "100,2000", "--bands", "4,3,2", "--workers", "1")
    assert code == 0, errors
    assert "values of 100 to 2000 become 0 to 255" in " ".join(output.split())
    code, output, errors = command(
        "reproduce", "table5", "--profile", "smoke", "--dataset", "deep", "--no-track", "--json"
    )
    assert code == 0, output + errors
    key = json.loads(output)[0]["key"]
    data = Store(tmp_path / "home").get(key).data
    assert (data["scale"], data["bands"]) == ({"min": 100, "max": 2000}, {"red": 4, "green": 3, "blue": 2})

    scene = deep(99, 96, 160)
    by_hand = np.rint((scene.astype(np.float32) - 100) * np.float32(255 / 1900)).clip(0, 255).astype(np.uint8)
    ways = (
        (write(tmp_path / "deep.tif", scene, **UTM), ()),
        (write(tmp_path / "hand.tif", by_hand[[3, 2, 1]], **UTM), ("--bands", "1,2,3")),
    )
    adapter = tmp_path / "roads.safetensors"
    assert command("export", "--run", key, "--out", str(adapter))[0] == 0
    for how in (("--run", key), ("--adapter", str(adapter))):
        maps = []
        for image, bands in ways:
            out = tmp_path / f"{image.stem}{len(maps)}{how[0]}.tif"
            code, output, errors = command("predict", str(image), *how, *bands, "--out", str(out), "--probabilities")
            assert code == 0, output + errors
            assert "trained on values of 100 to 2000" in " ".join(errors.split())
            assert ("trained on bands 4,3,2" in " ".join(errors.split())) == (bands == ())
            maps.append(out)
        for suffix in (".tif", ".probabilities.tif"):
            first, other = (label_map(path.with_suffix(suffix)) for path in maps)
            np.testing.assert_array_equal(first, other)

    bundle = tmp_path / "bundle.zip"
    code, output, errors = command("publish", "table5", "--out", str(bundle))
    assert code == 0, output + errors
    code, output, errors = command("verify", str(bundle))
    assert code == 0, output + errors
