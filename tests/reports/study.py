"""A whole reproduction of the paper as fabricated results: any of its 39 runs, with any Dice, on any replicates."""

from dataclasses import replace

import numpy as np

from benchmarks.metrics.counts import Counts
from benchmarks.protocol.claims import RUNS
from benchmarks.protocol.setting import Setting
from data_prep.manifest import describe_data
from data_prep.registry import find_dataset
from reports.select.results import Collection, StoredResult
from tests.reports.fabricate import WHOLE, binary_counts, fabricate

SHARES = {"deepglobe": 0.0413, "whu": 0.1113}
SIZES = {"deepglobe": (4358, 934, 934), "whu": (4736, 1036, 2416), "whdld": (3458, 741, 741)}
PAIRS = {"deepglobe": 6226, "whu": 8188, "whdld": 4940}
PAPER = Setting("paper")


def class_counts(dice, images=3, classes=6, pixels=256 * 256):
    """Every class has that Dice: a sixth of the pixels each, errors spread evenly."""
    positive = pixels // classes
    hit = round(dice * positive)
    parts = (hit, positive - hit, positive - hit, pixels - 2 * positive + hit)
    return Counts(*(np.full((images, classes), part, dtype=np.int64) for part in parts))


def made(dataset, name, dice, replicate=0, setting=PAPER, **options):
    """The result of one of the paper's runs with that Dice; replicate k has seed k and split seed k."""
    return made_by(RUNS[dataset, name].model, dataset, dice, replicate, setting, **options)


def made_by(model, dataset, dice, replicate=0, setting=PAPER, *, data=None, share=None, split_seed=None, **changes):
    """The result of a system with that Dice."""
    split_seed = replicate if split_seed is None else split_seed
    run = setting.run(model, dataset, replicate, split_seed)
    official = find_dataset(dataset).official_sizes is not None
    share = SHARES.get(dataset, 0.1) if share is None else share
    data = data or {
        **WHOLE,
        "pairs": PAIRS.get(dataset, 100),
        "sources": PAIRS.get(dataset, 100),
        "expected": PAIRS.get(dataset, 100),
    }
    digest = f"{describe_data(dataset, data)} official" if official else None
    result = fabricate(run, dice, data=data, digest=digest, share=share)
    sizes = dict(zip(("train", "val", "test"), SIZES.get(dataset, SIZES["deepglobe"]), strict=True))
    result = replace(result, data={**result.data, **sizes, **changes.pop("recorded", {})})
    if dataset == "whdld":
        names = find_dataset(dataset).classes
        result = replace(result, average="classes", classes=names, counts=class_counts(dice))
    else:
        result = replace(result, counts=binary_counts(dice, share=share))
    return replace(result, **changes)


def replicated(dataset, name, dices, setting=PAPER, **options):
    """Replicates 0, 1, ... of one run with these Dices."""
    return [made(dataset, name, dice, number, setting, **options) for number, dice in enumerate(dices)]


def collection(*results):
    return Collection(tuple(StoredResult(result, "own") for result in results))
