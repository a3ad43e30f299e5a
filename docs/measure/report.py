"""How long `rssam-bench report` takes over every run of the paper with three replicates each, and its peak memory.

From the root of the repository: python docs/measure/report.py [--seeds 3] [--rounds 3] [--formats md,tex,csv,html]. The
home is made up: true names of runs, full-size test splits and histories of 200 epochs, random counts, no pictures.
Making it is not timed. Each call is a process of its own, start-up included.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
from turns import ENVIRONMENT, REPOSITORY, load, median_and_each, options, say, scratch, suite, timed

from benchmarks.metrics.counts import Counts
from benchmarks.protocol.paper_runs import PAPER_RUNS, PaperRun
from benchmarks.results.result import Result
from benchmarks.results.store import Store
from data_prep.registry import find_dataset
from tests.reports.study import SIZES, made

THREADS = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
HEAVY = {"torch", "lightning_fabric", "mlflow"}
FOREGROUND = {"deepglobe": 0.0413, "whu": 0.1113}


def make_home(home: Path, seeds: int) -> int:
    """Write results of all runs in a home; return how many."""
    for number, run in enumerate(PAPER_RUNS):
        for seed in range(seeds):
            Store(home).put(_result(run, seed, np.random.default_rng([number, seed])))
    return len(PAPER_RUNS) * seeds


def _result(run: PaperRun, seed: int, rng: np.random.Generator) -> Result:
    """Return a result as the tests make it, with a whole test split and a long history."""
    declared, test = find_dataset(run.dataset), SIZES[run.dataset][2]
    official, dice = declared.official_sizes is not None, run.printed["dice"]
    chosen = np.random.default_rng([0 if official else seed]).permutation(declared.expected_pairs)[:test]
    history = [
        {"epoch": epoch, "train_loss": 0.5 / epoch, "val_loss": 0.6 / epoch, "rate": 0.005, "seconds": 61.234567}
        for epoch in range(1, 201)
    ]
    native = _counts(rng, dice, run.dataset, test, 1, 1024) if run.dataset == "deepglobe" else None
    return replace(
        made(run.dataset, run.name, dice, seed), average=declared.average, classes=declared.classes,
        images=tuple(f"{image:06d}" for image in chosen),
        counts=_counts(rng, dice, run.dataset, test, len(declared.classes), declared.image_size[0]),
        native_counts=native, history=tuple(history), best_epoch=150,
        parameters={"total": 107_866_582, "trainable": 21_375_190, "as_published": 107_007_446, "macs": 10**11},
    )  # fmt: skip


def _counts(rng: np.random.Generator, dice: float, dataset: str, images: int, classes: int, side: int) -> Counts:
    """Return counts whose pooled Dice is about `dice`, precision as recall."""
    pixels = side * side
    share = FOREGROUND.get(dataset, 1 / classes)
    positive = (pixels * share * rng.uniform(0.2, 1.8, (images, classes))).astype(np.int64)
    found = (positive * np.clip(dice + rng.normal(0, 0.1, (images, classes)), 0, 1)).astype(np.int64)
    wrong = positive - found
    return Counts(found, wrong, wrong, np.maximum(pixels - found - 2 * wrong, 0))


def measure(folder: Path, seeds: int, rounds: int, formats: str) -> None:
    """Print all figures as markdown."""
    home = folder / "home"
    results = make_home(home, seeds)
    held = sum(path.stat().st_size for path in (home / "results").iterdir())
    environment = {**ENVIRONMENT, **THREADS, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    python, *command = suite(home, "report", "--format", formats, "--out", str(folder / "report"))
    # The first call compiles the bytecode, as the installation does, and tells what is imported.
    first = [python, "-X", "importtime", *command]
    said = subprocess.run(first, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=True).stderr
    imported = set(re.findall(r"\| +(\w+)$", said, re.MULTILINE))
    took, loads = [], []
    for _ in range(rounds):
        loads.append(load())
        took.append(timed([python, *command], environment))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    say(
        f"{results} results ({held / 2**20:.0f} MiB), {formats}, {os.cpu_count()} cores, load average before each "
        f"round {' '.join(loads)}.\n"
    )
    say("| | median | each round |\n|---|--:|---|")
    say(f"| seconds | {median_and_each([one.clock for one in took])} |")
    say(f"| CPU seconds | {median_and_each([one.cores for one in took])} |")
    say(f"| peak memory, MiB | {peak:.0f} | |")
    say(f"\nImported of torch, lightning and mlflow: {', '.join(sorted(imported & HEAVY)) or 'none'}.")


def main() -> None:
    """Measure in a temporary folder and print."""
    asked = options(__doc__, {"--seeds": 3, "--rounds": 3, "--formats": "md,tex,csv,html"}).parse_args()
    with scratch() as folder:
        measure(folder, asked.seeds, asked.rounds, asked.formats)


if __name__ == "__main__":
    main()
