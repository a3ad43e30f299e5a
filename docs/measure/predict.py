"""Prediction on large rasters: does memory grow with the height, and how much slower is it than the bare network?

From the root of the repository: python docs/measure/predict.py [memory|throughput|shift] [--width 30000]
[--heights 15000 30000] [--device cpu|cuda] [--rounds 5] [--tiles 4].

Memory: an invented GeoTIFF of six classes' worth of colours, predicted by a real but narrow U-Net with random
parameters (memory beside the network does not depend on them), all of it as the command does, with the modules that the
command imports. Its peak is the largest resident set seen every 20 ms. The raster is made once and not timed.

Throughput: RS-SAM with the encoder vit_t on a raster of 4 x 4 tiles. In alternating rounds the bare network sees the
very batches that the prediction gives it, out of memory, and then the raster is predicted from file to file; processor
time beside the clock tells what the machine's other work adds.

Shift (--home DIR --run KEY --raster FILE): a finished run predicts a raster with tiles that start sooner, by half a
step or --sooner pixels.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

import numpy as np
import rasterio
import torch
from suburb import write_suburb
from torch import nn
from turns import options, peak_of, say, scratch, take_turns

from baselines.unet import UNet
from benchmarks.export.load_run import load_run
from benchmarks.export.predict import network_of
from data_prep.registry import register_home
from rssam.config import RSSAM
from rssam.contract import Model, Task
from rssam.inference.predict_raster import Network, Outputs, Settings, predict_raster
from rssam.inference.raster_input import RasterSource
from rssam.inference.tile_grid import Grid, aligned
from rssam.inference.tile_reading import read_tiles

CLASSES = ("building", "road", "pavement", "vegetation", "soil", "water")
TILE, OVERLAP = 512, 256


def random_network(model: Model) -> nn.Module:
    """Return the network of a system with random parameters, for six classes."""
    torch.manual_seed(0)
    return model.architecture(Task(CLASSES, (TILE, TILE))).eval()


def predict_whole(path: Path, network: Network, settings: Settings, device: str, batch: int, *outputs: Path) -> None:
    """Predict a raster from file to file: the map, and with a second output its probabilities too."""
    with RasterSource(path) as source:
        predict_raster(
            source, network, settings, Outputs(*outputs), torch.device(device), batch,
            say=say, progress=lambda done, total, what: None, check=lambda: None,
        )  # fmt: skip


def at_random(net: nn.Module, device: str, overlap: int) -> tuple[Network, Settings]:
    """Return a network of random parameters with its task and colours, and tiles that overlap so."""
    palette = tuple((40 * number, 255 - 40 * number, 128) for number in range(6))
    precision = torch.bfloat16 if device == "cuda" else None
    network = Network(net, Task(CLASSES, (TILE, TILE)), palette, precision, "random parameters")
    return network, Settings((TILE, TILE), (overlap, overlap))


def measure_memory(folder: Path, width: int, heights: list[int], channels: int, extras: bool) -> None:
    """Print a table of peaks by height."""
    say("| raster | pixels, decoded | peak memory | against the first | seconds |\n|---|--:|--:|--:|--:|")
    first = 0
    for height in heights:
        path = folder / "raster.tif"
        write_suburb(path, height, width)
        child = ["child", str(path), str(folder / "map.tif"), str(channels), *(["extras"] if extras else [])]
        peak, seconds = peak_of([sys.executable, __file__, *child])
        first = first or peak
        decoded = 3 * height * width / 2**30
        say(
            f"| {width:,} x {height:,} | {decoded:.1f} GiB | {peak / 2**20:.0f} MiB | {peak / first - 1:+.1%} | "
            f"{seconds:.0f} |"
        )
        for made in folder.iterdir():
            made.unlink()


def measure_throughput(folder: Path, device: str, batch: int, rounds: int, tiles: int) -> None:
    """Print tiles a second of the bare network and of the whole prediction of `tiles` x `tiles` tiles, alternating."""
    size = TILE + (tiles - 1) * (TILE - OVERLAP)
    path, out = folder / "raster.tif", folder / "map.tif"
    write_suburb(path, size, size)
    net = random_network(RSSAM("vit_t", "scratch")).to(device)
    grid = Grid(size, size, (TILE, TILE), (OVERLAP, OVERLAP))
    with RasterSource(path) as source:
        batches = [found.images for found in read_tiles(source, grid, 0, batch)]

    def bare() -> None:
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            for images in batches:
                net(images.to(device).float().div_(255)).cpu()

    def whole() -> None:
        predict_whole(path, *at_random(net, device, OVERLAP), device, batch, out)
        out.unlink()

    turns = take_turns({"bare": bare, "whole": whole}, rounds)
    rows = [
        (alone.clock, all_of_it.clock, alone.clock / all_of_it.clock, alone.cores / all_of_it.cores)
        for alone, all_of_it in zip(turns["bare"], turns["whole"], strict=True)
    ]
    for row in rows:
        say("bare {:.2f} s, whole {:.2f} s, ratio {:.3f}, of processor time {:.3f}".format(*row))
    alone_s, whole_s, ratio, processor = (statistics.median(values) for values in zip(*rows, strict=True))
    count = grid.count()
    say("| tiles | bare, tiles/s | whole, tiles/s | ratio | ratio of processor time |\n|---|--:|--:|--:|--:|")
    say(
        f"| {count}, batch {batch}, {device} | {count / alone_s:.2f} | {count / whole_s:.2f} | {ratio:.3f} | "
        f"{processor:.3f} |"
    )


def measure_shift(
    folder: Path, raster: Path, home: Path, key: str, tile: int | None, parts: list[int], sooner: int | None
) -> None:
    """Print the share of pixels that change sides where tiles start elsewhere, for overlaps of 1/`parts` of a tile.

    Of the map, and of one that is cut at the median probability of the first class, where most change sides: a network
    that gives one class everywhere would feign a map that does not change.
    """
    register_home(home / "data")
    network = network_of(load_run(home, key), "32-true")
    side = tile or network.task.image_size[0]
    say(
        "| overlap | pixels of the map that differ, a tile or more from the border | cut at the median "
        "| mean change of probability |\n|---|--:|--:|--:|"
    )
    for overlap in (aligned(side, side // part) for part in parts):
        maps = []
        for shift in (0, (side - overlap) // 2 if sooner is None else sooner):
            settings = Settings((side, side), (overlap, overlap), "none", (shift, shift))
            out, steps = folder / "map.tif", folder / "steps.tif"
            predict_whole(raster, network, settings, "cpu", 2, out, steps)
            with rasterio.open(steps) as made:
                maps.append(made.read(1)[side:-side, side:-side])
            out.unlink()
            steps.unlink()
        known, middle = maps[0] != 255, np.median(maps[0][maps[0] != 255])
        changed, halved = (((maps[0] > cut) != (maps[1] > cut))[known].mean() for cut in (127, middle))
        steps_apart = np.abs(maps[0] - maps[1].astype(float))[known].mean()
        say(f"| {overlap} of {side} | {changed:.3%} | {halved:.3%} | {steps_apart / 254:.5f} |")


def main() -> None:
    """Measure what was asked for, or everything."""
    if sys.argv[1:2] == ["child"]:
        path, out, channels, *extras = sys.argv[2:]
        outputs = [Path(out), *(Path(out).with_suffix(".probabilities.tif") for _ in extras)]
        predict_whole(Path(path), *at_random(random_network(UNet(int(channels))), "cpu", 32), "cpu", 2, *outputs)
        return
    parser = options(__doc__, {"--width": 30000, "--heights": [15000, 30000], "--batch": 2, "--rounds": 5})
    parser.add_argument("what", nargs="?", choices=("memory", "throughput", "shift"))
    parser.add_argument("--channels", type=int, default=1, help="width of the U-Net")
    parser.add_argument("--probabilities", action="store_true")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--tiles", type=int, default=4, help="along each side, for the throughput")
    parser.add_argument("--folder", type=Path, help="where rasters are made")
    parser.add_argument("--home", type=Path, help="with shift: of the run")
    parser.add_argument("--run", help="with shift: its key")
    parser.add_argument("--raster", type=Path, help="with shift: what is predicted")
    parser.add_argument("--parts", type=int, nargs="+", default=[8, 4, 2], help="with shift: of a tile, the overlaps")
    parser.add_argument("--tile", type=int, help="with shift: side of a tile")
    parser.add_argument("--sooner", type=int, help="with shift: pixels by which tiles start sooner [half a step]")
    asked = parser.parse_args()
    with scratch(asked.folder) as folder:
        if asked.what == "shift":
            measure_shift(folder, asked.raster, asked.home, asked.run, asked.tile, asked.parts, asked.sooner)
        if asked.what in (None, "memory"):
            measure_memory(folder, asked.width, asked.heights, asked.channels, asked.probabilities)
        if asked.what in (None, "throughput"):
            measure_throughput(folder, asked.device, asked.batch, asked.rounds, asked.tiles)


if __name__ == "__main__":
    main()
