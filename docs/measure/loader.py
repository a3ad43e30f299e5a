"""How fast prepared images come beside what a network takes, from memory and from disk, and what a run waits for.

From the root of the repository: python docs/measure/loader.py --home HOME [--rounds 5] [--workers 2] [--key KEY]
[--encoder vit_b] [--side 512]. HOME has deepglobe prepared; where its images are larger than the side, crops are read.
The loader is the one training uses, by itself; the network is RS-SAM with random weights, a whole training step
(forward, backward, optimiser). All take turns in one run.
"""

from __future__ import annotations

import dataclasses
import json
import time
from functools import partial
from pathlib import Path
from statistics import median

import torch
from turns import in_turn, load, median_and_each, options, say, vit

from benchmarks.protocol.recipe import PAPER, Recipe
from benchmarks.speed.loading import read_some_groups
from benchmarks.training.loss import training_loss
from benchmarks.training.optimizer import make_optimizer
from benchmarks.training.reproducibility import seeded
from data_prep.loading.decoded_cache import decoded
from data_prep.loading.torch_dataset import PreparedDataset
from data_prep.manifest_file import load_manifest
from rssam.config import RSSAM
from rssam.contract import Task
from rssam.sam.encoder_sizes import ENCODERS, SMALL_ENCODERS

GROUP = 2


def images_per_second(data: PreparedDataset, recipe: Recipe, workers: int, groups: int) -> float:
    """Return how many images a second come as a training asks for them; the first group is not timed.

    Args:
        data: the prepared images.
        recipe: decides on groups, crops and flips.
        workers: processes that read.
        groups: how many are timed.
    """
    group = min(recipe.group, len(data) * recipe.crops)
    stream = read_some_groups(data, recipe, workers, groups + 1, pinned=False)
    next(stream)
    began = time.perf_counter()
    for _ in range(groups):
        next(stream)
    return groups * group / (time.perf_counter() - began)


def main() -> None:
    """Measure and print tables in Markdown."""
    parser = options(__doc__, {"--rounds": 5, "--workers": 2})
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--key", help="a finished run of HOME, whose share of waiting is shown")
    parser.add_argument("--encoder", choices=ENCODERS, default="vit_b")
    parser.add_argument("--side", type=int, default=512, help="of the images in pixels")
    asked = parser.parse_args()
    side, workers = asked.side, asked.workers
    folder = asked.home / "data" / "deepglobe"
    entries = load_manifest(folder, "deepglobe").entries
    pixels = decoded(folder, entries, asked.home / "cache", say)
    if pixels is None:
        raise SystemExit("the set does not fit in memory here")
    crop = None if entries[0].size == (side, side) else side
    recipe = dataclasses.replace(PAPER, batch=GROUP, group=GROUP, crop=crop)
    memory, disk = PreparedDataset(folder, entries, pixels=pixels), PreparedDataset(folder, entries, cache=False)
    model = RSSAM(asked.encoder, "scratch" if asked.encoder in SMALL_ENCODERS else "sam")
    with seeded(0, deterministic=False):
        net = model.architecture(Task(("road",), (side, side)))
    optimizer = make_optimizer(net, PAPER, 0.0)
    images, labels = torch.rand(GROUP, 3, side, side), torch.randint(2, (GROUP, side, side)).to(torch.uint8)

    def trained() -> float:
        began = time.perf_counter()
        training_loss(net, images, labels, 0.2, 0.8).backward()
        optimizer.step()
        optimizer.zero_grad()
        return GROUP / (time.perf_counter() - began)

    ways = {
        "from memory, in the process": partial(images_per_second, memory, recipe, 0, 100),
        f"from memory, {workers} workers": partial(images_per_second, memory, recipe, workers, 100),
        "from disk, in the process": partial(images_per_second, disk, recipe, 0, 20),
        f"from disk, {workers} workers": partial(images_per_second, disk, recipe, workers, 20),
        f"RS-SAM, {vit(asked.encoder)}, a training step takes": trained,
    }
    trained()
    before = load()
    found = in_turn(ways, asked.rounds, reverse=True)
    *_, steps = found.values()
    say(f"\n{torch.get_num_threads()} threads, load average {before} before, {load()} after\n")
    say(f"| {side}x{side} | images a second (median) | each round | of the training step (median ratio) |")
    say("|---|--:|---|--:|")
    for name, values in found.items():
        ratio = median(value / step for value, step in zip(values, steps, strict=True))
        say(f"| {name} | {median_and_each(values, '.3g')} | {ratio:.3g} |")
    if asked.key:
        result = json.loads((asked.home / "results" / f"{asked.key}.json").read_text())
        say(f"\n{asked.key}: waited {result['provenance']['waiting_for_images']:.3%} of its training for images")


if __name__ == "__main__":
    main()
