"""What a quick look shows: the image as it is, classes in colours that no roof has, outlines, and a legend."""

import numpy as np
import pytest
import rasterio
from PIL import Image

from rssam.contract import IGNORE
from rssam.inference.quicklook import write_quicklook
from rssam.inference.raster_input import RasterSource
from tests.rssam.inference.made_rasters import UTM, write

WHITE, BLACK, GREEN, GREY = (255, 255, 255), (0, 0, 0), (0, 255, 0), (128, 128, 128)


def shown(tmp_path, pixels, labels, names, palette):
    image = write(tmp_path / "scene.tif", pixels, **UTM)
    write(tmp_path / "map.tif", labels[None], nodata=IGNORE, **UTM)
    with RasterSource(image) as source:
        write_quicklook(source, tmp_path / "map.tif", names, palette, tmp_path / "q.png")
    with Image.open(tmp_path / "q.png") as picture:
        return np.asarray(picture).astype(int)


def test_roads_on_bright_roofs_are_seen(tmp_path):
    """The veil had the white of the data set: over a white roof nothing could be seen."""
    roofs = np.full((3, 60, 200), 250, np.uint8)
    labels = np.zeros((60, 200), np.uint8)
    labels[20:40, 50:150] = 1
    found = shown(tmp_path, roofs, labels, {1: "road"}, (BLACK, WHITE))
    assert (found[:60, :200] == 250).all()
    over = found[:60, 200:400]
    assert (over[labels == 0] == 250).all()
    assert np.abs(over[30, 100] - 250).max() > 80  # the veil
    assert over[20, 100].tolist() == over[39, 60].tolist() == [255, 0, 255]  # the outline
    assert found.shape[0] > 60
    assert (found[60:] == [255, 0, 255]).all(axis=-1).sum() > 100  # the swatch
    assert (found[60:] == 0).all(axis=-1).any()  # and its name


def test_colours_that_can_be_told_apart_are_kept(tmp_path):
    labels = np.repeat(np.arange(4, dtype=np.uint8), 50)[None].repeat(40, axis=0)
    labels[:5] = IGNORE
    palette = ((255, 0, 0), GREY, GREEN, WHITE)
    names = dict(enumerate(("building", "pavement", "vegetation", "a name of a class that is rather long")))
    over = shown(tmp_path, np.full((3, 40, 200), 100, np.uint8), labels, names, palette)[:, 200:]
    outline = [tuple(over[20, 50 * number + 49 - 49 * (number == 3)].tolist()) for number in range(4)]
    assert (outline[0], outline[2]) == ((255, 0, 0), GREEN)
    assert len(set(outline)) == 4
    assert all(max(colour) - min(colour) > 150 for colour in outline)
    assert (over[:4] == 100).all()


@pytest.mark.parametrize("size", [(1, 1), (3, 700), (1500, 2)])
def test_any_shape_has_a_legend(tmp_path, size):
    found = shown(tmp_path, np.full((3, *size), 9, np.uint8), np.zeros(size, np.uint8), {1: "road"}, (BLACK, WHITE))
    assert found.shape[1] >= 240
    assert (found == [255, 0, 255]).all(axis=-1).any()
    with rasterio.open(tmp_path / "map.tif") as made:
        assert made.shape == size
