"""Peak memory and time of `prepare whu` on raw rasters: does memory grow with the raster?

From the root of the repository: python docs/measure/rasters.py [--sides 10000 20000 54000] [--workers 1 2]. Each raster
is an invented suburb of 0.3 m, enlarged to 0.075 m and repeated, with a label raster beside it: 54,000 x 54,000 pixels
are 8.1 GiB of image and 2.7 GiB of labels when they are decoded. The files are made once and not timed; one more
raster, of --strips (20,000) pixels a side, is stored in strips of one row. Memory is the largest sum over the command
and its workers of the resident sets, in which shared pages count for each of them, seen every 20 ms.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.windows import Window
from turns import peak_of, say

PLACE = {"transform": Affine(0.075, 0, 1570000, 0, -0.075, 5180000), "crs": "EPSG:2193"}
TILED: dict[str, Any] = {"tiled": True, "blockxsize": 512, "blockysize": 512}
STRIPS: dict[str, Any] = {"tiled": False, "blockysize": 1}


def write_raster(folder: Path, side: int, blocks: dict[str, Any]) -> None:
    """Write an image raster and its labels, each of `side` x `side` pixels."""
    from data_prep.synthetic.building_scenes import roof_scene

    scene = roof_scene(1024, np.random.default_rng(5))
    for kind, pixels in (("image", np.moveaxis(scene.image, -1, 0)), ("label", np.uint8(scene.buildings)[None])):
        path = folder / kind / "raster.tif"
        path.parent.mkdir(parents=True)
        options = {**PLACE, **blocks, "compress": "deflate", "zlevel": 1, "dtype": "uint8", "BIGTIFF": "IF_SAFER"}
        wide = np.tile(pixels.repeat(4, axis=2), (1, 1, -(-side // 4096)))[..., :side]
        with rasterio.open(path, "w", "GTiff", side, side, len(pixels), **options) as raster:
            for top in range(0, side, 512):
                rows = np.arange(top, min(top + 512, side)) // 4 % 1024
                raster.write(wide[:, rows], window=Window(0, top, side, len(rows)))


def row(folder: Path, name: str, side: int, workers: int) -> str:
    """Return a line of the table: the first call, which prepares, and the second, which verifies."""
    from data_prep.manifest_file import load_manifest

    home = folder / f"home {name} {workers}"
    command = [sys.executable, "-m", "benchmarks.cli", "--home", str(home), "prepare", "whu"]
    command += ["--source", str(folder / name), "--workers", str(workers)]
    (peak, seconds), (later_peak, later) = (peak_of(command) for _ in range(2))
    tiles = len(load_manifest(home / "data" / "whu", "whu").entries)
    image = 3 * side**2 / 2**30
    return (
        f"| {name} | {image:.1f} GiB | {tiles} | {workers} | {peak / 2**20:.0f} MiB | {seconds:.0f} | "
        f"{later_peak / 2**20:.0f} MiB | {later:.1f} |"
    )


def measure(folder: Path, sides: Sequence[int], strips: int, workers: Sequence[int]) -> None:
    """Print all figures as markdown, each when it is there."""
    say("| raster | image, decoded | tiles | workers | peak memory | seconds | second call | seconds |")
    say("|---|--:|--:|--:|--:|--:|--:|--:|")
    kinds = [(f"{side}x{side}", side, TILED) for side in sides]
    for name, side, blocks in [*kinds, (f"{strips}x{strips} in strips", strips, STRIPS)]:
        write_raster(folder / name, side, blocks)
        for number in workers:
            say(row(folder, name, side, number))
    say(f"\n{os.cpu_count()} cores, load average at the end {os.getloadavg()[0]:.1f}")


def main() -> None:
    """Measure in a temporary folder and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=[10000, 20000, 54000])
    parser.add_argument("--strips", type=int, default=20000, help="side of the raster in strips of one row")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rssam-measure-") as folder:
        measure(Path(folder), options.sides, options.strips, options.workers)


if __name__ == "__main__":
    main()
