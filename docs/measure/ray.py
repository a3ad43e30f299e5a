"""What `--executor ray` costs beside `--jobs` on this machine: the whole command, start-up included, equal workers.

From the root of the repository, with Ray installed: python docs/measure/ray.py [--item table1] [--scenes 24]
[--rounds 2]. Both have a run on every core, of one thread. The data is prepared once and copied to a home of its own
for each command; the two take turns, and what they store is compared.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from statistics import median

from turns import load, options, say, scratch, suite, timed


def command(home: Path, *arguments: str) -> float:
    """Return the seconds of one command of the command line, each run of which has one thread."""
    return timed(suite(home, *arguments)).clock


def scores(home: Path) -> dict[str, object]:
    """Return the counts of every result, by key."""
    return {path.stem: json.loads(path.read_text())["counts"] for path in (home / "results").glob("*.json")}


def main() -> None:
    """Print a line for each round, then the ratio of the medians."""
    asked = options(__doc__, {"--item": "table1", "--scenes": 24, "--rounds": 2}).parse_args()
    count = str(os.cpu_count())
    ways = {"jobs": ("--jobs", count), "ray": ("--executor", "ray")}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    with scratch() as folder:
        source = folder / "source"
        command(source, "prepare", "deepglobe", "--synthetic", str(asked.scenes))
        for number in range(asked.rounds):
            found = {}
            for way, arguments in ways.items():
                home = folder / f"{way}-{number}"
                shutil.copytree(source, home)
                plan = ("reproduce", asked.item, "--profile", "smoke", "--device", "cpu", "--no-track")
                seconds[way].append(command(home, *plan, *arguments))
                found[way] = scores(home)
            equal = "equal" if found["jobs"] == found["ray"] else "DIFFERENT"
            say(
                f"round {number + 1}: --jobs {count} {seconds['jobs'][-1]:.1f} s, Ray {seconds['ray'][-1]:.1f} s, "
                f"{len(found['ray'])} results, {equal}; load average {load()}"
            )
    say(f"Ray takes {median(seconds['ray']) / median(seconds['jobs']) - 1:+.1%} of the time of --jobs {count}")


if __name__ == "__main__":
    main()
