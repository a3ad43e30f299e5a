"""Turn a figure into a table for each data set, so that settings and results are found by the rules of tables."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.protocol.figures import FIGURES, Figure
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import TABLES, Row, Table
from reports.select.results import Collection
from reports.select.settings import command, setting_order, settings


def as_table(figure: Figure, dataset: str) -> Table:
    """Return a table of one row a panel, on one of the figure's data sets, without scores."""
    rows = tuple(Row((panel.title,), panel.model, {}) for panel in figure.panels)
    return Table(f"{figure.id}-{dataset}", figure.title, dataset, ("Method",), (), rows)


def datasets(figure: Figure, setting: Setting) -> tuple[str, ...]:
    """Return the data sets in the figure's order; the setting's alone if it names one."""
    return figure.datasets if setting.dataset is None else (setting.dataset,)


def figure_settings(figure: Figure, collection: Collection) -> list[Setting]:
    """Return settings under which a panel has a result on any data set: the paper's first, the smoke run last."""
    as_tables = [as_table(other, dataset) for other in (figure, *FIGURES.values()) for dataset in other.datasets]
    tables = (*TABLES.values(), *as_tables)
    used = {
        setting for dataset in figure.datasets for setting in settings(collection, as_table(figure, dataset), tables)
    }
    return sorted(used, key=setting_order)


def remedy(figure: Figure, setting: Setting) -> str:
    """Return the command that runs what the figure lacks under a setting."""
    return command(replace(as_table(figure, figure.datasets[0]), id=figure.id), setting)
