"""What measurements share: rivals that take turns, commands with their time and memory, and what is printed of them.

Importing it first lets a script import the repository's packages.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeVar

import psutil

REPOSITORY = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
sys.path.insert(0, str(REPOSITORY))

Name = TypeVar("Name", bound=str)
Found = TypeVar("Found")


@dataclass(frozen=True)
class Took:
    """Seconds on the clock, and of all processors."""

    clock: float
    cores: float


def options(doc: str | None, defaults: Mapping[str, int | float | str | list[int]]) -> argparse.ArgumentParser:
    """Return a parser with options by name, of the kind of their defaults: a list takes several values."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in defaults.items():
        several = isinstance(default, list)
        kind = type(default[0] if several else default)
        parser.add_argument(name, type=kind, nargs="+" if several else None, default=default)
    return parser


def say(text: str) -> None:
    """Print a line at once, also where the output is a file."""
    print(text, flush=True)


def vit(encoder: str) -> str:
    """Return the name of an encoder as tables have it: ViT-B of vit_b."""
    return f"ViT-{encoder[-1].upper()}"


def load() -> str:
    """Return the load average of the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


def median_and_each(rounds: Sequence[float], form: str = ".2f") -> str:
    """Return two cells of a table: the median, and what each round gave."""
    return f"{median(rounds):{form}} | {' '.join(f'{one:{form}}' for one in rounds)}"


@contextmanager
def scratch(parent: Path | None = None) -> Iterator[Path]:
    """Yield a folder that is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="rssam-measure-", dir=parent) as folder:
        yield Path(folder)


def in_turn(work: Mapping[Name, Callable[[], Found]], rounds: int, *, reverse: bool = False) -> dict[Name, list[Found]]:
    """Return what each work returns in every round, by its name.

    Args:
        work: done once in a round, in turn, so that whatever else the machine does falls on all.
        rounds: how many.
        reverse: whether every other round has the opposite order.
    """
    found: dict[Name, list[Found]] = {name: [] for name in work}
    for number in range(rounds):
        for name in reversed(list(work)) if reverse and number % 2 == 0 else work:
            found[name].append(work[name]())
    return found


def take_turns(
    work: Mapping[Name, Callable[[], object]], rounds: int, *, warm: bool = True, reverse: bool = False
) -> dict[Name, list[Took]]:
    """Return what each work takes `in_turn`, by its name; if `warm`, a round before them is not counted."""
    taken = in_turn({name: partial(_took, one) for name, one in work.items()}, rounds + warm, reverse=reverse)
    return {name: rounds_of[warm:] for name, rounds_of in taken.items()}


def _took(work: Callable[[], object]) -> Took:
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - clock, time.process_time() - processor)


def suite(home: Path, *arguments: str) -> list[str]:
    """Return a command line of the suite, as a user gives it."""
    return [sys.executable, "-m", "benchmarks.cli", "--home", str(home), *arguments]


def timed(command: Sequence[str], environment: Mapping[str, str] = ENVIRONMENT) -> Took:
    """Run a command that must succeed; the time of processors is also that of its workers."""
    before, began = _cores_of_children(), time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return Took(time.perf_counter() - began, _cores_of_children() - before)


def _cores_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def resident(process: psutil.Process) -> int:
    """Return the resident set in bytes, in which shared pages count."""
    return int(process.memory_info().rss)


def peak_of(
    command: Sequence[str], held: Callable[[psutil.Process], int] = resident, every: float = 0.02
) -> tuple[int, float]:
    """Return the largest sum, in bytes, of what a command and its workers hold, and its seconds.

    Args:
        command: must succeed.
        held: bytes of one process.
        every: seconds between two looks.
    """
    began, peak = time.perf_counter(), 0
    child = psutil.Popen(list(command), env=ENVIRONMENT, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    while child.poll() is None:
        total = 0
        with suppress(psutil.NoSuchProcess):
            for process in (child, *child.children(recursive=True)):
                with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    total += held(process)
        peak = max(peak, total)
        time.sleep(every)
    if child.returncode:
        raise SystemExit(f"{command} failed")
    return peak, time.perf_counter() - began
