"""Group the results of a table that may share a column. Results that differ in data, precision or owner may not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.protocol.run import Run
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import Row, Table
from benchmarks.results.result import Result
from benchmarks.results.submission import Submission
from reports.select.custom_systems import with_own_systems
from reports.select.results import Collection, ResultSource, StoredResult
from reports.select.settings import declare

DisputedFiles = tuple[tuple[str, str], ...]
"""Files of which other results under the same setting have another version: (what, digest here)."""


@dataclass(frozen=True, eq=False)
class ResultGroupRow:
    """A row of a table with its run (None where the setting does not suit the system) and the replicates found."""

    row: Row
    run: Run | None
    results: tuple[Result, ...]

    @property
    def collapsed(self) -> tuple[Result, ...]:
        """Replicates that did not reach the constant answer."""
        return tuple(result for result in self.results if result.collapsed)


@dataclass(frozen=True, eq=False)
class ResultGroup:
    """One table under one setting, all of whose results were made on the same data with the same precision."""

    table: Table
    setting: Setting
    source: ResultSource
    rows: tuple[ResultGroupRow, ...]
    disputed: DisputedFiles = ()
    scored: tuple[Submission, ...] = ()  # predictions of anybody on this data set, whatever their split

    @property
    def results(self) -> tuple[Result, ...]:
        """Every result of the group, each once."""
        return tuple({result.key: result for row in self.rows for result in row.results}.values())

    @property
    def dataset(self) -> str:
        """Name of the data set that the results are on."""
        return self.setting.dataset or self.table.dataset

    @property
    def filled(self) -> tuple[ResultGroupRow, ...]:
        """Rows that have a result."""
        return tuple(row for row in self.rows if row.results)

    @property
    def missing(self) -> int:
        """Number of rows of the table without a result, controls and own systems not counted."""
        return len(self.table.rows) - len([row for row in self.filled if row.row in self.table.rows])


def comparable_groups(table: Table, collection: Collection, setting: Setting) -> list[ResultGroup]:
    """Return the groups of a table's results under a setting, the user's own first; one empty group without a result.

    A control, and a system of the user's own, is a row of every group in which it has a result.

    Results are in different groups if owner, precision or the sentence on the data differ. Of the others, those are in
    different groups that disagree on the digest of one split, or of one checkpoint: a replicate that could belong to
    either side then stands alone.
    """
    table = with_own_systems(table, collection)
    setting = setting.on(table.dataset)
    runs = [(row, declare(setting, table, row)) for row in table.every_row]
    stored_by_row = [collection.replicates(run) if run else [] for _, run in runs]
    all_stored = list({id(stored): stored for row_stored in stored_by_row for stored in row_stored}.values())
    groups: list[ResultGroup] = []
    scored = collection.scored_on(setting.dataset or table.dataset)
    for members, disputed in _split(all_stored) or [([], ())]:
        rows = tuple(
            ResultGroupRow(row, run, _replicates([stored for stored in row_stored if stored in members]))
            for (row, run), row_stored in zip(runs, stored_by_row, strict=True)
            if row in table.rows or any(stored in members for stored in row_stored)
        )
        groups.append(ResultGroup(table, setting, members[0].source if members else "own", rows, disputed, scored))
    return groups


def _split(all_stored: Sequence[StoredResult]) -> list[tuple[list[StoredResult], DisputedFiles]]:
    """Return results that may share a column, with the files they disagree on; own before published, larger first."""
    alike: dict[tuple[str, ...], list[StoredResult]] = defaultdict(list)
    for stored in all_stored:
        result = stored.result
        alike[(stored.source, result.identity["precision"], result.data_description)].append(stored)
    groups: list[tuple[list[StoredResult], DisputedFiles]] = []
    for candidates in alike.values():
        versions: dict[str, set[str]] = defaultdict(set)
        for stored in candidates:
            for name, digest in _digests(stored.result).items():
                versions[name].add(digest)
        by_version: dict[DisputedFiles, list[StoredResult]] = defaultdict(list)
        for stored in candidates:
            digests = _digests(stored.result).items()
            by_version[tuple((name, digest) for name, digest in digests if len(versions[name]) > 1)].append(stored)
        groups += [(members, disputed) for disputed, members in by_version.items()]
    return sorted(groups, key=_group_order)


def _group_order(group: tuple[list[StoredResult], DisputedFiles]) -> tuple[str, int, str]:
    members, _ = group
    return members[0].source, -len(members), min(stored.result.key for stored in members)


def _digests(result: Result) -> dict[str, str]:
    """What must not differ between results that share a column: the files of a split and of each checkpoint."""
    identity = result.identity
    encoder = identity["model"]["options"].get("encoder", identity["model"]["name"])
    weights = {f"weights {encoder} {number}": digest for number, digest in enumerate(identity["weights"])}
    return {f"split {identity['split_seed']}": identity["data"], **weights}


def replicate_identity(result: Result) -> tuple[str, int]:
    """Return digest of data and split, and seed: two results of one run that agree on both are not two replicates.

    An official split is the same whatever the split seed.
    """
    return result.identity["data"], result.identity["seed"]


def _replicates(row_stored: Sequence[StoredResult]) -> tuple[Result, ...]:
    """Return results in the order of (split seed, seed), the first of each `replicate_identity`."""
    ordered = sorted(row_stored, key=lambda stored: stored.replicate)
    different = {replicate_identity(stored.result): stored for stored in reversed(ordered)}
    return tuple(stored.result for stored in sorted(different.values(), key=lambda stored: stored.replicate))
