"""Results with known counts; nothing is trained."""

import json
from dataclasses import replace

import numpy as np

from benchmarks.metrics.counts import Counts
from benchmarks.protocol.run import ResolvedRun
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import TABLES
from benchmarks.results.failed_run import FailedRun
from benchmarks.results.result import Result
from benchmarks.results.store import Store
from data_prep.facts import describe_data

PIXELS = 512 * 512
WHOLE = {
    "origin": "source", "complete": True, "pairs": 6226, "sources": 6226, "expected": 6226, "cut_anew": False,
    "skipped": 0,
}  # fmt: skip
PART = {**WHOLE, "complete": False, "pairs": 36, "sources": 36}
MADE_UP = {**WHOLE, "origin": "synthetic", "complete": False, "pairs": 24, "sources": 24}
PROVENANCE = {
    "versions": {"python": "3.11.9", "rssam-bench": "0.2.0", "torch": "2.11.0"},
    "commit": "0123456789ab",
    "device": "NVIDIA RTX A6000",
    "finished": "2025-02-03T04:05:06+00:00",
}
TABLE5 = TABLES["table5"]


def binary_counts(dice, *, share=0.0413, images=3):
    """Precision = recall = `dice`, in each image."""
    positive = round(share * PIXELS)
    hit = round(dice * positive)
    parts = (hit, positive - hit, positive - hit, PIXELS - 2 * positive + hit)
    return Counts(*(np.full((images, 1), part, dtype=np.int64) for part in parts))


def fabricate(run, dice=0.7, *, data=WHOLE, digest=None, precision="bf16-mixed", native=None, share=0.0413, **changes):
    """The result of `run` with that Dice. Its data digest follows the split seed, as a re-split's would."""
    resolved = ResolvedRun(
        run,
        digest or f"{describe_data('deepglobe', data)} {run.split_seed}",
        tuple(f"sha256 of {name}" for name in run.model.weights_needed()),
        precision,
    )
    result = Result(
        identity=resolved.identity(),
        average="foreground",
        classes=("road",),
        images=("a", "b", "c"),
        counts=binary_counts(dice, share=share),
        native_counts=None if native is None else binary_counts(native, share=share),
        history=({"epoch": 1, "train_loss": 0.5, "val_loss": 0.4, "rate": 0.005, "seconds": 1.0},),
        best_epoch=1,
        parameters={"total": 93_000_000, "trainable": 3_793_312},
        seconds=12.5,
        peak_memory=1 << 30,
        data={**data, "train": 4358, "val": 934, "test": 934},
        provenance=PROVENANCE,
    )
    return replace(result, **changes)


def row_run(index, setting=None, *, seed=0, split_seed=0, table=TABLE5):
    """The run of one row."""
    return (setting or Setting("paper")).run(table.rows[index].model, table.dataset, seed, split_seed)


def fill(home, dices, setting=None, *, seeds=((0, 0),), table=TABLE5, **options):
    """Store a result for each row of a table whose Dice is not None; replicates differ by 0.01 in Dice."""
    stored = []
    for index, dice in enumerate(dices):
        for number, (split_seed, seed) in enumerate(seeds):
            if dice is not None:
                run = row_run(index, setting, seed=seed, split_seed=split_seed, table=table)
                stored.append(fabricate(run, dice + 0.01 * number, **options))
                Store(home).put(stored[-1])
    return stored


def fabricate_failure(run, *, diverged=(), data=WHOLE, digest=None, precision="bf16-mixed", reason="", **changes):
    """The record of `run` without a result; identity and data are those that `fabricate` gives it."""
    identity = fabricate(run, data=data, digest=digest, precision=precision).identity
    failed = FailedRun(identity, reason, "2025-02-03T04:05:06+00:00", tuple(diverged), data, {})
    return replace(failed, **changes)


def store_failure(home, failed):
    """Write the record where a home has it."""
    path = home / "runs" / failed.key / "failure.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(failed.to_json()))
