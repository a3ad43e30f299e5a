"""Rasters that tests write themselves, and a network whose answer for a pixel is known without tiles."""

import warnings

import numpy as np
import rasterio
import torch
from affine import Affine
from torch import nn

from rssam.contract import Task
from rssam.inference.predict_raster import Network, Outputs, Settings, predict_raster
from rssam.inference.sliding_window import labels_of, probabilities

UTM = {"crs": "EPSG:32654", "transform": Affine(0.2, 0.01, 400000.123456789, 0.01, -0.2, 3900000.987654321)}
CLASSES = ("field", "road", "water")
PALETTE = ((10, 200, 10), (200, 10, 10), (10, 10, 200))


class Pointwise(nn.Module):
    """Each pixel's class follows from its own colour, so that what is expected needs no tiles."""

    def __init__(self, channels=3):
        super().__init__()
        torch.manual_seed(1)
        self.layer = nn.Conv2d(3, channels, 1)
        self.calls = 0

    def forward(self, images):
        self.calls += 1
        return 9 * self.layer(images - 0.5)


def network(net=None):
    return Network(net or Pointwise(), Task(CLASSES, (64, 64)), PALETTE, None, "test")


def write(path, pixels, **options):
    """Pixels [bands, h, w] as a GeoTIFF."""
    count, height, width = pixels.shape
    mask = options.pop("mask", None)
    colours = options.pop("colorinterp", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path, "w", "GTiff", width, height, count, dtype=pixels.dtype, **options) as raster:
            if colours:
                raster.colorinterp = colours
            raster.write(pixels)
            if mask is not None:
                raster.write_mask(mask)
    return path


def colours(height=150, width=130, seed=0):
    return np.random.default_rng(seed).integers(1, 256, (3, height, width), dtype=np.uint8)


def run(source, out, net=None, check=lambda: None, said=None, batch=2, **wanted):
    said = [] if said is None else said
    made = predict_raster(
        source, network(net), Settings((64, 64), (16, 16)), Outputs(out, **wanted), torch.device("cpu"), batch,
        say=said.append, progress=lambda done, total, what: None, check=check,
    )  # fmt: skip
    assert not [path.name for path in out.parent.iterdir() if path.name.startswith(".")]
    return made


def expected_labels(pixels, valid=None):
    with torch.inference_mode():
        made = probabilities(Pointwise()(torch.from_numpy(pixels[None] / np.float32(255))))[0].numpy()
    return labels_of(made, np.ones(pixels.shape[1:], bool) if valid is None else valid), made
