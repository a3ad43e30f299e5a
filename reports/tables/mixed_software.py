"""Say under a table which of its rows were made with other software, or on another kind of machine, than the rest."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.results.result import Result
from reports.formatting import join_words
from reports.select.comparable import ResultGroup
from reports.tables.row_name import row_name

MIXED = "Not all made alike"
"""First words of the note."""

LONGEST = 60
"""Characters that are kept of what a record says."""

DROPOUT = "dropout then draws other numbers"


def mixed_software(group: ResultGroup) -> str:
    """Return what differs between the runs of a group, and for which rows, in a sentence; empty where nothing does.

    None of it is in a run's identity, and each may move a number in its last digits.
    """
    parts = [part for fact in _facts(group) if (part := _difference(group, fact))]
    return f"{MIXED}, which may move numbers: {'; '.join(parts)}." if parts else ""


Fact = Callable[[Result], str]
"""Words for one circumstance of a run."""


def _facts(group: ResultGroup) -> list[Fact]:
    packages = sorted({name for result in group.results for name in _versions(result)})
    return [*(_version_of(name) for name in packages), _commit, _device, _devices, _compiled, _checkpointing]


def _difference(group: ResultGroup, fact: Fact) -> str:
    """The values of one fact with their rows; the commonest stands for the rest. Empty where all are alike."""
    rows: dict[str, list[str]] = defaultdict(list)
    runs: Counter[str] = Counter()
    for row in group.filled:
        for result in row.results:
            value = fact(result)
            runs[value] += 1
            if row_name(group, row) not in rows[value]:
                rows[value].append(row_name(group, row))
    if len(runs) < 2:
        return ""
    (commonest, _), *others = sorted(runs.items(), key=lambda item: (-item[1], item[0]))
    listed = [f"{value} for {join_words(rows[value], '; ')}" for value, _ in others]
    return f"{', '.join(listed)}, {commonest} for {'the others' if len(rows[commonest]) > 1 else rows[commonest][0]}"


def _versions(result: Result) -> Mapping[str, Any]:
    return result.provenance.get("versions") or {}


def _version_of(package: str) -> Fact:
    def version(result: Result) -> str:
        return f"{_plain(package)} {_plain(_versions(result).get(package) or 'not recorded')}"

    return version


def _commit(result: Result) -> str:
    commit = _plain(result.provenance.get("commit") or "")
    if not commit:
        return "commit not recorded"
    clean = commit.removesuffix("-dirty")
    return f"commit {clean}" if clean == commit else f"commit {clean} with changes not committed"


def _device(result: Result) -> str:
    device = result.provenance.get("device")
    return f"on {_plain(device)}" if device else "device not recorded"


def _devices(result: Result) -> str:
    count = result.provenance.get("devices") or 1
    return f"on {_plain(count)} devices ({DROPOUT})" if count != 1 else "on one device"


def _compiled(result: Result) -> str:
    return "compiled" if result.provenance.get("compiled") else "not compiled"


def _checkpointing(result: Result) -> str:
    return f"{'with' if result.provenance.get('activation_checkpointing') else 'without'} activation checkpointing"


def _plain(value: object) -> str:
    """What a record says, without a letter that could be markup, and of bounded length."""
    return re.sub(r"[^\w .,+/()@:-]", "?", str(value))[:LONGEST]
