"""Tiny large rasters for tests."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning

from data_prep.datasets.whu import Whu
from data_prep.manifest import Manifest

NORTH_UP = Affine(0.075, 0, 1570000, 0, -0.075, 5180000)
NZTM = "EPSG:2193"


def write_raster(path: Path, pixels: np.ndarray, transform: Affine | None = NORTH_UP, crs: str | None = NZTM, **more):
    """Bands [N, H, W] or labels [H, W] as a tiled GeoTIFF; without a place on the ground if `transform` is None."""
    bands = pixels if pixels.ndim == 3 else pixels[None]
    path.parent.mkdir(parents=True, exist_ok=True)
    place = {} if transform is None else {"transform": transform, "crs": crs}
    options = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate", "zlevel": 1, **place, **more}
    count, height, width = bands.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver="GTiff", count=count, height=height, width=width, dtype=bands.dtype, **options
        ) as raster:
            raster.write(bands)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Image bands uint8 [3, H, W], nowhere black."""
    return np.random.default_rng(seed).integers(1, 256, (3, height, width), dtype=np.uint8)


def blocks(height: int, width: int, seed: int = 0, value: int = 1) -> np.ndarray:
    """Labels uint8 [H, W] of irregular shapes, with a good share of both values."""
    coarse = np.random.default_rng(seed).random((height // 37 + 1, width // 37 + 1)) < 0.4
    return np.uint8(value) * np.kron(coarse, np.ones((37, 37), bool))[:height, :width]


def prepare(source: Path, out: Path, edges: str | None = None, workers: int = 1, skip_bad: bool = False) -> Manifest:
    return Whu(edges=edges).prepare(
        source, out, origin="source", workers=workers, progress=lambda done, total, what: None, skip_bad=skip_bad
    )
