"""Read the groups of a batch: crops, flips, data workers and their failures."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from benchmarks.protocol.recipe import Recipe
from benchmarks.signals import Stop, ignore_signals_of_others, signals_blocked
from data_prep.errors import DataError
from data_prep.loading.torch_dataset import PreparedDataset, crop, random_crop_offset
from rssam.errors import UserError

GROUPS_AHEAD = 4
"""That each process which reads images keeps ready."""


class DataWorkerDied(UserError):
    """Raised if a process that reads images ended abruptly."""


class _EpochDataset(TorchDataset[tuple[Tensor, Tensor]]):
    """Images of an epoch in the order they are drawn, cropped and turned as the recipe says."""

    def __init__(self, data: PreparedDataset, recipe: Recipe, seed: int, epoch: int) -> None:
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
        return _dihedral(item["image"], turn), _dihedral(item["mask"], turn)


def _dihedral(pixels: Tensor, turn: int) -> Tensor:
    """Return a symmetry of the square, by its number 0..7; 0 is the identity."""
    turned = torch.rot90(pixels, turn % 4, dims=(-2, -1))
    return turned.flip(-1) if turn >= 4 else turned


class _StreamDataset(TorchDataset[tuple[Tensor, Tensor]]):
    """Draws of all epochs, asked for as (epoch, position)."""

    def __init__(self, data: PreparedDataset, recipe: Recipe, seed: int) -> None:
        self.data, self.recipe, self.seed = data, recipe, seed
        self._draws: _EpochDataset | None = None  # of the epoch asked for last

    def __getitem__(self, place: tuple[int, int]) -> tuple[Tensor, Tensor]:
        epoch, position = place
        if self._draws is None or self._draws.epoch != epoch:
            self._draws = _EpochDataset(self.data, self.recipe, self.seed, epoch)
        return self._draws[position]


def groups_per_epoch(data: PreparedDataset, recipe: Recipe) -> int:
    """Return how many whole groups of the recipe an epoch has, at least one."""
    return max(len(data) * recipe.crops // recipe.group, 1)


def read_groups(
    data: PreparedDataset,
    recipe: Recipe,
    seed: int,
    numbers: Iterable[tuple[int, int]],
    workers: int,
    *,
    pinned: bool = False,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Return the groups (uint8 [group, 3, H, W], uint8 [group, H, W]) of these (epoch, number in it), in turn.

    One stream serves a whole training: `workers` start once, and read ahead into the next epoch during validation.
    Images that fill no whole group are left out, others in every epoch. A set smaller than a group is one group.

    Args:
        data: the prepared images.
        recipe: decides on groups, crops and flips.
        seed: of the order, crops and flips.
        numbers: (epoch, number in it) of the groups.
        workers: processes that read; 0 reads in this process.
        pinned: read into pinned memory, as for a GPU.
    """
    group = min(recipe.group, len(data) * recipe.crops)
    loader = DataLoader(
        _StreamDataset(data, recipe, seed),
        batch_sampler=([(epoch, number * group + place) for place in range(group)] for epoch, number in numbers),
        num_workers=workers,
        multiprocessing_context="fork" if workers and sys.platform == "linux" else None,  # in a process of --jobs too
        pin_memory=pinned,
        worker_init_fn=_leave_signals_to_parent,
        generator=torch.Generator(),  # its own: what the network draws does not depend on when reading begins
        prefetch_factor=GROUPS_AHEAD if workers else None,
    )
    with signals_blocked():
        batches = iter(loader)  # starts the processes
    return _raise_as_dataloader(batches) if workers else batches


SIGNAL_COMES = 2.0
"""Seconds within which the signal of a process's end comes after its connection broke."""


def _raise_as_dataloader(batches: Iterator[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches; a worker's end met while its tensors were received is raised as torch raises it elsewhere.

    Which of the two comes first, the signal or the broken connection, is chance.
    """
    try:
        yield from batches
    except (ConnectionError, EOFError, FileNotFoundError) as error:
        # The signal of that end is on its way, and torch raises once, wherever it arrives: let that be here, and not in
        # what notes the failure.
        time.sleep(SIGNAL_COMES)
        raise RuntimeError(f"DataLoader worker closed its connection ({error})") from error


def _leave_signals_to_parent(worker: int) -> None:
    ignore_signals_of_others()


@contextmanager
def worker_faults(stop: Stop) -> Iterator[None]:
    """Turn what goes wrong in a process that reads images into a sentence.

    Raises DataWorkerDied, DataError or Interrupted. The death of a process is noticed anywhere, even within a step, so
    nothing is saved then. If the request to stop reached the worker too, it is an interruption.
    """
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        stop.check()
        raise DataWorkerDied(
            f"a process that reads images ended abruptly ({str(error).splitlines()[0].rstrip('. ')}), often for "
            "want of memory: run again, with fewer --workers; training goes on from its last checkpoint"
        ) from error
    except DataError as error:
        if not str(error).startswith("Caught "):
            raise  # else it comes from a worker, and its text is a whole traceback
        raise DataError(str(error).strip().splitlines()[-1].removeprefix("data_prep.errors.DataError: ")) from error
