"""Fabricated homes whose reports must say what is there, what is not, and why; nothing is trained."""

from dataclasses import replace

import numpy as np

from benchmarks.divergence import DivergedRate
from benchmarks.metrics.counts import Counts
from benchmarks.protocol.setting import Setting
from benchmarks.results.store import Store
from tests.reports.fabricate import (
    PART,
    PROVENANCE,
    binary_counts,
    fabricate,
    fabricate_failure,
    fill,
    row_run,
    store_failure,
)

DICES = [0.70, 0.756, 0.759, 0.757, 0.765]
FAIR = Setting("fair")
LOST = DivergedRate(5e-3, 3, "training")
REPLICATES = tuple((number, number) for number in range(5))


def partial(home):
    """Three rows of five, on a part of the data."""
    fill(home, [0.70, 0.756, None, None, 0.765], data=PART)


def diverged(home):
    """The second row lost one of its three runs: it was the mean of "2" runs, 0.761, without a word."""
    fill(home, DICES, seeds=REPLICATES[:2])
    store_failure(home, fabricate_failure(row_run(1, seed=2, split_seed=2), diverged=[LOST]))


def diverged_alone(home):
    """A row all of whose runs diverged: it said "not run"."""
    fill(home, [0.70, None, 0.759, 0.757, 0.765])
    store_failure(home, fabricate_failure(row_run(1), diverged=[LOST]))


def diverged_everywhere(home):
    """No run of a setting has a result: the setting was not in the report."""
    store_failure(home, fabricate_failure(row_run(0, FAIR), diverged=[LOST, replace(LOST, rate=1e-3, epoch=7)]))


def failed(home):
    """One run failed for a reason that foreign code gave, with markup in it."""
    fill(home, DICES, seeds=REPLICATES[:2])
    store_failure(home, fabricate_failure(row_run(4, seed=2, split_seed=2), reason="<script>\\input{x} | `a`"))


def rate(home):
    """A rate of the recipe diverged in one of two runs; the others competed."""
    fill(home, [0.70], FAIR)
    Store(home).put(fabricate(row_run(0, FAIR, seed=1, split_seed=1), 0.71, diverged=(LOST,)))


def mixed(home):
    """One row was made with another torch, on four devices, compiled, from a changed tree."""
    fill(home, DICES)
    other = {"versions": {**PROVENANCE["versions"], "torch": "2.12.0"}, "commit": "ba9876543210-dirty", "devices": 4}
    Store(home).put(fabricate(row_run(2), 0.759, provenance={**PROVENANCE, **other, "compiled": True}))
    Store(home).put(
        fabricate(row_run(3), 0.757, provenance={**PROVENANCE, "device": "A|B <i>", "activation_checkpointing": True})
    )


def scenes(home):
    """48 test images are two tiles each of 24 scenes; the first scene has training images too."""
    images = tuple(f"t{number:02}" for number in range(48))
    known = {"test_scenes": [f"s{number // 2}" for number in range(48)], "train_neighbours": ["t00", "t01"]}
    for index, dice in enumerate(DICES):
        of_images = [binary_counts(dice + 0.1 * np.cos(number // 2), images=1) for number in range(48)]
        parts = ([getattr(counts, part) for counts in of_images] for part in ("tp", "fp", "fn", "tn"))
        counts = Counts(*map(np.concatenate, parts))
        result = replace(fabricate(row_run(index), dice), images=images, counts=counts)
        Store(home).put(replace(result, data={**result.data, **known}))


def one_replicate(home):
    """Each row was run once."""
    fill(home, DICES)


def five_replicates(home):
    """Each row was run five times. The first row is lower than the paper's, and the last one is unsteady."""
    for index, (dice, reach) in enumerate(zip((0.69, *DICES[1:]), (0.001,) * 4 + (0.02,), strict=True)):
        for number, (split_seed, seed) in enumerate(REPLICATES):
            run = row_run(index, seed=seed, split_seed=split_seed)
            Store(home).put(fabricate(run, dice + reach * np.cos(2 * number)))


HOMES = {
    make.__name__: make
    for make in (
        partial, diverged, diverged_alone, diverged_everywhere, failed, rate, mixed, scenes, one_replicate,
        five_replicates,
    )
}  # fmt: skip
