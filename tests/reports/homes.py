"""Fabricated homes whose reports must say what is there, what is not, and why; nothing is trained."""

from dataclasses import replace

import numpy as np

from benchmarks.divergence import DivergedRate
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
    """Test images are tiles of scenes, one of which has training images too."""
    known = {"test_scenes": ["s1", "s1", "s2", "s2"], "train_neighbours": ["a", "b"]}
    for index in range(5):
        result = fabricate(row_run(index), DICES[index])
        result = replace(result, images=("a", "b", "c", "d"), counts=binary_counts(DICES[index], images=4))
        result = replace(result, data={**result.data, **known})
        Store(home).put(result)


def one_replicate(home):
    """Each row was run once."""
    fill(home, DICES)


def five_replicates(home):
    """Each row was run five times; Dice differ by up to 0.002 within a row."""
    for index, dice in enumerate(DICES):
        for number, (split_seed, seed) in enumerate(REPLICATES):
            run = row_run(index, seed=seed, split_seed=split_seed)
            Store(home).put(fabricate(run, dice + 0.001 * np.cos(2 * number)))


HOMES = {
    make.__name__: make
    for make in (
        partial, diverged, diverged_alone, diverged_everywhere, failed, rate, mixed, scenes, one_replicate,
        five_replicates,
    )
}  # fmt: skip
