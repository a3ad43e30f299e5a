"""How fast prepared images come, and how long a training waits for them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.protocol.recipe import PAPER, Recipe
from benchmarks.results.home import Home
from benchmarks.speed.timing import Conditions
from benchmarks.training.batches import read_groups
from benchmarks.training.evaluate import to_float
from benchmarks.training.loop import make_fabric, training_loss
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
    """Images that come as a training asks for them, with nothing to wait for; the first group is not timed."""
    each = min(recipe.group, len(data) * recipe.crops)
    in_epoch = max(len(data) * recipe.crops // each, 1)
    numbers = ((1 + number // in_epoch, number % in_epoch) for number in range(groups + 1))
    stream = read_groups(data, recipe, 0, numbers, workers, pinned=pinned)
    next(stream)
    began = time.perf_counter()
    for _ in range(groups):
        next(stream)
    return groups * each / (time.perf_counter() - began)


def share_of_waiting(
    home: Path, dataset: str, model: Model, task: Task, conditions: Conditions, workers: int
) -> float | None:
    """Share of a few training steps spent waiting for images of the prepared set; None if it has none of that size."""
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
    network, optimizer = fabric.setup(net, raw)
    if hasattr(net, "training_outputs"):
        network.mark_forward_method("training_outputs")
    network.train()
    in_epoch = max(len(data) // recipe.group, 1)
    numbers = ((1 + number // in_epoch, number % in_epoch) for number in range(STEPS + 1))
    stream = read_groups(data, recipe, 0, numbers, workers, pinned=cuda)
    waited = began = 0.0
    for number in range(STEPS + 1):
        if number == 1:  # the first warms up
            if cuda:
                torch.cuda.synchronize()
            began, waited = time.perf_counter(), 0.0
        asked = time.perf_counter()
        images, labels = next(stream)
        waited += time.perf_counter() - asked
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
