"""Log every use of a test split, never rewritten: a test set wears out by being looked at.

Each use is a line of JSON in `ledger.jsonl` of the home. It is appended by one write of the operating system, so that
processes that test at the same time do not mix their lines.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from benchmarks.protocol.run import ResolvedRun
from benchmarks.results.home import Home
from rssam.files import require_writable
from rssam.foreign_json import Unreadable, parse_json, read_bytes
from rssam.kinds import LINE, fault

UsePurpose = Literal["test", "score", "evaluate"]
"""What a test split was used for: the one test of a finished training; predictions made elsewhere; a system trained on
other data.
"""


KINDS = dict.fromkeys(("time", "key", "system", "dataset", "split", "purpose"), LINE)
"""Kinds of the parts of a line."""

MOST_BYTES = 256 << 20
"""A million uses."""


@dataclass(frozen=True)
class TestSetUse:
    """Use of a test split.

    `split` is the digest of data and split; an interrupted test that is repeated counts as two uses.
    """

    time: str  # UTC, ISO 8601
    key: str
    system: str
    dataset: str
    split: str
    purpose: str


@dataclass(frozen=True)
class Ledger:
    """Uses in the order they were written, and a sentence for each line that cannot be read."""

    uses: tuple[TestSetUse, ...]
    damaged: tuple[str, ...]


@dataclass(frozen=True)
class SplitUses:
    """Number of uses of a test split: by how many runs, of how many systems, and by anything else."""

    dataset: str
    split: str
    uses: int
    runs: int
    systems: int
    others: int = 0  # of the uses, those that are no test of a run: predictions scored, systems of other data


def record_use(home: Path, resolved: ResolvedRun) -> None:
    """Append the test of a run to the home's ledger. Call it before the split is read: a failed use has been one."""
    append_use(home, resolved.key, resolved.run.model.name, resolved.run.dataset.name, resolved.data_digest, "test")


def append_use(home: Path, key: str, system: str, dataset: str, split: str, purpose: UsePurpose) -> None:
    """Append a use of what may be no run; see `record_use`.

    Raises UserError if the home is for reading alone.

    Args:
        home: the home folder.
        key: of the run or submission.
        system: its name.
        dataset: its name.
        split: digest of data and split.
        purpose: what the split was used for.
    """
    time = datetime.now(UTC).isoformat(timespec="seconds")
    use = TestSetUse(time=time, key=key, system=system, dataset=dataset, split=split, purpose=purpose)
    require_writable(home, f"the log of the test split's uses, {Home(home).test_set_log.name},")
    home.mkdir(parents=True, exist_ok=True)
    line = json.dumps(asdict(use), sort_keys=True).encode() + b"\n"
    descriptor = os.open(Home(home).test_set_log, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        if _torn(descriptor):
            line = b"\n" + line
        written = os.write(descriptor, line)
        if written < len(line):
            raise OSError(f"no space left on the disk for {Home(home).test_set_log}")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _torn(descriptor: int) -> bool:
    """Return whether the file ends within a line, as a power cut may leave it: the next line must start anew."""
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"


def read_ledger(home: Path, *, most_damaged: int | None = None) -> Ledger:
    """Return the home's ledger; empty if there is none. Never raises for its content.

    After `most_damaged` lines that cannot be read, the rest of the file is left and a sentence says so.
    """
    path = Home(home).test_set_log
    try:
        lines = read_bytes(path, most_bytes=MOST_BYTES).split(b"\n")
    except FileNotFoundError:
        return Ledger((), ())
    except (OSError, Unreadable) as error:
        return Ledger((), (f"{path.name} cannot be read ({error})",))
    uses: list[TestSetUse] = []
    damaged: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if len(damaged) == most_damaged:
            damaged.append(f"the lines of {path.name} from {number} on were not read")
            break
        try:
            raw = parse_json(line)
            words = fault(raw, KINDS)
        except Unreadable as error:
            words = str(error)
        if words:
            damaged.append(f"line {number} of {path.name} cannot be read ({words})")
        else:
            uses.append(TestSetUse(**{name: raw[name] for name in KINDS}))
    return Ledger(tuple(uses), tuple(damaged))


def count_uses(uses: Sequence[TestSetUse]) -> tuple[SplitUses, ...]:
    """Return uses by test split, the most used of each data set first."""
    splits: dict[tuple[str, str], list[TestSetUse]] = {}
    for use in uses:
        splits.setdefault((use.dataset, use.split), []).append(use)
    counted = []
    for (dataset, split), split_uses in splits.items():
        tests = [use for use in split_uses if use.purpose == "test"]
        runs, systems = {use.key for use in tests}, {use.system for use in tests}
        others = len(split_uses) - len(tests)
        counted.append(SplitUses(dataset, split, len(split_uses), len(runs), len(systems), others))
    return tuple(sorted(counted, key=lambda split_use: (split_use.dataset, -split_use.uses, split_use.split)))
