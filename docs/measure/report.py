"""How long `rssam-bench report` takes over every run of the paper with three replicates each, and its peak memory.

From the root of the repository: python docs/measure/report.py [--seeds 3] [--rounds 3] [--formats md,tex,csv,html]. The
home is made up: true names of runs, full-size test splits and histories of 200 epochs, random counts, no pictures.
Making it is not timed. Each call is a process of its own, start-up included.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from benchmarks.metrics.counts import Counts
    from benchmarks.results.result import Result
    from rssam.contract import Model

REPOSITORY = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
SIZES = {"deepglobe": (4358, 934, 934), "whu": (4736, 1036, 2416), "whdld": (3458, 741, 741)}
HEAVY = {"torch", "lightning_fabric", "mlflow"}
FOREGROUND = {"deepglobe": 0.0413, "whu": 0.1113}


def make_home(home: Path, seeds: int) -> int:
    """Write results of all runs in a home; return how many."""
    from benchmarks.protocol.paper_runs import PAPER_RUNS
    from benchmarks.results.store import Store

    for number, run in enumerate(PAPER_RUNS):
        for seed in range(seeds):
            rng = np.random.default_rng([number, seed])
            Store(home).put(_result(run.model, run.dataset, run.printed["dice"], seed, rng))
    return len(PAPER_RUNS) * seeds


def _result(model: Model, dataset: str, dice: float, seed: int, rng: np.random.Generator) -> Result:
    from benchmarks.protocol.run import ResolvedRun
    from benchmarks.protocol.setting import Setting
    from benchmarks.results.result import Result
    from data_prep.registry import find_dataset

    declared = find_dataset(dataset)
    official = declared.official_sizes is not None
    train, val, test = SIZES[dataset]
    digest = f"made up: {dataset} {0 if official else seed}"
    weights = tuple(f"digest of {name}" for name in model.weights_needed())
    resolved = ResolvedRun(Setting("paper").run(model, dataset, seed, seed), digest, weights, "bf16-mixed")
    chosen = np.random.default_rng([0 if official else seed]).permutation(declared.expected_pairs)[:test]
    side = declared.image_size[0]
    history = [
        {"epoch": epoch, "train_loss": 0.5 / epoch, "val_loss": 0.6 / epoch, "rate": 0.005, "seconds": 61.234567}
        for epoch in range(1, 201)
    ]
    return Result(
        identity=resolved.identity(),
        average=declared.average,
        classes=declared.classes,
        images=tuple(f"{image:06d}" for image in chosen),
        counts=_counts(rng, dice, dataset, test, len(declared.classes), side),
        native_counts=_counts(rng, dice, dataset, test, 1, 1024) if dataset == "deepglobe" else None,
        history=tuple(history),
        best_epoch=150,
        parameters={"total": 107_866_582, "trainable": 21_375_190, "as_published": 107_007_446, "macs": 10**11},
        seconds=12_345.6,
        peak_memory=20 << 30,
        data={
            "origin": "source", "complete": True, "pairs": declared.expected_pairs, "sources": declared.expected_pairs,
            "expected": declared.expected_pairs, "cut_anew": False, "skipped": 0,
            "train": train, "val": val, "test": test,
        },
        provenance={
            "versions": {"python": "3.11.9", "rssam-bench": "0.2.0", "torch": "2.11.0"}, "commit": "0123456789ab",
            "device": "made up", "finished": "2025-02-03T04:05:06+00:00",
        },
    )  # fmt: skip


def _counts(rng: np.random.Generator, dice: float, dataset: str, images: int, classes: int, side: int) -> Counts:
    """Return counts whose pooled Dice is about `dice`, precision as recall."""
    from benchmarks.metrics.counts import Counts

    pixels = side * side
    share = FOREGROUND.get(dataset, 1 / classes)
    positive = (pixels * share * rng.uniform(0.2, 1.8, (images, classes))).astype(np.int64)
    found = (positive * np.clip(dice + rng.normal(0, 0.1, (images, classes)), 0, 1)).astype(np.int64)
    wrong = positive - found
    return Counts(found, wrong, wrong, np.maximum(pixels - found - 2 * wrong, 0))


def measure(folder: Path, seeds: int, rounds: int, formats: str) -> str:
    """Return all figures as markdown."""
    home = folder / "home"
    results = make_home(home, seeds)
    held = sum(path.stat().st_size for path in (home / "results").iterdir())
    environment = {**ENVIRONMENT, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def report(*options: str) -> str:
        command = [sys.executable, *options, "-m", "benchmarks.cli", "--home", str(home), "report"]
        command += ["--format", formats, "--out", str(folder / "report")]
        done = subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        return done.stderr

    # The first call compiles the bytecode, as the installation does, and tells what is imported.
    imported = set(re.findall(r"\| +(\w+)$", report("-X", "importtime"), re.MULTILINE))
    clock, cores, loads = [], [], []
    for _ in range(rounds):
        loads.append(os.getloadavg()[0])
        before, began = _used(), time.perf_counter()
        report()
        clock.append(time.perf_counter() - began)
        cores.append(_used() - before)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    lines = [
        f"{results} results ({held / 2**20:.0f} MiB), {formats}, {os.cpu_count()} cores, load average before each "
        f"round {' '.join(f'{load:.1f}' for load in loads)}.",
        "",
        "| | median | each round |",
        "|---|--:|---|",
        f"| seconds | {median(clock):.2f} | {' '.join(f'{one:.2f}' for one in clock)} |",
        f"| seconds of cores | {median(cores):.2f} | {' '.join(f'{one:.2f}' for one in cores)} |",
        f"| peak memory, MiB | {peak:.0f} | |",
        "",
        f"Imported of torch, lightning and mlflow: {', '.join(sorted(imported & HEAVY)) or 'none'}.",
    ]
    return "\n".join(lines)


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure in a temporary folder and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--formats", default="md,tex,csv,html")
    parser.add_argument("--keep", type=Path, help="make the home here and measure nothing")
    options = parser.parse_args()
    if options.keep:
        make_home(options.keep, options.seeds)
        return
    with tempfile.TemporaryDirectory(prefix="rssam-measure-") as folder:
        sys.stdout.write(measure(Path(folder), options.seeds, options.rounds, options.formats) + "\n")


if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY))
    main()
