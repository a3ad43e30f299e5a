"""Measure how long a training waits for its prepared images."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from torch import Tensor

from benchmarks.protocol.recipe import PAPER, Recipe
from benchmarks.results.home import Home
from benchmarks.speed.memory import wait_for
from benchmarks.speed.timing import Conditions
from benchmarks.training.batches import groups_per_epoch, read_groups
from benchmarks.training.evaluate import to_float
from benchmarks.training.loop import make_fabric, set_up_training, take_step
from benchmarks.training.loss import training_loss
from benchmarks.training.optimizer import make_optimizer
from benchmarks.training.reproducibility import seeded
from data_prep.errors import NotPrepared
from data_prep.loading.decoded_cache import decoded
from data_prep.loading.torch_dataset import PreparedDataset
from data_prep.manifest import Entry
from data_prep.manifest_file import load_manifest
from rssam.contract import Model, Task

STEPS = 6


def share_of_waiting(
    home: Path, dataset: str, model: Model, task: Task, conditions: Conditions, workers: int
) -> float | None:
    """Return the share of a few training steps spent waiting for images, 0..1; None if there are none of that size.

    Args:
        home: the home folder.
        dataset: name of the prepared set.
        model: the system.
        task: its classes and size of images.
        conditions: device, precision and sizes.
        workers: processes that read.
    """
    folder = Home(home).dataset(dataset)
    try:
        entries: Sequence[Entry] = load_manifest(folder, dataset).entries
    except NotPrepared:
        return None
    side = task.image_size[0]
    if any(min(entry.size) < side for entry in entries):
        return None
    recipe = dataclasses.replace(PAPER, batch=conditions.group, group=conditions.group)
    if entries[0].size != task.image_size:
        recipe = dataclasses.replace(recipe, crop=side)
    pixels = decoded(folder, entries, Home(home).decoded, lambda _: None)
    data = PreparedDataset(folder, entries, cache=False, pixels=pixels)
    fabric = make_fabric(conditions.device, conditions.precision)
    cuda = conditions.device == "cuda"
    with seeded(0, deterministic=False):
        net = model.architecture(task)
    raw = make_optimizer(net, recipe, 0.0, fused=cuda)
    network, optimizer = set_up_training(fabric, net, raw)
    network.train()
    stream = read_some_groups(data, recipe, workers, STEPS + 1, pinned=cuda)
    waited = began = 0.0
    for number in range(STEPS + 1):
        if number == 1:  # the first warms up
            wait_for(fabric.device)
            began, waited = time.perf_counter(), 0.0
        began_waiting = time.perf_counter()
        images, labels = next(stream)
        waited += time.perf_counter() - began_waiting
        images, labels = to_float(images, fabric.device), labels.to(fabric.device, non_blocking=True)
        take_step(fabric, optimizer, lambda: training_loss(network, images, labels, 0.2, 0.8))  # noqa: B023
    wait_for(fabric.device)
    return waited / (time.perf_counter() - began)


def read_some_groups(
    data: PreparedDataset, recipe: Recipe, workers: int, count: int, *, pinned: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    """Read the first `count` groups of a training, epoch after epoch."""
    in_epoch = groups_per_epoch(data, recipe)
    numbers = ((1 + number // in_epoch, number % in_epoch) for number in range(count))
    return read_groups(data, recipe, 0, numbers, workers, pinned=pinned)
