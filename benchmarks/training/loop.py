"""Train every system in the same loop: accumulated groups, warm-up and decay, choice by validation loss.

Straight-line code on Lightning Fabric, which brings device and precision and nothing else. What an epoch draws depends
on the seed and the epoch alone, and a checkpoint holds the rest. So an interrupted run goes on from its last saved step
as if it had not been interrupted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.divergence import DivergedRate, LossPhase, TrainingDiverged
from benchmarks.fabric import Fabric
from benchmarks.metrics.watch_training import Point, Sample, StepLosses, ValidationWatch
from benchmarks.protocol.recipe import Precision, Recipe
from benchmarks.signals import Interrupted, Stop
from benchmarks.training.batches import groups_per_epoch, read_groups
from benchmarks.training.checkpoint import Checkpoints
from benchmarks.training.evaluate import to_float, validation_loss
from benchmarks.training.loss import outputs_loss, training_outputs
from benchmarks.training.optimizer import learning_rate, make_optimizer, set_rate
from benchmarks.training.precision import LossScale, precision_plugin
from benchmarks.training.rank_group import ALONE, SingleProcess
from benchmarks.training.reproducibility import random_states, restore_random_states
from data_prep.loading.torch_dataset import PreparedDataset

SECONDS_BETWEEN_CHECKPOINTS = 600.0
"""Within an epoch; after each epoch there is one anyway."""
STEPS_BETWEEN_LOOKS = 10
"""Optimiser steps in float16 between looks at how many were left out, each of which waits for the device."""


@dataclass
class Training:
    """State of a training; saved in every checkpoint."""

    epoch: int = 0  # whole epochs done
    step: int = 0  # optimiser steps done of the epoch begun
    loss_sum: float = 0.0  # over the groups of these steps
    spent: float = 0.0  # seconds on the epoch begun
    overflows: int = 0  # steps of the epoch begun that were left out, in float16
    scaling: dict[str, float] = field(default_factory=dict)  # state of the loss scaling of float16
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_loss: float = math.inf
    seconds: float = 0.0


@dataclass(frozen=True)
class Listener:
    """Callbacks for the progress of a training, after every optimiser step and every epoch, and a request to stop."""

    step: Callable[[int, int, int, int], None]  # epoch, epochs, step, steps
    epoch: Callable[[dict[str, float]], None]
    stop: Stop = field(default_factory=Stop)
    waited: Callable[[float, float], None] = lambda waited, seconds: None  # for images, and the steps of an epoch
    overflowed: Callable[[int], None] = lambda steps: None  # all steps so far that float16 left out
    watched: Callable[[Sequence[Point], Sample | None], None] = lambda points, sample: None  # decide nothing


def make_fabric(device: str, precision: Precision) -> Fabric:
    """Return Fabric on one device, "cpu" or "cuda"."""
    return Fabric(accelerator=device, devices=1, plugins=[precision_plugin(device, precision)])


def set_up_training(fabric: Fabric, net: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[Any, Any]:
    """Return Fabric's wrappers of a network and its optimiser, on its device."""
    model, wrapper = fabric.setup(net, optimizer)
    if hasattr(net, "training_outputs"):
        model.mark_forward_method("training_outputs")
    return model, wrapper


