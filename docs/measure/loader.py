"""How fast prepared images come beside what a network takes, from memory and from disk, and what a run waits for.

From the root of the repository: python docs/measure/loader.py --home HOME [--rounds 5] [--workers 2] [--key KEY].
HOME has deepglobe prepared at 512x512. The loader is the one training uses, by itself; the network is RS-SAM with
ViT-B and random weights, a whole training step (forward, backward, optimiser). All take turns in one run.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import time
from pathlib import Path
from statistics import median

import torch
from turns import say

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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--key", help="a finished run of HOME, whose share of waiting is shown")
    options = parser.parse_args()
    folder = options.home / "data" / "deepglobe"
    entries = load_manifest(folder, "deepglobe").entries
    pixels = decoded(folder, entries, options.home / "cache", say)
    if pixels is None:
        raise SystemExit("the set does not fit in memory here")
    recipe = dataclasses.replace(PAPER, batch=GROUP, group=GROUP)
    memory, disk = PreparedDataset(folder, entries, pixels=pixels), PreparedDataset(folder, entries, cache=False)
    with seeded(0, deterministic=False):
        net = RSSAM().architecture(Task(("road",), (512, 512)))
    optimizer = make_optimizer(net, PAPER, 0.0)
    images, labels = torch.rand(GROUP, 3, 512, 512), torch.randint(2, (GROUP, 512, 512)).to(torch.uint8)

    def trained() -> float:
        began = time.perf_counter()
        training_loss(net, images, labels, 0.2, 0.8).backward()
        optimizer.step()
        optimizer.zero_grad()
        return GROUP / (time.perf_counter() - began)

    ways = {
        "from memory, in the process": lambda: images_per_second(memory, recipe, 0, 100),
        f"from memory, {options.workers} workers": lambda: images_per_second(memory, recipe, options.workers, 100),
        "from disk, in the process": lambda: images_per_second(disk, recipe, 0, 20),
        f"from disk, {options.workers} workers": lambda: images_per_second(disk, recipe, options.workers, 20),
        "RS-SAM, ViT-B, a training step takes": trained,
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    trained()
    load = os.getloadavg()[0]
    for number in range(options.rounds):
        for name in ways if number % 2 == 0 else reversed(ways):
            found[name].append(ways[name]())
    last = list(found.values())[-1]
    say(f"\n{torch.get_num_threads()} threads, load average {load:.1f} before, {os.getloadavg()[0]:.1f} after\n")
    say("| 512x512 | images a second (median) | each round | of the training step (median ratio) |")
    say("|---|--:|---|--:|")
    for name, values in found.items():
        ratio = median(value / step for value, step in zip(values, last, strict=True))
        say(f"| {name} | {median(values):.3g} | {' '.join(f'{value:.3g}' for value in values)} | {ratio:.3g} |")
    if options.key:
        result = json.loads((options.home / "results" / f"{options.key}.json").read_text())
        say(f"\n{options.key}: waited {result['provenance']['waiting_for_images']:.3%} of its training for images")


if __name__ == "__main__":
    main()
