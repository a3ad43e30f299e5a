"""Say under a table which of its rows were made with other software, or on another kind of machine, than the rest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from benchmarks.results.result import Result
from reports.formatting import join_words
from reports.select.comparable import ResultGroup

MIXED = "Not all made alike"
"""First words of the note."""

LONGEST = 60
"""Characters that are kept of what a record says."""

DROPOUT = "dropout then draws other numbers"


def mixed_software(group: ResultGroup) -> str:
    """Return what differs between the runs of a group, and in which rows, in a sentence; empty where nothing does.

    None of it is in a run's identity, and each may move a number in its last digits. The commonest comes last.
    """
    packages = sorted({name for result in group.results for name in result.provenance.get("versions") or {}})
    facts = zip(*(_circumstances(result, packages) for result in group.results), strict=True)
    differing = [fact for fact in facts if len(set(fact)) > 1]
    if not differing:
        return ""
    of_results = zip(group.results, zip(*differing, strict=True), strict=True)
    made = {result.key: ", ".join(words) for result, words in of_results}
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
            named.append(f"{part}{group.name(row)}")
    return join_words(named)


def _circumstances(result: Result, packages: Sequence[str]) -> tuple[str, ...]:
    """Return words for each circumstance of a run: the versions of these packages, commit, devices and ways."""
    record = result.provenance
    versions, device, count = record.get("versions") or {}, record.get("device"), record.get("devices") or 1
    commit = _plain(record.get("commit") or "")
    clean = commit.removesuffix("-dirty")
    changed = "" if clean == commit else " with changes not committed"
    return (
        *(f"with {_plain(package)} {_plain(versions.get(package) or 'not recorded')}" for package in packages),
        f"from commit {clean}{changed}" if commit else "from a commit not recorded",
        f"on {_plain(device)}" if device else "on a device not recorded",
        f"on {_plain(count)} devices ({DROPOUT})" if count != 1 else "on one device",
        "compiled" if record.get("compiled") else "not compiled",
        f"{'with' if record.get('activation_checkpointing') else 'without'} activation checkpointing",
    )


def _plain(value: object) -> str:
    """Return what a record says, without a letter that could be markup, and of bounded length."""
    return re.sub(r"[^\w .,+/()@:-]", "?", str(value))[:LONGEST]
