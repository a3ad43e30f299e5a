"""Group the results of a table that may share a column. Results that differ in data, precision or owner may not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import Row, Table
from benchmarks.results.failed_run import FailedRun
from benchmarks.results.result import Result
from benchmarks.results.submission import Submission
from reports.formatting import gathered, plural
from reports.select.custom_systems import with_own_systems
from reports.select.results import Collection, ResultSource, StoredFailure, StoredResult, StoredRun
from reports.select.settings import declare
from rssam.escape import in_prose

DisputedFiles = tuple[tuple[str, str], ...]
"""Files of which other results under the same setting have another version: (what, digest here)."""


RowState = Literal["done", "not run", "collapsed", "diverged", "failed", "scored"]
"""Scored: of predictions that were made elsewhere. Of several words for one row the gravest is its state."""


@dataclass(frozen=True, eq=False)
class ResultGroupRow:
    """Row of a table with the replicates found.

    One replicate that collapsed, diverged or failed takes the row: a mean over the others would flatter the system.
    """

    row: Row
    results: tuple[Result, ...]
    failed: tuple[FailedRun, ...] = ()  # replicates without a result

    @property
    def collapsed(self) -> tuple[Result, ...]:
        """Return the replicates that did not reach the constant answer."""
        return tuple(result for result in self.results if result.collapsed)

    @property
    def state(self) -> RowState:
        """Return the state of the row in one word; it has a score only where that is "done"."""
        states = {failed.state for failed in self.failed}
        if "diverged" in states:
            return "diverged"
        if self.collapsed:
            return "collapsed"
        if states:
            return "failed"
        return "done" if self.results else "not run"

    @property
    def runs(self) -> str:
        """Return replicates in words if some have no result: "2 of 3 runs, 1 diverged"; otherwise their number."""
        if not self.failed:
            return str(len(self.results))
        total = len(self.results) + len(self.failed)
        counts = Counter(failed.state for failed in self.failed)
        lost = ", ".join(f"{counts[state]} {state}" for state in sorted(counts))
        return f"{len(self.results)} of {total} {plural(total, 'run')}, {lost}"


@dataclass(frozen=True, eq=False)
class ResultGroup:
    """Group of results of a table under a setting, all of them made on the same data with the same precision."""

    table: Table
    setting: Setting
    source: ResultSource
    rows: tuple[ResultGroupRow, ...]
    disputed: DisputedFiles = ()
    scored: tuple[Submission, ...] = ()  # predictions of anybody on this data set, whatever their split

    @property
    def results(self) -> tuple[Result, ...]:
        """Return every result of the group, each once."""
        return tuple({result.key: result for row in self.rows for result in row.results}.values())

    @property
    def failed(self) -> tuple[FailedRun, ...]:
        """Return every run of the group without a result, each once."""
        return tuple({failed.key: failed for row in self.rows for failed in row.failed}.values())

    @property
    def dataset(self) -> str:
        """Return the name of the data set that the results are on."""
        return self.setting.dataset or self.table.dataset

    @property
    def filled(self) -> tuple[ResultGroupRow, ...]:
        """Return the rows that have a result."""
        return tuple(row for row in self.rows if row.results)

    @property
    def tried(self) -> tuple[ResultGroupRow, ...]:
        """Return the rows that have a result, or a run without a result."""
        return tuple(row for row in self.rows if row.results or row.failed)

    def name(self, row: ResultGroupRow) -> str:
        """Return a row in prose: its only label, or its labels with their columns."""
        labels = [*map(in_prose, row.row.labels)]
        if len(labels) == 1:
            return labels[0]
        return ", ".join(f"{column} {label}" for column, label in zip(self.table.label_columns, labels, strict=True))

    @property
    def missing(self) -> int:
        """Return the number of rows of the table that were not run, controls and own systems not counted."""
        return len(self.table.rows) - len([row for row in self.tried if row.row in self.table.rows])


def comparable_groups(table: Table, collection: Collection, setting: Setting) -> list[ResultGroup]:
    """Return the groups of a table's results under a setting, the user's own first; one empty group without a result.

    A control, and a system of the user's own, is a row of every group in which it has a result.

    Results are in different groups if owner, precision or the sentence on the data differ. Other results are in
    different groups if they disagree on the digest of one split, or of one checkpoint. A replicate that could belong to
    either side then stands alone.
    """
    table = with_own_systems(table, collection)
    setting = setting.on(table.dataset)
    runs = ((row, declare(setting, table, row)) for row in table.every_row)
    stored_by_row = [(row, collection.tried(run) if run else []) for row, run in runs]
    all_stored = list({id(stored): stored for _, row_stored in stored_by_row for stored in row_stored}.values())
    groups: list[ResultGroup] = []
    scored = collection.scored_on(setting.dataset or table.dataset)
    for members, disputed in _split(all_stored) or [([], ())]:
        rows = tuple(
            ResultGroupRow(row, *_replicates([stored for stored in row_stored if stored in members]))
            for row, row_stored in stored_by_row
            if row in table.rows or any(stored in members for stored in row_stored)
        )
        groups.append(ResultGroup(table, setting, members[0].source if members else "own", rows, disputed, scored))
    return groups


def _split(all_stored: Sequence[StoredRun]) -> list[tuple[list[StoredRun], DisputedFiles]]:
    """Return runs that may share a column, with the files they disagree on; own before published, larger first.

    Results alone decide on the columns; a run without a result stands in the first whose files are its own. One whose
    data could not be read may be of any column: it stands in each, since a mean without it would flatter the system.
    """
    groups = _split_alike([stored for stored in all_stored if isinstance(stored, StoredResult)])
    failures = [stored for stored in all_stored if isinstance(stored, StoredFailure)]
    apart: list[StoredRun] = []
    for stored in failures:
        if stored.result.data:
            next((members for members, _ in groups if _belongs(stored, members)), apart).append(stored)
    groups += _split_alike(apart)
    unknown: list[StoredRun] = []
    for stored in failures:
        if not stored.result.data:
            for members in [members for members, _ in groups if _belongs(stored, members)] or [unknown]:
                members.append(stored)
    return sorted([*groups, *_split_alike(unknown)], key=lambda group: group[0][0].source)


def _belongs(stored: StoredFailure, members: Sequence[StoredRun]) -> bool:
    """Return whether a run without a result has owner, precision, data (if known) and files of these runs."""
    known = {name: digest for member in members for name, digest in _digests(member.result).items()}
    own = _digests(stored.result)
    *column, data = _column(stored)
    *members_column, members_data = _column(members[0])
    alike = column == members_column and data in ("", members_data)
    return alike and all(known.get(name, own[name]) == own[name] for name in own)


def _column(stored: StoredRun) -> tuple[str, ...]:
    """Return what is alike in all runs of a column: owner, precision, and the sentence on the data."""
    return stored.source, stored.result.identity["precision"], stored.result.data_description


def _split_alike(all_stored: Sequence[StoredRun]) -> list[tuple[list[StoredRun], DisputedFiles]]:
    """Return the same for runs of one kind."""
    groups: list[tuple[list[StoredRun], DisputedFiles]] = []
    for candidates in gathered((_column(stored), stored) for stored in all_stored).values():
        files = [_digests(stored.result) for stored in candidates]
        versions = gathered(version for digests in files for version in digests.items())
        disputed = {name for name, found in versions.items() if len(set(found)) > 1}
        own = (tuple(version for version in digests.items() if version[0] in disputed) for digests in files)
        groups += [(members, differing) for differing, members in gathered(zip(own, candidates, strict=True)).items()]
    return sorted(groups, key=_group_order)


def _group_order(group: tuple[list[StoredRun], DisputedFiles]) -> tuple[str, int, str]:
    members, _ = group
    return members[0].source, -len(members), min(stored.result.key for stored in members)


def _digests(result: Result | FailedRun) -> dict[str, str]:
    """Return what must not differ between results that share a column: the files of a split and of each checkpoint."""
    identity = result.identity
    encoder = identity["model"]["options"].get("encoder", identity["model"]["name"])
    weights = {f"weights {encoder} {number}": digest for number, digest in enumerate(identity["weights"])}
    return {f"split {identity['split_seed']}": identity["data"], **weights}


def replicate_identity(result: Result | FailedRun) -> tuple[str, int]:
    """Return digest of data and split, and seed: two results of one run that agree on both are not two replicates.

    An official split is the same whatever the split seed.
    """
    return result.identity["data"], result.identity["seed"]


def _replicates(row_stored: Sequence[StoredRun]) -> tuple[tuple[Result, ...], tuple[FailedRun, ...]]:
    """Return results and failures in the order of (split seed, seed), the first of each `replicate_identity`.

    A replicate that has a result did not fail, because it was tried again.
    """
    ordered = sorted(row_stored, key=lambda stored: [stored.result.identity[name] for name in ("split_seed", "seed")])
    results: dict[tuple[str, int], Result] = {}
    failed: dict[tuple[str, int], FailedRun] = {}
    for stored in ordered:
        if isinstance(stored, StoredResult):
            results.setdefault(replicate_identity(stored.result), stored.result)
        else:
            failed.setdefault(replicate_identity(stored.result), stored.result)
    lost = tuple(failure for replicate, failure in failed.items() if replicate not in results)
    return tuple(results.values()), lost
