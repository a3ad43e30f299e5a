"""Watch a training without deciding anything: loss and rate by step, Dice and a few predictions of each validation.

Tensors stay on the device until the loop waits for it anyway, so that watching costs no synchronisation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.metrics.confusion import predicted_labels
from benchmarks.metrics.quotient import quotient
from rssam.contract import IGNORE

Point = tuple[str, int, float]
"""A metric by name, its step or epoch from 1, and its value."""

POINTS_AN_EPOCH = 500
"""More steps than this share points: each is the mean of those since the last."""

SAMPLES_A_TRAINING = 8
SAMPLE_SIZE = 4


@dataclass(frozen=True, eq=False)
class Sample:
    """Images uint8 [N, 3, H, W] with their true and predicted labels uint8 [N, H, W]."""

    epoch: int
    images: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    predicted: NDArray[np.uint8]


class StepLosses:
    """Mean loss of the groups of each step of an epoch, as rank zero computes them, from their running sum."""

    def __init__(self, total: Tensor, steps: int) -> None:
        self._every = math.ceil(steps / POINTS_AN_EPOCH)
        self._sums, self._groups = [total.clone()], [0]
        self._steps: list[tuple[int, float]] = []  # number, rate

    def add(self, step: int, total: Tensor, groups: int, rate: float) -> None:
        """Note a step.

        Args:
            step: its number in the training, from 1.
            total: the sum of the losses of all groups so far.
            groups: how many groups this device added to it in this step.
            rate: the learning rate.
        """
        self._groups[-1] += groups
        if step % self._every == 0 and self._groups[-1]:
            self._sums.append(total.clone())
            self._groups.append(0)
            self._steps.append((step, rate))

    def take(self) -> list[Point]:
        """Return the points since the last call."""
        means = torch.stack(self._sums).cpu().diff() / torch.tensor(self._groups[:-1])
        points = [("step/loss", step, loss) for (step, _), loss in zip(self._steps, means.tolist(), strict=True)]
        points += [("step/rate", step, rate) for step, rate in self._steps]
        self._sums, self._groups, self._steps = self._sums[-1:], self._groups[-1:], []
        return points


class ValidationWatch:
    """Counts for the Dice of a pass over the val split, and its first images where a sample is due."""

    def __init__(self, epoch: int, epochs: int) -> None:
        self.epoch = epoch
        self.sample: Sample | None = None
        self._sampled = epoch in (1, epochs) or epoch % math.ceil(epochs / SAMPLES_A_TRAINING) == 0
        self._counts = torch.zeros(3, IGNORE, dtype=torch.int64)  # of both, truth and prediction, by class
        self._classes: range | None = None

    def group(self, images: Tensor, truth: Tensor, logits: Tensor) -> None:
        """Count a group: images uint8 [B, 3, H, W], truth uint8 [B, H, W], logits [B, C, H, W]."""
        predicted = predicted_labels(logits)
        self._classes = range(1, 2) if logits.shape[1] == 1 else range(logits.shape[1])
        self._counts = self._counts.to(logits.device)
        labelled = truth != IGNORE
        for label in self._classes:
            is_true, is_predicted = truth == label, (predicted == label) & labelled
            counted = [(is_true & is_predicted).sum(), is_true.sum(), is_predicted.sum()]
            self._counts[:, label] += torch.stack(counted)
        have = 0 if self.sample is None else len(self.sample.images)
        if self._sampled and have < SAMPLE_SIZE:
            kept = [part[: SAMPLE_SIZE - have].cpu().numpy() for part in (images, truth, predicted)]
            if self.sample is not None:
                before = self.sample.images, self.sample.truth, self.sample.predicted
                kept = [np.concatenate(parts) for parts in zip(before, kept, strict=True)]
            self.sample = Sample(self.epoch, *kept)

    def points(self, total: Callable[[Tensor], Tensor]) -> list[Point]:
        """Return the Dice pooled over all images: of the foreground, or the mean over classes that are there.

        `total` returns the sum of counts over all ranks.
        """
        both, true, predicted = total(self._counts.cpu()).numpy()
        if self._classes is None:  # not on rank zero, which has the first group
            return []
        dice = quotient(2 * both, true + predicted)[self._classes]
        return [("val_dice", self.epoch, float(np.nanmean(dice)))] if np.isfinite(dice).any() else []
