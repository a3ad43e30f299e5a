"""Check where and when a record says it was made: machine, precision, versions, commit and time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from benchmarks.protocol.recipe import PRECISION_NAMES
from benchmarks.results.result import Result
from reports.bundle.checks.checked import Checked

MOST_THREADS = 32
"""Threads of a core beyond which nothing is believed."""

DEVICE_TYPES = ("cpu", "cuda")
"""Types of the devices that runs are trained and tested on."""

DUE = ("versions", "platform", "device", "device_type", "cores", "threads", "finished")
"""Parts of every provenance since this format; a commit there is only in a clone."""

COMMIT = re.compile(r"[0-9a-f]{7,40}(-dirty)?")
EARLIEST = datetime(2024, 1, 1)
"""Before this nothing was made: no version of the suite is older."""

CLOCKS = timedelta(hours=1)
"""By how much the clocks of two machines may differ."""


def due(checked: Checked) -> Iterator[str]:
    """Yield parts that every record of this format holds, and this one lacks."""
    record, provenance = checked.record, checked.record.provenance
    names = [*DUE, *(("activation_checkpointing",) if isinstance(record, Result) else ())]
    missing = [name for name in names if provenance.get(name) is None]
    if "versions" not in missing and "rssam-bench" not in provenance["versions"]:
        missing.append("the version of rssam-bench")
    if isinstance(record, Result) and record.probabilities is None:
        missing.append("its probabilities")
    if missing:
        yield f"it does not say {', '.join(missing)}, which this version records of everything"


def origin(checked: Checked) -> Iterator[str]:
    """Yield a precision, a device, versions or a time that no machine of ours has."""
    record, provenance = checked.record, checked.record.provenance
    device = provenance.get("device_type")
    if device is not None and device not in DEVICE_TYPES:
        yield f"its device is of the type {device!r}, expected {' or '.join(DEVICE_TYPES)}"
    holder = record.identity if isinstance(record, Result) else record.identity["system"] or {}
    if holder.get("precision", "32-true") not in PRECISION_NAMES:
        yield f"its precision is {holder['precision']!r}, expected {' or '.join(PRECISION_NAMES)}"
    for name in ("cores", "threads", "devices"):
        if (value := provenance.get(name)) is not None and not 1 <= value < 10**6:
            yield f"its {name} are {value}, expected a whole number from 1"
    cores, threads, devices = (provenance.get(name) or 0 for name in ("cores", "threads", "devices"))
    if cores and threads > MOST_THREADS * cores:
        yield f"its {threads} threads on {cores} cores are more than {MOST_THREADS} for each"
    if devices > 1:
        plan = record.identity["recipe"] if isinstance(record, Result) else {"batch": 1, "group": 1}
        if (groups := plan["batch"] // plan["group"]) % devices:
            yield f"its {devices} devices cannot share the {groups} groups of a batch"
    for name in ("activation_checkpointing", "compiled"):
        if not isinstance(provenance.get(name, False), bool):
            yield f"its {name} is {provenance[name]!r}, expected true or false"
    commit = provenance.get("commit")
    if commit is not None and not COMMIT.fullmatch(commit):
        yield f"its commit {commit[:50]!r} is no commit"
    if provenance.get("finished") is not None and not has_been(provenance["finished"]):
        yield f"it was finished {provenance['finished'][:40]!r}, expected a time that has been"


def moment(text: str | None) -> datetime | None:
    """Return a time of the format ISO 8601 with its zone, in UTC; None if it is none."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else None


def has_been(text: str) -> bool:
    """Return whether a text is a time between the beginning of this suite and now."""
    time = moment(text)
    return time is not None and EARLIEST <= time <= latest()


def latest() -> datetime:
    """Return the latest time, in UTC, that can have been, whatever the clock here."""
    return datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1)
