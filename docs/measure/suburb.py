"""An invented suburb as a raster of any size, for measurements of large rasters."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
from affine import Affine
from rasterio.windows import Window

PLACE = {"transform": Affine(0.075, 0, 1570000, 0, -0.075, 5180000), "crs": "EPSG:2193"}
TILED: dict[str, Any] = {"tiled": True, "blockxsize": 512, "blockysize": 512}


def write_suburb(
    path: Path, height: int, width: int, blocks: dict[str, Any] = TILED, kind: Literal["image", "label"] = "image"
) -> None:
    """Write the image of 1024 x 1024 pixels or its labels, enlarged by four and repeated, as a GeoTIFF."""
    from data_prep.synthetic.building_scenes import roof_scene  # not held by a process that only reads a raster

    scene = roof_scene(1024, np.random.default_rng(5))
    pixels = np.moveaxis(scene.image, -1, 0) if kind == "image" else np.uint8(scene.buildings)[None]
    wide = np.tile(pixels.repeat(4, axis=2), (1, 1, -(-width // 4096)))[..., :width]
    options = {**PLACE, **blocks, "compress": "deflate", "zlevel": 1, "dtype": "uint8", "BIGTIFF": "IF_SAFER"}
    with rasterio.open(path, "w", "GTiff", width, height, len(pixels), **options) as raster:
        for top in range(0, height, 512):
            rows = np.arange(top, min(top + 512, height)) // 4 % 1024
            raster.write(wide[:, rows], window=Window(0, top, width, len(rows)))