def take_step(fabric: Fabric, optimizer: Any, compute_loss: Callable[[], Tensor]) -> None:
    """Take one optimiser step by itself, as speed is measured."""
    with fabric.autocast():
        loss = compute_loss()
    fabric.backward(loss)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def train(
    net: nn.Module,
    recipe: Recipe,
    rate: float,
    seed: int,
    data: tuple[PreparedDataset, PreparedDataset],
    fabric: Fabric,
    checkpoints: Checkpoints,
    listener: Listener,
    workers: int = 0,
    save_every: float = SECONDS_BETWEEN_CHECKPOINTS,
    ranks: SingleProcess = ALONE,
    encoder_rate: float = 1.0,
) -> Training:
    """Train `net` in place, from its last checkpoint on, and leave it with the parameters of its best epoch.

    All ranks call it alike, and end with equal parameters and the same history; only rank zero writes.

    Args:
        net: the network, with the parameters that it starts from.
        recipe: everything about training except the learning rate.
        rate: the highest learning rate.
        seed: seed of the order of images, crops, flips and dropout.
        data: the train and the val split.
        fabric: device and precision.
        checkpoints: where checkpoints are written and looked for.
        listener: gets the progress, and may ask for a stop.
        workers: processes that read images; 0 reads in this one.
        save_every: seconds between checkpoints within an epoch; after each epoch there is one anyway.
        ranks: the ranks of a run on several devices.
        encoder_rate: share of the learning rate that the part `encoder` of `net` has.

    Raises TrainingDiverged if the loss is not finite, and Interrupted, after saving, if the listener asks for a stop.
    """
    train_set, val_set = data
    raw = make_optimizer(net, recipe, rate, encoder_rate=encoder_rate, fused=fabric.device.type == "cuda")
    model, optimizer = set_up_training(fabric, net, raw)  # the wrapper steps; state and settings are those of `raw`
    state, random = _resumed(net, raw, checkpoints, ranks)
    if random:
        restore_random_states(random, fabric.device)
    loss_scale = LossScale(fabric, state.scaling)

    groups = groups_per_epoch(train_set, recipe)
    accumulate = recipe.batch // recipe.group
    shares = ranks.shares(groups, accumulate)
    steps = len(shares)  # optimiser steps an epoch

    def save() -> None:
        states = ranks.all_states(random_states(fabric.device))
        state.scaling = loss_scale.state()
        if ranks.is_rank_zero:
            checkpoints.save(net, raw, vars(state), states)

    def look_for_overflows() -> None:
        """Add up the steps that float16 left out, and tell of them. Raises TrainingDiverged if no scale is left."""
        state.overflows += loss_scale.take_left_out()
        if loss_scale.exhausted:
            raise TrainingDiverged(
                f"no gradient of the last steps of epoch {state.epoch + 1} fits float16, however small the loss is "
                "scaled: train with --precision bf16 or fp32"
            )
        listener.overflowed(overflows(state.history) + state.overflows)

    epoch_begun = [(state.epoch, shares[state.step :])] if state.step else []
    epochs_ahead = [*epoch_begun, *((epoch, shares) for epoch in range(state.epoch + len(epoch_begun), recipe.epochs))]
    numbers = (
        (epoch + 1, number) for epoch, epoch_shares in epochs_ahead for share in epoch_shares for number in share.read
    )
    loaded = read_groups(train_set, recipe, seed, numbers, workers, pinned=fabric.device.type == "cuda")

    while state.epoch < recipe.epochs:
        started, epoch, saved = time.perf_counter() - state.spent, state.epoch + 1, time.monotonic()
        began, waited = time.perf_counter(), 0.0
        total = torch.tensor(state.loss_sum if ranks.is_rank_zero else 0.0, device=fabric.device, dtype=torch.float64)

        if state.step == 0 or not random:  # dropout, too, depends on seed, epoch and the device's number alone
            torch.manual_seed(seed * 1_000_003 + epoch + (ranks.rank << 40))
        if state.step > 0 and random:
            restore_random_states(random, fabric.device)
        else:
            torch.empty((), dtype=torch.int64).random_()  # a number that the order of an epoch has always taken
        losses = StepLosses(total, steps)
        model.train()
        current_rate = learning_rate(recipe, rate, state.epoch * steps + steps - 1, recipe.epochs * steps)
        for share in shares[state.step :]:
            current_rate = learning_rate(recipe, rate, state.epoch * steps + state.step, recipe.epochs * steps)
            set_rate(raw, current_rate)
            before = ranks.statistics(net)
            began_waiting = time.perf_counter()
            batch = list(islice(loaded, len(share.read)))
            waited += time.perf_counter() - began_waiting
            for following, (images, labels) in zip(reversed(range(len(batch))), batch, strict=True):
                images, labels = to_float(images, fabric.device), labels.to(fabric.device, non_blocking=True)
                with ranks.accumulating(model, following > 0):
                    with fabric.autocast():  # Fabric's own covers a forward alone, not `training_outputs`
                        outputs = training_outputs(model, images)
                    loss = outputs_loss(outputs, labels, recipe.ce_weight, recipe.dice_weight)
                    # the gradients of the devices are averaged, those of the groups summed
                    fabric.backward(loss / (len(share.step) / ranks.size) if share.groups else loss * 0)
                if share.groups:
                    total += loss.detach().double()
            ranks.merge(net, before, share)
            loss_scale.step(optimizer)
            optimizer.zero_grad(set_to_none=True)
            state.step += 1
            if loss_scale.used and (state.step % STEPS_BETWEEN_LOOKS == 0 or state.step == steps):
                look_for_overflows()
            losses.add(state.epoch * steps + state.step, total, len(share.groups), current_rate)
            listener.step(epoch, recipe.epochs, state.step, steps)
            stop, due = ranks.sync_stop(listener.stop, time.monotonic() - saved >= save_every)
            if stop or due:
                look_for_overflows()
                listener.watched(losses.take(), None)
                _pause(state, total, started, rate, current_rate, ranks)
                save()
                if stop:
                    listener.stop.check()
                saved = time.monotonic()
        listener.watched(losses.take(), None)
        _pause(state, total, started, rate, current_rate, ranks)
        listener.waited(waited, time.perf_counter() - began)
        watch = ValidationWatch(epoch, recipe.epochs)
        try:
            val_loss = validation_loss(
                model, val_set, recipe, fabric.device, lambda: ranks.check(listener.stop), ranks, watch.group
            )
        except Interrupted:
            save()
            raise
        if not math.isfinite(val_loss):
            raise _diverged("validation", val_loss, epoch, rate, current_rate)
        metrics = {
            "epoch": float(epoch),
            "train_loss": state.loss_sum / groups,
            "val_loss": val_loss,
            "rate": current_rate,
            "seconds": time.perf_counter() - started,
            **({"overflows": float(state.overflows)} if loss_scale.used else {}),
        }
        _remember(state, metrics)
        if state.best_epoch == epoch and ranks.is_rank_zero:
            checkpoints.save_best(net, epoch)
        save()
        listener.watched(watch.points(ranks.total), watch.sample)
        listener.epoch(metrics)
    ranks.barrier()  # the file is written
    checkpoints.load_best(net, state.best_epoch)
    return state


