"""Which results may share a column. What differs in data, precision or owner is shown apart, never averaged."""

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
from reports.select.results import Collection, Source, Stored
from reports.select.settings import declare

Disputed = tuple[tuple[str, str], ...]
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
    source: Source
    rows: tuple[ResultGroupRow, ...]
    disputed: Disputed = ()
    scored: tuple[Submission, ...] = ()  # predictions of anybody on this data set, whatever their split

    @property
    def results(self) -> tuple[Result, ...]:
        """Every result of the section, each once."""
        return tuple({result.key: result for row in self.rows for result in row.results}.values())

    @property
    def filled(self) -> tuple[ResultGroupRow, ...]:
        """Rows that have a result."""
        return tuple(row for row in self.rows if row.results)


def comparable_groups(table: Table, collection: Collection, setting: Setting) -> list[ResultGroup]:
    """The table's sections under a setting, the user's own first; one empty section if there is no result at all.

    A control, and a system of the user's own, is a row of every section in which it has a result.

    Results are apart if owner, precision or the sentence on the data differ. Within such a group they are apart where
    they disagree on the digest of one split, or of one checkpoint: a replicate that could belong to either side then
    stands alone.
    """
    table = with_own_systems(table, collection)
    setting = setting.on(table.dataset)
    runs = [(row, declare(setting, table, row)) for row in table.every_row]
    found = [collection.replicates(run) if run else [] for _, run in runs]
    every = list({id(item): item for items in found for item in items}.values())
    made: list[ResultGroup] = []
    scored = collection.scored_on(setting.dataset or table.dataset)
    for group, disputed in _groups(every) or [([], ())]:
        rows = tuple(
            ResultGroupRow(row, run, _replicates([item for item in items if item in group]))
            for (row, run), items in zip(runs, found, strict=True)
            if row in table.rows or any(item in group for item in items)
        )
        made.append(ResultGroup(table, setting, group[0].source if group else "own", rows, disputed, scored))
    return made


def _groups(items: Sequence[Stored]) -> list[tuple[list[Stored], Disputed]]:
    """Stored results that may share a column, with the files they disagree on; own before published, larger first."""
    alike: dict[tuple[str, ...], list[Stored]] = defaultdict(list)
    for item in items:
        alike[(item.source, item.result.identity["precision"], str(item.result.data["describe"]))].append(item)
    groups: list[tuple[list[Stored], Disputed]] = []
    for members in alike.values():
        versions: dict[str, set[str]] = defaultdict(set)
        for item in members:
            for name, digest in _digests(item.result).items():
                versions[name].add(digest)
        apart: dict[Disputed, list[Stored]] = defaultdict(list)
        for item in members:
            mine = _digests(item.result).items()
            apart[tuple((name, digest) for name, digest in mine if len(versions[name]) > 1)].append(item)
        groups += [(group, disputed) for disputed, group in apart.items()]
    return sorted(groups, key=lambda pair: (pair[0][0].source, -len(pair[0]), min(i.result.key for i in pair[0])))


def _digests(result: Result) -> dict[str, str]:
    """What must not differ between results that share a column: the files of a split and of each checkpoint."""
    identity = result.identity
    encoder = identity["model"]["options"].get("encoder", identity["model"]["name"])
    weights = {f"weights {encoder} {number}": digest for number, digest in enumerate(identity["weights"])}
    return {f"split {identity['split_seed']}": identity["data"], **weights}


def _replicates(items: Sequence[Stored]) -> tuple[Result, ...]:
    """Results in the order of (split seed, seed), one for each pair of data and seed.

    An official split is the same whatever the split seed: the same seed again is then the same run, not a replicate.
    """
    ordered = sorted(items, key=lambda item: item.replicate)
    different = {(item.result.identity["data"], item.result.identity["seed"]): item for item in reversed(ordered)}
    return tuple(item.result for item in sorted(different.values(), key=lambda item: item.replicate))
