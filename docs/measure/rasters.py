"""Peak memory and time of `prepare whu` on raw rasters: does memory grow with the raster?

From the root of the repository: python docs/measure/rasters.py [--sides 10000 20000 54000] [--workers 1 2]. Each raster
is an invented suburb of 0.3 m, enlarged to 0.075 m and repeated, with a label raster beside it: 54,000 x 54,000 pixels
are 8.1 GiB of image and 2.7 GiB of labels when they are decoded. The files are made once and not timed; one more
raster, of --strips (20,000) pixels a side, is stored in strips of one row. Memory is the largest sum over the command
and its workers of the resident sets, in which shared pages count for each of them, seen every 20 ms.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from suburb import TILED, write_suburb
from turns import load, options, peak_of, say, scratch, suite

from data_prep.manifest_file import load_manifest

STRIPS: dict[str, Any] = {"tiled": False, "blockysize": 1}


def row(folder: Path, name: str, side: int, workers: int) -> str:
    """Return a line of the table: the first call, which prepares, and the second, which verifies."""
    home = folder / f"home {name} {workers}"
    command = suite(home, "prepare", "whu", "--source", str(folder / name), "--workers", str(workers))
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
        for kind in ("image", "label"):
            path = folder / name / kind / "raster.tif"
            path.parent.mkdir(parents=True)
            write_suburb(path, side, side, blocks, kind)
        for number in workers:
            say(row(folder, name, side, number))
    say(f"\n{os.cpu_count()} cores, load average at the end {load()}")


def main() -> None:
    """Measure in a temporary folder and print."""
    parser = options(__doc__, {"--sides": [10000, 20000, 54000], "--workers": [1, 2]})
    parser.add_argument("--strips", type=int, default=20000, help="side of the raster in strips of one row")
    asked = parser.parse_args()
    with scratch() as folder:
        measure(folder, asked.sides, asked.strips, asked.workers)


if __name__ == "__main__":
    main()