def _resumed(
    net: nn.Module, optimizer: torch.optim.Optimizer, checkpoints: Checkpoints, ranks: SingleProcess
) -> tuple[Training, dict[str, Tensor]]:
    """Return training and random states of the last checkpoint, or a new training and none; alike on every device."""
    resumed = checkpoints.resume(net, optimizer) if ranks.is_rank_zero else None  # rank zero removes damaged ones
    ranks.barrier()
    resumed = resumed if ranks.is_rank_zero else checkpoints.resume(net, optimizer)
    state, random = (Training(), {}) if resumed is None else (Training(**resumed[0]), ranks.own_states(resumed[1]))
    ranks.barrier(f"step {state.step} after epoch {state.epoch}")
    return state, random


def _pause(
    state: Training, total: Tensor, started: float, rate: float, current_rate: float, ranks: SingleProcess
) -> None:
    """Record how far the epoch is. Raises TrainingDiverged if its loss is not finite."""
    state.loss_sum, state.spent = float(ranks.total(total.cpu())), time.perf_counter() - started
    if not math.isfinite(state.loss_sum):
        raise _diverged("training", state.loss_sum, state.epoch + 1, rate, current_rate)


def overflows(history: Sequence[Mapping[str, float]]) -> int:
    """Return how many steps of the epochs in `history` were left out because float16 overflowed."""
    return sum(int(epoch.get("overflows", 0)) for epoch in history)


def _diverged(phase: LossPhase, loss: float, epoch: int, rate: float, current_rate: float) -> TrainingDiverged:
    return TrainingDiverged(
        f"the loss became {loss:g} ({phase}) in epoch {epoch} at rate {current_rate:g}: lower the rate of the recipe",
        [DivergedRate(rate, epoch, phase)],
    )


def _remember(state: Training, metrics: dict[str, float]) -> None:
    """Add an epoch to the state; the lowest validation loss is the best."""
    state.epoch, state.step, state.loss_sum, state.spent, state.overflows = int(metrics["epoch"]), 0, 0.0, 0.0, 0
    state.history.append(metrics)
    state.seconds += metrics["seconds"]
    if metrics["val_loss"] < state.best_loss:
        state.best_epoch, state.best_loss = state.epoch, metrics["val_loss"]
