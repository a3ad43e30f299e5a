"""Say under a table which of its rows were made with other software, or on another kind of machine, than the rest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.results.result import Result
from reports.formatting import join_words
from reports.select.comparable import ResultGroup
from reports.select.row_name import row_name

MIXED = "Not all made alike"
"""First words of the note."""

LONGEST = 60
"""Characters that are kept of what a record says."""

DROPOUT = "dropout then draws other numbers"


Fact = Callable[[Result], str]
"""Words for one circumstance of a run."""


def mixed_software(group: ResultGroup) -> str:
    """Return what differs between the runs of a group, and in which rows, in a sentence; empty where nothing does.

    None of it is in a run's identity, and each may move a number in its last digits. The commonest comes last.
    """
    facts = [fact for fact in _facts(group) if len({fact(result) for result in group.results}) > 1]
    if not facts:
        return ""
    made = {result.key: ", ".join(fact(result) for fact in facts) for result in group.results}
    ordered = sorted(Counter(made.values()).items(), key=lambda item: (-item[1], item[0]))
    commonest = ordered[0][0]
    others = [f"{_rows(group, made, circumstances)} {circumstances}" for circumstances, _ in ordered[1:]]
    return f"{MIXED}, which may move numbers: {'; '.join(others)}; all other runs {commonest}."


def _rows(group: ResultGroup, made: Mapping[str, str], circumstances: str) -> str:
    """Return the rows whose results were made so, and of how many where a row has others too."""
    named = []
    for row in group.filled:
        count = sum(made[result.key] == circumstances for result in row.results)
        if count:
            part = "" if count == len(row.results) else f"{count} of {len(row.results)} runs of "
            named.append(f"{part}{row_name(group, row)}")
    return join_words(named)


def _facts(group: ResultGroup) -> list[Fact]:
    packages = sorted({name for result in group.results for name in _versions(result)})
    return [*(_version_of(name) for name in packages), _commit, _device, _devices, _compiled, _checkpointing]


def _versions(result: Result) -> Mapping[str, Any]:
    return result.provenance.get("versions") or {}


def _version_of(package: str) -> Fact:
    def version(result: Result) -> str:
        return f"with {_plain(package)} {_plain(_versions(result).get(package) or 'not recorded')}"

    return version


def _commit(result: Result) -> str:
    commit = _plain(result.provenance.get("commit") or "")
    if not commit:
        return "from a commit not recorded"
    clean = commit.removesuffix("-dirty")
    return f"from commit {clean}" if clean == commit else f"from commit {clean} with changes not committed"


def _device(result: Result) -> str:
    device = result.provenance.get("device")
    return f"on {_plain(device)}" if device else "on a device not recorded"


def _devices(result: Result) -> str:
    count = result.provenance.get("devices") or 1
    return f"on {_plain(count)} devices ({DROPOUT})" if count != 1 else "on one device"


def _compiled(result: Result) -> str:
    return "compiled" if result.provenance.get("compiled") else "not compiled"


def _checkpointing(result: Result) -> str:
    return f"{'with' if result.provenance.get('activation_checkpointing') else 'without'} activation checkpointing"


def _plain(value: object) -> str:
    """Return what a record says, without a letter that could be markup, and of bounded length."""
    return re.sub(r"[^\w .,+/()@:-]", "?", str(value))[:LONGEST]
