"""Write and check the ledger of test-split uses in a bundle: its lines on the bundle's splits must fit the records."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import get_args

from benchmarks.results.home import Home
from benchmarks.results.result import Result
from benchmarks.results.submission import Submission
from benchmarks.results.test_set_log import TestSetUse, UsePurpose, count_uses, read_ledger
from reports.bundle.checks.checked import Finding, WholeBundle, is_text
from reports.bundle.checks.origin_checks import CLOCKS, EARLIEST, latest, moment
from reports.formatting import gathered
from reports.verdicts.wording import describe_uses
from rssam.foreign_json import read_json

LEDGER = "ledger.jsonl"
DIGEST = re.compile(r"[0-9a-f]{10}")
"""The end of a key."""

UNLOGGED = "unlogged"
"""The entry of bundle.json with the keys of which the ledger of the home holds no use."""

MOST_DAMAGED = 200
"""Faults of lines after which no further line of a bundle's ledger is looked at."""

NOT_HERE = "not in this bundle"
"""Stands for the name of predictions that a bundle does not hold."""


def published_ledger(home: Path, records: Sequence[Result | Submission]) -> tuple[bytes, list[str]]:
    """Return the text of a bundle's ledger, and the keys of its records of which the home logged no use.

    The ledger holds all uses of the splits that the records were counted on, those by other runs too. Names of
    predictions that are not in the bundle are left out: a user chose them, not for others.
    """
    keys = {record.key for record in records}
    splits = {(record.identity["dataset"]["name"], record.identity["data"]) for record in records}
    uses = [use for use in read_ledger(home).uses if (use.dataset, use.split) in splits]
    shown = [use if use.key in keys or use.purpose == "test" else replace(use, system=NOT_HERE) for use in uses]
    logged = {(use.key, use.purpose) for use in uses}
    unlogged = sorted(record.key for record in records if (record.key, expected_use(record)[2]) not in logged)
    lines = [json.dumps(asdict(use), sort_keys=True) + "\n" for use in shown]
    return "".join(lines).encode(), unlogged


def ledger(bundle: WholeBundle) -> Iterator[Finding]:
    """Yield lines of the ledger that do not fit the records, the splits or each other, and records without a use."""
    said, present = _said_unlogged(bundle.folder), Home(bundle.folder).test_set_log.is_file()
    if not present:
        yield LEDGER, "missing: every bundle holds the uses of its test splits"
    if said is None:
        yield "bundle.json", f"it has no {UNLOGGED}: the results without a logged use, which may be none"
    if said is None or not present:
        return
    read = read_ledger(bundle.folder, most_damaged=MOST_DAMAGED)
    yield from ((LEDGER, line) for line in read.damaged)
    yield from islice(_lines(bundle, read.uses), MOST_DAMAGED)
    yield from _uses_of_records(bundle, read.uses, said)


def _lines(bundle: WholeBundle, uses: Sequence[TestSetUse]) -> Iterator[Finding]:
    before = datetime.min
    until = latest()
    for number, use in enumerate(uses, start=1):
        time = moment(use.time)
        if time is None or not EARLIEST <= time <= until:
            yield LEDGER, f"use {number} has the time {use.time[:40]!r}, expected one that has been"
            continue
        if time + CLOCKS < before:
            yield LEDGER, f"use {number} is of {time}, a line before it of {before}: lines are only ever added"
        before = max(before, time)
        if use.purpose not in get_args(UsePurpose):
            yield LEDGER, f"use {number} was for {use.purpose[:40]!r}, expected {', '.join(get_args(UsePurpose))}"
        if not is_text(use.system) or not _is_key(use):
            yield LEDGER, f"use {number} has the key {use.key[:60]!r} and the name {use.system[:60]!r}"
        if use.split not in bundle.splits or bundle.splits[use.split].manifest.dataset != use.dataset:
            yield LEDGER, f"use {number} is of the split {use.split[:12]} of {use.dataset}, which is not in the bundle"


def _is_key(use: TestSetUse) -> bool:
    """Return whether a key is that of a run of its system, or of a submission, which alone may have any name."""
    start, _, digest = use.key.rpartition("-")
    dataset, name = start[: len(use.dataset)], start[len(use.dataset) + 1 :]
    if dataset != use.dataset or not DIGEST.fullmatch(digest):
        return False
    if use.purpose == "score" and use.system == NOT_HERE:
        return bool(name)  # what a run saved was counted again, and the run is not in this bundle
    names = {"score": (use.system, "scored"), "evaluate": ("evaluated",)}
    return name in names.get(use.purpose, (use.system,))


def use_counts(folder: Path) -> tuple[str, ...]:
    """Return how often each test split was used, a sentence each, and of how many results no use was logged."""
    said = _said_unlogged(folder)
    uses = count_uses(read_ledger(folder, most_damaged=MOST_DAMAGED).uses)
    sentences = [f"Test split {split.split[:12]} of {split.dataset}: {describe_uses(split)}." for split in uses]
    if said:
        sentences.append(f"No use was logged of {len(said)} of its results and scores.")
    return tuple(sentences)


def _uses_of_records(bundle: WholeBundle, uses: Sequence[TestSetUse], unlogged: Sequence[str]) -> Iterator[Finding]:
    """Yield records whose uses are missing, or say other things than the record."""
    by_key = gathered((use.key, use) for use in uses)
    for checked in bundle.records:
        record, own = checked.record, by_key.get(checked.record.key, [])
        dataset, split, purpose, system = expected_use(record)
        if any(use.purpose == purpose for use in own) == (record.key in unlogged):
            word = "a use of it, which bundle.json denies" if own else "no use of it, so fewer uses than results"
            yield checked.file, f"the ledger has {word}"
        allowed = {purpose, "score"} if purpose == "test" else {purpose}  # what a run saved may be counted once more
        for use in own:
            if (use.dataset, use.split, use.system) != (dataset, split, system or use.system):
                found = f"{use.system} on {use.dataset}, split {use.split[:12]}"
                yield checked.file, f"the ledger logged a use of {found} for it, not its own system and split"
            if use.purpose not in allowed:
                yield checked.file, f"the ledger logged its use as {use.purpose!r}, expected {purpose!r}"
        finished, times = moment(record.provenance.get("finished")), [moment(use.time) for use in own]
        first = min((time for time in times if time is not None), default=None)
        if finished is not None and first is not None and finished + CLOCKS < first:
            yield checked.file, f"it was finished at {finished}, and its test began at {first} (ledger)"
    if strangers := set(unlogged) - {checked.record.key for checked in bundle.records}:
        yield "bundle.json", f"{len(strangers)} results without a logged use are not in the bundle"


def expected_use(record: Result | Submission) -> tuple[str, str, UsePurpose, str | None]:
    """Return data set, split, purpose and name of a record's use; None for a name that the record does not have."""
    dataset, split = record.identity["dataset"]["name"], record.identity["data"]
    if isinstance(record, Result):
        return dataset, split, "test", record.identity["model"]["name"]
    return (dataset, split, "score", record.name) if record.kind == "scored" else (dataset, split, "evaluate", None)


def _said_unlogged(folder: Path) -> list[str] | None:
    """Return the keys that bundle.json lists as without a use; None if it has no such list."""
    about = read_json(folder / "bundle.json", follow_links=False)
    return [str(key) for key in about[UNLOGGED]] if UNLOGGED in about else None
