"""Measure how fast prepared images come, and how long a training waits for them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.protocol.recipe import PAPER, Recipe
from benchmarks.results.home import Home
from benchmarks.speed.timing import Conditions
from benchmarks.training.batches import groups_per_epoch, read_groups
from benchmarks.training.evaluate import to_float
from benchmarks.training.loop import make_fabric, set_up_training
from benchmarks.training.loss import training_loss
from benchmarks.training.optimizer import make_optimizer
from benchmarks.training.reproducibility import seeded
from data_prep.errors import NotPrepared
from data_prep.loading.decoded_cache import decoded
from data_prep.loading.torch_dataset import PreparedDataset
from data_prep.manifest import Entry, load_manifest
from rssam.contract import Model, Task

STEPS = 6


def images_per_second(
    data: PreparedDataset, recipe: Recipe, workers: int, groups: int, *, pinned: bool = False
) -> float:
    """Return how many images a second come as a training asks for them; the first group is not timed.

    Args:
        data: the prepared images.
        recipe: decides on groups, crops and flips.
        workers: processes that read.
        groups: how many are timed.
        pinned: read into pinned memory, as for a GPU.
    """
    group = min(recipe.group, len(data) * recipe.crops)
    stream = _read_some_groups(data, recipe, workers, groups + 1, pinned=pinned)
    next(stream)
    began = time.perf_counter()
    for _ in range(groups):
        next(stream)
    return groups * group / (time.perf_counter() - began)


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
    stream = _read_some_groups(data, recipe, workers, STEPS + 1, pinned=cuda)
    waited = began = 0.0
    for number in range(STEPS + 1):
        if number == 1:  # the first warms up
            if cuda:
                torch.cuda.synchronize()
            began, waited = time.perf_counter(), 0.0
        began_waiting = time.perf_counter()
        images, labels = next(stream)
        waited += time.perf_counter() - began_waiting
        with fabric.autocast():
            loss = training_loss(
                network, to_float(images, fabric.device), labels.to(fabric.device, non_blocking=True), 0.2, 0.8
            )
        fabric.backward(loss)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    if cuda:
        torch.cuda.synchronize()
    return waited / (time.perf_counter() - began)


def _read_some_groups(
    data: PreparedDataset, recipe: Recipe, workers: int, count: int, *, pinned: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    """Read the first `count` groups of a training, epoch after epoch."""
    in_epoch = groups_per_epoch(data, recipe)
    numbers = ((1 + number // in_epoch, number % in_epoch) for number in range(count))
    return read_groups(data, recipe, 0, numbers, workers, pinned=pinned)
