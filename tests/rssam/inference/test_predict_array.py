"""An array is predicted as the same pixels in a file are."""

import numpy as np
import pytest
import torch
from torch import nn

from rssam import Task, labels_of, predict_array
from rssam.errors import UserError

TASK = Task(("road",), (64, 64))


class Local(nn.Module):
    """Its logit is a pixel's brightness and its column: tiles disagree where they overlap."""

    def forward(self, images):
        ramp = torch.linspace(-1, 1, images.shape[-1])
        return (images.mean(dim=1, keepdim=True) - 0.5) * 8 + ramp


def test_an_array_is_predicted_as_its_file(tmp_path):
    rasterio = pytest.importorskip("rasterio")
    from rssam.inference.predict_raster import Network, Outputs, Settings, predict_raster
    from rssam.inference.raster_input import RasterSource

    pixels = np.random.default_rng(0).integers(0, 255, (150, 201, 3), dtype=np.uint8)
    with rasterio.open(
        tmp_path / "scene.tif", "w", driver="GTiff", height=150, width=201, count=3, dtype="uint8"
    ) as to:
        to.write(np.moveaxis(pixels, -1, 0))
    network = Network(Local(), TASK, ((0, 0, 0), (255, 255, 255)), None, "local")
    with RasterSource(tmp_path / "scene.tif") as source:
        predict_raster(
            source, network, Settings((64, 64), (32, 32)), Outputs(tmp_path / "map.tif"), torch.device("cpu"), 2,
            say=lambda text: None, progress=lambda *_: None, check=lambda: None,
        )  # fmt: skip
    with rasterio.open(tmp_path / "map.tif") as written:
        expected = written.read(1)
    probabilities = predict_array(Local(), TASK, pixels)
    assert probabilities.shape == (1, 150, 201)
    np.testing.assert_array_equal(labels_of(probabilities), expected)
    assert 0 < expected.mean() < 1


@pytest.mark.parametrize(
    ("pixels", "options", "error", "words"),
    [
        (np.zeros((40, 40, 3)), {}, TypeError, "expected pixels uint8 in 0..255, found float64"),
        (np.zeros((3, 40, 40), np.uint8), {}, ValueError, r"found the shape \[3, 40, 40\]; bands first: np.moveaxis"),
        (np.zeros((40, 40, 3), np.uint8), {"overlap": 64}, UserError, "an overlap of 64 pixels does not fit"),
    ],
)
def test_what_cannot_be_predicted(pixels, options, error, words):
    with pytest.raises(error, match=words):
        predict_array(Local(), TASK, pixels, **options)
