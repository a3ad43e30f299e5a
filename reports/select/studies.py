"""Find the settings under which a study has results, and those that no table of the paper shows."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.protocol.setting import Setting
from benchmarks.protocol.studies.study import Study
from benchmarks.protocol.tables import TABLES, Table
from reports.select.results import Collection
from reports.select.settings import declare, setting_order, settings


def study_settings(study: Study, collection: Collection) -> list[Setting]:
    """Return settings under which a row has a result on any data set: the study's own first, the smoke run last."""
    used = {setting for table in study.tables.values() for setting in settings(collection, table)}
    return sorted(used, key=setting_order)


def tables_under(study: Study, setting: Setting) -> Mapping[str, Table]:
    """Return the study's tables by the data set that their results are on: the setting's alone if it names one."""
    if setting.dataset is None:
        return study.tables
    return {setting.dataset: study.tables.get(setting.dataset, next(iter(study.tables.values())))}


def has_runs_of_its_own(study: Study, collection: Collection) -> bool:
    """Return whether a row was run that is in no table of the paper."""
    papers = {row.model for table in TABLES.values() for row in table.every_row}
    runs = (
        declare(setting, table, row)
        for setting in study_settings(study, collection)
        for table in study.tables.values()
        for row in table.rows
        if row.model not in papers
    )
    return any(run is not None and collection.tried(run) for run in runs)
