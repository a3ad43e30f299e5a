"""The one training loop, for every system: groups accumulated to batches, warm-up and decay, validation chooses.

Straight-line code on Lightning Fabric, which brings device and precision and nothing else. What an epoch draws depends
on the seed and the epoch alone, so a run that was interrupted goes on from its last epoch as if it had not been.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from benchmarks.checkpoint import load_checkpoint, save_checkpoint
from benchmarks.evaluate import to_float, validation_loss
from benchmarks.loss import segmentation_loss
from benchmarks.spec import Precision, Recipe
from data_prep.loading import PreparedSet, crop, random_crop_offset
from rssam.contract import UserError

LAST, BEST = "last.safetensors", "best.safetensors"


class TrainingDiverged(UserError):
    """The loss is no longer a number."""


@dataclass
class Training:
    """How far a training has come; saved in every checkpoint."""

    epoch: int = 0  # epochs done
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_loss: float = math.inf
    seconds: float = 0.0


@dataclass(frozen=True)
class Listener:
    """Who is told of progress: after every optimiser step, and after every epoch."""

    step: Callable[[int, int, int, int], None]  # epoch, epochs, step, steps
    epoch: Callable[[dict[str, float]], None]


def make_fabric(device: str, precision: Precision) -> Fabric:
    """Fabric on one device, "cpu" or "cuda"."""
    return Fabric(accelerator=device, devices=1, precision=precision)


def train(
    net: nn.Module,
    recipe: Recipe,
    rate: float,
    seed: int,
    data: tuple[PreparedSet, PreparedSet],
    fabric: Fabric,
    work: Path,
    listener: Listener,
    workers: int = 0,
) -> Training:
    """Train `net` in place and leave it with the parameters of its best epoch.

    `data` is (train, val). Goes on from `work` if a checkpoint lies there. Raises TrainingDiverged if the loss of an
    epoch is not finite.
    """
    train_set, val_set = data
    optimizer = make_optimizer(net, recipe, rate)
    state = Training()
    if (work / LAST).is_file():
        state = Training(**load_checkpoint(work / LAST, net, optimizer))
    model, optimizer = fabric.setup(net, optimizer)
    if hasattr(net, "training_outputs"):
        model.mark_forward_method("training_outputs")

    groups = max(len(train_set) * recipe.crops // recipe.group, 1)
    accumulate = recipe.batch // recipe.group
    steps = math.ceil(groups / accumulate)  # optimiser steps an epoch
    while state.epoch < recipe.epochs:
        started, epoch = time.perf_counter(), state.epoch + 1
        torch.manual_seed(seed * 1_000_003 + epoch)  # dropout, too, depends on seed and epoch alone
        model.train()
        total = torch.zeros((), device=fabric.device, dtype=torch.float64)
        batches = _batches(_epoch_groups(train_set, recipe, seed, epoch, workers), accumulate)
        for step, batch in enumerate(batches):
            now = learning_rate(recipe, rate, state.epoch * steps + step, recipe.epochs * steps)
            for settings in optimizer.param_groups:
                settings["lr"] = now
            for images, labels in batch:
                images, labels = to_float(images, fabric.device), labels.to(fabric.device)
                loss = training_loss(model, images, labels, recipe.ce_weight, recipe.dice_weight)
                fabric.backward(loss / len(batch))
                total += loss.detach().double()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            listener.step(epoch, recipe.epochs, step + 1, steps)
        metrics = {
            "epoch": float(epoch),
            "train_loss": float(total) / groups,
            "val_loss": validation_loss(model, val_set, recipe, fabric.device),
            "rate": now,
        }
        if not math.isfinite(metrics["train_loss"] + metrics["val_loss"]):
            raise TrainingDiverged(
                f"the loss became {metrics['train_loss']:g} (train) and {metrics['val_loss']:g} (validation) "
                f"in epoch {epoch} at rate {now:g}: lower the rate of the recipe"
            )
        metrics["seconds"] = time.perf_counter() - started
        _remember(state, metrics)
        if state.best_epoch == epoch:
            save_checkpoint(work / BEST, net, None, {"epoch": epoch})
        save_checkpoint(work / LAST, net, optimizer, vars(state))
        listener.epoch(metrics)
    load_checkpoint(work / BEST, net)
    return state


def make_optimizer(net: nn.Module, recipe: Recipe, rate: float) -> torch.optim.Optimizer:
    """The recipe's optimiser over everything trainable; weight decay, as SAMed's, spares nothing."""
    parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=0.9, weight_decay=recipe.weight_decay)
    return torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.999), weight_decay=recipe.weight_decay)


def learning_rate(recipe: Recipe, rate: float, step: int, steps: int) -> float:
    """Rate of the step counted from 0: linear warm-up from rate / warm-up, then SAMed's polynomial decay.

    After the warm-up it is rate * (1 - (step - warm-up) / steps) ** power: as in SAMed's code, the decay is sized for
    all steps and does not quite reach zero.
    """
    warmup = recipe.warmup if isinstance(recipe.warmup, int) else round(recipe.warmup * steps)
    if step < warmup:
        return rate * (step + 1) / warmup
    return float(rate * (1 - (step - warmup) / steps) ** recipe.power)


def training_loss(model: Any, images: Tensor, labels: Tensor, ce_weight: float, dice_weight: float) -> Tensor:
    """Loss of one group, with the auxiliary outputs that the network declares."""
    outputs = model.training_outputs(images) if hasattr(model, "training_outputs") else [(1.0, model(images))]
    losses = [weight * segmentation_loss(logits, labels, ce_weight, dice_weight) for weight, logits in outputs]
    return torch.stack(losses).sum()


def _remember(state: Training, metrics: dict[str, float]) -> None:
    """Add an epoch to the state; the lowest validation loss is the best."""
    state.epoch = int(metrics["epoch"])
    state.history.append(metrics)
    state.seconds += metrics["seconds"]
    if metrics["val_loss"] < state.best_loss:
        state.best_epoch, state.best_loss = state.epoch, metrics["val_loss"]


class _Draws(TorchDataset[tuple[Tensor, Tensor]]):
    """The images of one epoch in the order they are drawn, cropped and turned as the recipe says."""

    def __init__(self, data: PreparedSet, recipe: Recipe, seed: int, epoch: int) -> None:
        rng = np.random.default_rng([seed, epoch])
        self.order = rng.permutation(len(data) * recipe.crops)  # draw number n is image n % len(data)
        flips = recipe.augmentation == "flips"
        self.turns = rng.integers(8, size=len(self.order)) if flips else np.zeros(len(self.order), int)
        self.data, self.side, self.seed, self.epoch = data, recipe.crop, seed, epoch

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, position: int) -> tuple[Tensor, Tensor]:
        draw = int(self.order[position])
        item = self.data[draw % len(self.data)]
        if self.side is not None:
            height, width = item["mask"].shape
            item = crop(item, *random_crop_offset(self.seed, self.epoch, draw, (height, width), self.side), self.side)
        turn = int(self.turns[position])
        return _turn(item["image"], turn), _turn(item["mask"], turn)


def _turn(pixels: Tensor, turn: int) -> Tensor:
    """One of the eight symmetries of the square, by number; 0 is the identity."""
    turned = torch.rot90(pixels, turn % 4, dims=(-2, -1))
    return turned.flip(-1) if turn >= 4 else turned


def _epoch_groups(
    data: PreparedSet, recipe: Recipe, seed: int, epoch: int, workers: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Groups (uint8 [group, 3, H, W], uint8 [group, H, W]) of one epoch; what fills no whole group is left out.

    Every epoch leaves others out. A set smaller than one group is one group.
    """
    draws = _Draws(data, recipe, seed, epoch)
    loader = DataLoader(
        draws,
        batch_size=min(recipe.group, len(draws)),
        drop_last=True,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
    )
    yield from loader


def _batches(groups: Iterator[tuple[Tensor, Tensor]], size: int) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Lists of up to `size` groups, one list an optimiser step."""
    batch: list[tuple[Tensor, Tensor]] = []
    for group in groups:
        batch.append(group)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
