"""What a training is watched by agrees with what decides, and decides nothing itself."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from benchmarks.metrics.confusion import confusion_matrix
from benchmarks.metrics.counts import Counts, scores
from benchmarks.metrics.watch_training import StepLosses, ValidationWatch
from benchmarks.training.checkpoint import Checkpoints
from benchmarks.training.loop import Listener, make_fabric, train
from benchmarks.training.rank_group import SingleProcess
from benchmarks.training.reproducibility import seeded
from data_prep.loading.torch_dataset import PreparedDataset
from rssam.contract import IGNORE, Task
from tests.benchmarks.prepared import TINY, write_prepared


def test_steps_have_the_mean_of_their_own_groups():
    """A running sum was all that the loop kept: no step could be told from another."""
    groups = [[1.0, 3.0], [4.0], [2.0, 2.5, 6.0]]
    total = torch.tensor(10.0, dtype=torch.float64)  # an epoch that is gone on with
    losses, points = StepLosses(total, len(groups)), []
    for step, values in enumerate(groups, start=1):
        for value in values:
            total += value
        losses.add(step, total, len(values), 0.1 * step)
        points += losses.take() if step == 2 else []
    points += losses.take()
    assert [(step, value) for name, step, value in points if name == "step/loss"] == [(1, 2.0), (2, 4.0), (3, 3.5)]
    assert [step for name, step, _ in points if name == "step/rate"] == [1, 2, 3]
    assert losses.take() == []


def test_a_long_epoch_has_few_points():
    total = torch.zeros((), dtype=torch.float64)
    losses = StepLosses(total, 1200)
    for step in range(1, 1201):
        total += step
        losses.add(step, total, 1, 0.1)
    points = [point for point in losses.take() if point[0] == "step/loss"]
    assert len(points) == 400
    assert points[0] == ("step/loss", 3, 2.0)  # of steps 1 to 3


@pytest.mark.parametrize("classes", [1, 3])
def test_dice_is_that_of_the_confusion_matrices(classes):
    generator = torch.Generator().manual_seed(0)
    task = Task(tuple("abc"[:classes]), (32, 32))
    watch, confusions = ValidationWatch(epoch=1, epochs=9), []
    for _ in range(3):
        logits = torch.randn(2, classes, 32, 32, generator=generator)
        truth = torch.randint(0, 2, (2, 32, 32), generator=generator, dtype=torch.uint8)  # of three one is absent
        truth[:, :4] = IGNORE
        labels = (logits[:, 0] > 0) if classes == 1 else logits[:, :2].argmax(dim=1)
        logits[:, 2:] = -9
        watch.group(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), truth, logits)
        pairs = zip(truth, labels.to(torch.uint8), strict=True)
        confusions += [confusion_matrix(*pair, task).numpy() for pair in pairs]
    counts = Counts.from_confusion(np.stack(confusions), binary=classes == 1)
    expected = scores(counts, "foreground" if classes == 1 else "classes").dice
    [(name, epoch, dice)] = watch.points(SingleProcess().total)
    assert (name, epoch, dice) == ("val_dice", 1, pytest.approx(expected, rel=1e-12))
    assert watch.sample is not None
    assert watch.sample.truth.shape == (4, 32, 32)  # of three groups of two; groups of one gave one picture


def test_samples_are_few_and_there_is_no_dice_of_nothing():
    sampled = [epoch for epoch in range(1, 101) if ValidationWatch(epoch, 100)._sampled]
    assert sampled == [1, 13, 26, 39, 52, 65, 78, 91, 100]
    watch = ValidationWatch(1, 1)
    watch.group(torch.zeros(1, 3, 8, 8), torch.full((1, 8, 8), IGNORE, dtype=torch.uint8), torch.zeros(1, 1, 8, 8))
    assert watch.points(SingleProcess().total) == []


def test_the_steps_of_an_epoch_make_its_loss_up(tmp_path):
    manifest = write_prepared(tmp_path / "data")
    data = tuple(PreparedDataset(tmp_path / "data", manifest.splits(0)[split]) for split in ("train", "val"))
    points, epochs = [], []
    listener = Listener(lambda *_: None, epochs.append, watched=lambda new, sample: points.extend(new))
    with seeded(0):
        net = torch.nn.Conv2d(3, 1, 3, padding=1)
    recipe = dataclasses.replace(TINY, epochs=2)
    train(net, recipe, 1e-3, 0, data, make_fabric("cpu", "32-true"), Checkpoints(tmp_path / "run"), listener)
    losses = [value for name, _, value in points if name == "step/loss"]
    groups = len(data[0]) // recipe.group
    weights = [min(2, groups - first) for first in range(0, groups, 2)]  # two groups behind a step
    for number, epoch in enumerate(epochs):
        own = losses[number * len(weights) : (number + 1) * len(weights)]
        assert np.average(own, weights=weights) == pytest.approx(epoch["train_loss"])
    assert [step for name, step, _ in points if name == "step/loss"] == list(range(1, 2 * len(weights) + 1))
    rates = [value for name, _, value in points if name == "step/rate"]
    assert rates[len(weights) - 1 :: len(weights)] == [epoch["rate"] for epoch in epochs]
    assert [step for name, step, _ in points if name == "val_dice"] == [1, 2]
    assert all(math.isfinite(value) for _, _, value in points)
