"""How long `prepare deepglobe` takes beside a plain Pillow loop, its peak memory, and how long a second call takes.

From the root of the repository: python docs/measure/prepare.py [--pairs 200] [--rounds 3] [--workers 2]. It wants 1 GB
in the folder for temporary files. The stand-in scenes are made once and not timed. The three commands take turns; every
one is a process of its own, start-up included. Memory is the largest sum over the command and its workers of what each
holds alone (its unique set), seen every 50 ms, in runs of their own that are not timed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path
from statistics import median

from PIL import Image
from turns import Took, load, median_and_each, options, peak_of, say, scratch, suite, timed


def plain(source: Path, out: Path) -> None:
    """Prepare as one writes by hand: open, shrink, threshold, save; no checks, digests, split or way to go on."""
    for folder in ("images", "masks", "native_masks"):
        (out / folder).mkdir(parents=True)
    for path in sorted((source / "train").glob("*_sat.jpg")):
        name = path.name.removesuffix("_sat.jpg")
        image = Image.open(path).convert("RGB")
        image.reduce(2).save(out / "images" / f"{name}.png")
        mask = Image.open(path.with_name(f"{name}_mask.png")).convert("L").point([0] * 128 + [255] * 128)
        mask.resize((512, 512), Image.Resampling.NEAREST).save(out / "masks" / f"{name}.png")
        mask.convert("1").save(out / "native_masks" / f"{name}.png")


def prepare_command(source: Path, home: Path, workers: int) -> list[str]:
    """Return the command line that a user gives."""
    return suite(home, "prepare", "deepglobe", "--source", str(source), "--workers", str(workers))


def peak_bytes(command: list[str]) -> int:
    """Return the largest memory of a command and all its workers together, of what each holds alone."""
    return peak_of(command, lambda process: int(process.memory_full_info().uss), 0.05)[0]


def measure(folder: Path, pairs: int, rounds: int, workers: int) -> None:
    """Print all figures as markdown."""
    from data_prep.datasets.deepglobe import DeepGlobe
    from data_prep.synthetic.marker import MARKER

    source, home, by_hand = folder / "source", folder / "home", folder / "plain"
    DeepGlobe().synthesize(source, pairs, seed=0)
    (source / MARKER).unlink()  # these scenes stand in for the real files here, and nothing else reads them
    hand = [sys.executable, __file__, "--plain", str(source), str(by_hand)]
    ours, few = prepare_command(source, home, workers), folder / "few"
    rows = {"plain loop": hand, "prepare": ours, "prepare again": ours}
    took: dict[str, list[Took]] = {name: [] for name in rows}
    loads = [load()]
    for _ in range(rounds):
        for name, command in rows.items():
            took[name].append(timed(command))
        shutil.rmtree(by_hand)
        shutil.rmtree(home)
        loads.append(load())
    for path in sorted((source / "train").iterdir())[: 2 * (pairs // 4)]:
        (few / "train").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, few / "train")
    memory = {
        "first call": peak_bytes(ours),
        "second call": peak_bytes(ours),
        f"first call on {pairs // 4} pairs": peak_bytes(prepare_command(few, folder / "home of few", workers)),
    }
    middle = {name: median(one.clock for one in found) for name, found in took.items()}
    say(
        f"{pairs} pairs, {workers} workers, {os.cpu_count()} cores, medians of {rounds}; load average between rounds "
        f"{' '.join(loads)} (the measurement alone makes 1 to {workers}).\n"
    )
    say("| | seconds | each round | CPU seconds |\n|---|--:|---|--:|")
    for name, found in took.items():
        each = median_and_each([one.clock for one in found])
        say(f"| {name} | {each} | {median(one.cores for one in found):.2f} |")
    say(
        f"\nprepare is {middle['plain loop'] / middle['prepare']:.2f} times as fast as the plain loop; "
        f"a second call takes 1/{middle['prepare'] / middle['prepare again']:.1f} of the first."
    )
    held = ", ".join(f"{name} {peak / 2**20:.0f} MiB" for name, peak in memory.items())
    say(f"Peak memory of all processes: {held}")


def main() -> None:
    """Measure in a temporary folder and print."""
    parser = options(__doc__, {"--pairs": 200, "--rounds": 3, "--workers": 2})
    parser.add_argument("--plain", nargs=2, type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.plain:
        plain(*asked.plain)
        return
    with scratch() as folder:
        measure(folder, asked.pairs, asked.rounds, asked.workers)


if __name__ == "__main__":
    main()
