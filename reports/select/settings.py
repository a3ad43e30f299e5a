"""Find the settings under which a table has results; a result stores what was run, not the command line."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from benchmarks.protocol.recipe import PROFILES
from benchmarks.protocol.run import Run
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import Row, Table
from benchmarks.protocol.targets import WITH_TABLES, tables_of
from benchmarks.results.failed_run import FailedRun
from benchmarks.results.result import Result
from data_prep.registry import DATASETS, has_published_split
from reports.select.custom_systems import with_own_systems
from reports.select.results import Collection, declared_system, profile_of
from rssam.contract import cli_options
from rssam.errors import UserError
from rssam.sam.encoder_sizes import SMALL_ENCODERS

PAPER_SETTING = Setting("paper")


def settings(collection: Collection, table: Table, tables: Iterable[Table] | None = None) -> list[Setting]:
    """Return the settings under which a row of `table` has a result: the paper's first, the smoke run last.

    One run may stand in many tables, and a system without an encoder is the same run whatever the encoder of its
    neighbours. So an override is shown only if it explains a result that no setting with fewer overrides explains in
    any of `tables`, by default all. Table 2's runs are not "Table 1 on another data set". A setting is shown only if no
    other setting of the same table explains all its results and more.
    """
    by_id = {other.id: other for other in (table, *(tables_of(WITH_TABLES.values()) if tables is None else tables))}
    explained = {table_id: _explained(collection, other) for table_id, other in by_id.items()}
    simpler: dict[int, set[str]] = {  # keys of results that a setting with fewer overrides explains
        count: {
            key
            for by_setting in explained.values()
            for setting, keys in by_setting.items()
            if len(setting.overridden) < count
            for key in keys
        }
        for count in range(1, 5)
    }
    needed = {
        setting: keys
        for setting, keys in explained[table.id].items()
        if not setting.overridden or keys - simpler[len(setting.overridden)]
    }
    kept = [setting for setting, keys in needed.items() if not any(keys < others for others in needed.values())]
    return sorted(kept, key=setting_order)


def setting_order(setting: Setting) -> tuple[int, int, str]:
    """Return a sort key of settings: the paper's first, the smoke run last, fewer overrides before more."""
    return list(reversed(PROFILES)).index(setting.profile), len(setting.overridden), str(setting)


def declare(setting: Setting, table: Table, row: Row) -> Run | None:
    """Return the run of a row under a setting, seeds 0; None where the row's system cannot be run so."""
    try:
        return setting.run(row.model, table.dataset)
    except UserError:
        return None


def command(table: Table, setting: Setting) -> str:
    """Return the command that fills a table under a setting."""
    options = [] if setting.profile == table.profile else [f"--profile {setting.profile}"]
    options += [f"--{name} {value}" for name, value in setting.overridden.items()]
    return " ".join(["rssam-bench reproduce", table.study or table.id, *options])


def describe(setting: Setting) -> str:
    """Return a short title: "profile mini, encoder vit_t"."""
    return ", ".join(f"{name} {value}" for name, value in {"profile": setting.profile, **setting.overridden}.items())


def _explained(collection: Collection, table: Table) -> dict[Setting, set[str]]:
    """Return each candidate setting with the keys of the table's results under it.

    It is worked out once for a collection: every table of a report asks for those of all tables.
    """
    of_table, _ = collection.known.get(table.id, (None, None))
    if of_table is not table:
        collection.known[table.id] = table, _explained_anew(collection, with_own_systems(table, collection))
    known: dict[Setting, set[str]] = collection.known[table.id][1]
    return known


def _explained_anew(collection: Collection, table: Table) -> dict[Setting, set[str]]:
    systems = {row.model.name for row in table.every_row}
    candidates = {
        setting
        for stored in collection.runs
        if stored.result.identity["model"]["name"] in systems
        for setting in _candidates(stored.result, table)
    }
    by_setting = {setting: _keys(collection, table, setting) for setting in candidates}
    return {setting: keys for setting, keys in by_setting.items() if keys}


def _candidates(result: Result | FailedRun, table: Table) -> list[Setting]:
    """Return settings that could have led to this run if the table were run under them."""
    profile, identity = profile_of(result), result.identity
    if profile is None or (table.study and profile == PAPER_SETTING.profile):
        return []
    options, data = identity["model"]["options"], identity["dataset"]["name"]
    # A system without a SAM encoder is small along with the small encoders, which it does not name.
    model = declared_system(result)
    named = "encoder" in (options if model is None else cli_options(model))
    encoders = dict.fromkeys((None, options.get("encoder") if named else SMALL_ENCODERS[0]))
    if table.compares_encoders or (table.study and not encoders.keys() <= {None, *SMALL_ENCODERS}):
        encoders = {None: None}
    inits = dict.fromkeys((None, *(init for init in ("sam", "scratch") if init == options.get("init"))))
    dataset = None if data == table.dataset else data
    rule = None if identity["split_rule"] == "random" else identity["split_rule"]
    declared = DATASETS.get(data)
    drawn = (data,) if rule and declared is not None and has_published_split(declared) else ()
    return [Setting(profile, encoder, init, dataset, rule, drawn) for encoder, init in product(encoders, inits)]


def _keys(collection: Collection, table: Table, setting: Setting) -> set[str]:
    dataset = setting.dataset or table.dataset
    rows = (row for row in table.every_row if collection.has_tried(row.model.name, dataset))
    runs = (declare(setting, table, row) for row in rows)
    return {stored.result.key for run in runs if run is not None for stored in collection.tried(run)}
