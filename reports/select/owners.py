"""Choose for each owner of results, on each data set, the group that can say most."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import Table
from benchmarks.results.failed_run import FailedRun
from benchmarks.results.result import Result
from reports.select.comparable import ResultGroup, comparable_groups
from reports.select.not_comparable import group_reasons
from reports.select.results import Collection, ResultSource
from rssam.amounts import counted


@dataclass(frozen=True, eq=False)
class ChosenGroups:
    """One group for each data set with results, and what is passed over: results in other groups, in words."""

    groups: Mapping[str, ResultGroup]
    passed_over: tuple[str, ...]


def chosen_by_owner(
    tables: Mapping[str, Table], collection: Collection, setting: Setting
) -> dict[ResultSource, ChosenGroups]:
    """Return the chosen groups of every owner with a run under a setting, the user's first.

    Args:
        tables: by the data set that results are on.
        collection: all usable results.
        setting: under which they were run.
    """
    by_owner: dict[ResultSource, dict[str, list[ResultGroup]]] = {}
    for dataset, table in tables.items():
        for group in comparable_groups(table, collection, setting):
            if group.tried:
                by_owner.setdefault(group.source, defaultdict(list))[dataset].append(group)
    return {owner: _chosen(by_owner[owner]) for owner in sorted(by_owner)}


def _chosen(groups_of: Mapping[str, Sequence[ResultGroup]]) -> ChosenGroups:
    """They differ in data or precision: first those that are comparable, then those with more results."""
    chosen: dict[str, ResultGroup] = {}
    passed_over = []
    for dataset, groups in groups_of.items():
        chosen[dataset], *others = sorted(groups, key=_says_less)
        for group in others:
            first: Result | FailedRun = group.results[0] if group.results else group.failed[0]
            facts = [first.data_description, first.identity["precision"]]
            lost = len(group.failed)
            runs = counted(len(group.results), "result") + (f" and {counted(lost, 'run')} without one" if lost else "")
            passed_over.append(
                f"{runs} on {dataset} with other data or precision ({', '.join(fact for fact in facts if fact)})"
            )
    return ChosenGroups(chosen, tuple(passed_over))


def _says_less(group: ResultGroup) -> tuple[bool, int, int]:
    return not group.results, len(group_reasons(group)), -len(group.results)
